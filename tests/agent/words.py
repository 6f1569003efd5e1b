"""The words of a dialogue: lines of what happens, read into events of an agent.

    > namespace shop team=red audit keep                    labels; the annotations, where they stand
    > pod shop/web#2 10.1.0.10 here app=web port http=8080  uid after #; `here`, `there`; `finished`, `host`
    > policy shop/deny egress app=web to team=red/app=api port 80
    > policy shop/deny ingress all from block 10.0.0.0/8 except 10.1.0.0/16
    > node 10.1.0.0/24                                      this node's blocks of pod addresses
    > pod shop/web is gone
    > pods are told anew                                    a list, after a watch that was lost
    > born shop/web#1 10.1.0.10 token 7                     the network plugin; `died`, `forgotten 7`
    > link 10.1.0.10 og10
    > somebody deletes the table                            or: empties est, forgets 10.1.0.10, restores an old epoch
    > trouble with Pod                                      and `recovered Pod`, `broken [slice] shop/bad`
    > lists wait                                            those of Services and their slices, until `lists come`

A pod may be one `as robot`, which is a ServiceAccount; what stands around pods, and policies of other kinds, is in
`tests.agent.words_around`. A selector is `all`, `app=web`, or with namespaces `team=red/app=web`; a port is a number, a
range or a name, with its protocol where that is not TCP: ``53/UDP``.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from dataclasses import dataclass
from functools import cache
from typing import Any

from outgate.agent.world import Claim
from outgate.model import Namespace, NetworkPolicy, Pod
from outgate.model.hints import Hints
from outgate.packets import Address
from outgate.testing import namespace, pod, policy, snapshot_of
from tests.agent import words_around as around
from tests.agent.words_around import annotations_in, labels_in, selector_in

__all__ = ["HERE", "NODE_ADDRESS", "PREFIX", "Happening", "conflict", "interface_of", "read"]

HERE, THERE = "here", "there"
NODE_ADDRESS = "192.168.50.11"
PREFIX = "og"

_WIDE = "*"


@dataclass(frozen=True, slots=True)
class Happening:
    """One line that begins with ``>``: what happens to which object. `act` says how."""

    text: str
    act: str
    kind: str = ""
    name: str = ""
    """The object; a star where all of the kind are meant."""
    body: Any = None


def conflict(one: Happening, other: Happening) -> bool:
    """Whether the two are told in their order: they are about the same object."""
    return one.kind == other.kind and (one.name == other.name or _WIDE in {one.name, other.name})


def interface_of(address: Address) -> str:
    """The node's end of the link of the pod that has an address, where nobody says otherwise."""
    return f"{PREFIX}{int(address) % 256}"


def read(line: str) -> list[Happening]:
    """What a line says happens; a pod of this node comes with its link.

    Raises ValueError for words that are not in the book.
    """
    text = line.strip()
    match text.split():
        case [many, "are", "told", "anew", *rest]:
            return [Happening(text, "list", _KINDS[_ONE_OF[many]], _WIDE, tuple(rest[1:]))]
        case ["lists", "wait" | "come" as act]:
            return [Happening(text, act, "list", _WIDE)]
        case [kind, name, "is", "gone"]:
            return [Happening(text, "gone", _kind(kind, name), name.partition("#")[0])]
        case ["pod", name, *rest]:
            return _pod(text, name, rest)
        case ["namespace", name, *rest]:
            return [Happening(text, "put", "Namespace", name, _namespace(name, tuple(rest)))]
        case ["policy", name, *rest]:
            return [Happening(text, "put", "NetworkPolicy", name, _policy(name, tuple(rest)))]
        case ["node", *rest] if not rest or "/" in rest[0] or _is_address(rest[0]):
            return [Happening(text, "put", "Node", HERE, around.node(HERE, rest))]
        case ["service" | "slice" | "node" | "group" | "cilium" | "tier" as kind, name, *rest]:
            return [Happening(text, "put", _kind(kind, name), name, _MADE[kind](name, rest))]
        case ["born" | "died" as act, name, *rest]:
            return [_plugin(text, act, name, rest)]
        case ["forgotten", token]:
            return [Happening(text, "forgotten", "token", token, int(token))]
        case ["link", address, name]:
            return [Happening(text, "link", "link", address, (ipaddress.ip_address(address), name))]
        case ["somebody", act, *rest]:
            return [Happening(text, "tamper", "kernel", _WIDE, (act, rest[-1]))]
        case ["trouble", "with", kind]:
            return [Happening(text, "trouble", kind, "the watch")]
        case ["recovered", kind]:
            return [Happening(text, "recovered", kind, "the watch")]
        case ["broken", name]:
            return [Happening(text, "broken", "NetworkPolicy", name)]
        case ["broken", kind, name]:
            return [Happening(text, "broken", _kind(kind, name), name)]
    raise ValueError(f"nobody knows what this means: {text}")


_KINDS = {
    "pod": "Pod",
    "policy": "NetworkPolicy",
    "namespace": "Namespace",
    "node": "Node",
    "service": "Service",
    "slice": "EndpointSlice",
    "group": "CiliumCIDRGroup",
    "cilium": "CiliumNetworkPolicy",
    "tier": "ClusterNetworkPolicy",
}
_ONE_OF = {**{f"{one}s": one for one in _KINDS}, "policies": "policy"}
_MADE: dict[str, Any] = {
    "service": around.service,
    "slice": around.slice_of,
    "node": around.node,
    "group": around.group,
    "cilium": around.cilium,
    "tier": around.tier,
}


def _kind(word: str, name: str) -> str:
    """What the API calls it; a policy of Cilium's without a namespace is of the whole cluster."""
    return "CiliumClusterwideNetworkPolicy" if word == "cilium" and "/" not in name else _KINDS[word]


# ---- objects ---------------------------------------------------------------------------------------------------------


def _pod(text: str, name: str, words: list[str]) -> list[Happening]:
    path, _, uid = name.partition("#")
    made, linked = _made_pod(path, uid or "1", tuple(words))
    links = (Happening(f"link of {text}", "link", "link", str(one), (one, interface_of(one))) for one in linked)
    return [Happening(text, "put", "Pod", path, made), *links]


@cache
def _made_pod(path: str, uid: str, words: tuple[str, ...]) -> tuple[Pod, tuple[Address, ...]]:
    addresses = [word for word in words if _is_address(word)]
    rest = [word for word in words if word not in addresses]
    ports, labels, account = [], {}, "default"
    while rest:
        word = rest.pop(0)
        if word == "as":
            account = rest.pop(0)
        elif word == "port":
            port, _, number = rest.pop(0).partition("=")
            number, _, protocol = number.partition("/")
            ports.append({"name": port, "containerPort": int(number), "protocol": protocol or "TCP"})
        elif "=" in word:
            key, _, value = word.partition("=")
            labels[key] = value
        elif word not in {HERE, THERE, "host", "finished"}:
            raise ValueError(f"nobody knows what a pod that is {word} would be")
    manifest = pod(
        path,
        addresses,
        on=HERE if HERE in words else THERE,
        ports=ports,
        host_network="host" in words,
        phase="Succeeded" if "finished" in words else "Running",
        labels=labels,
    )
    (made,) = snapshot_of([manifest]).pods
    if not made.addressed:
        made = dataclasses.replace(made, addresses=(), addressed=True)
    linked = made.addresses if HERE in words and "host" not in words else ()
    return dataclasses.replace(made, uid=f"{path}#{uid}", hints=Hints(account)), linked


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


@cache
def _namespace(name: str, words: tuple[str, ...]) -> Namespace:
    (made,) = snapshot_of([namespace(name, **labels_in(word for word in words if "=" in word))]).namespaces.values()
    return dataclasses.replace(made, annotations=annotations_in(words))


def _plugin(text: str, act: str, name: str, words: list[str]) -> Happening:
    path, _, uid = name.partition("#")
    full = f"{path}#{uid}" if uid else ""
    if act == "died":
        return Happening(text, act, "Pod", path, full)
    addresses = tuple(ipaddress.ip_address(word) for word in words if _is_address(word))
    token = int(words[words.index("token") + 1])
    return Happening(text, act, "Pod", path, (Claim(full, addresses, interface_of(addresses[0])), token))


# ---- policies --------------------------------------------------------------------------------------------------------


@cache
def _policy(path: str, words: tuple[str, ...]) -> NetworkPolicy:
    """Sections begin with `egress` or `ingress` and the subject, rules with `to`, `from` or `anywhere`."""
    spec: dict[str, Any] = {"policyTypes": []}
    rule: dict[str, Any] = {}
    section, waiting = "", [word for word in words if not annotations_in((word,))]
    while waiting:
        match waiting.pop(0):
            case "egress" | "ingress" as section:
                spec["policyTypes"].append(section.capitalize())
                spec["podSelector"] = selector_in(waiting.pop(0))
                spec[section] = []
            case "to" | "from" as word:
                rule = {word: [_peer(waiting)]}
                spec[section].append(rule)
            case "or":
                rule[next(iter(rule))].append(_peer(waiting))
            case "except":
                rule[next(iter(rule))][-1]["ipBlock"].setdefault("except", []).append(waiting.pop(0))
            case "anywhere":
                rule = {}
                spec[section].append(rule)
            case "port":
                rule.setdefault("ports", []).append(_port(waiting.pop(0)))
            case word:
                raise ValueError(f"nobody knows what {word} means in a policy")
    (made,) = snapshot_of([policy(path, spec)]).policies
    return dataclasses.replace(made, annotations=annotations_in(words))


def _peer(waiting: list[str]) -> dict[str, Any]:
    word = waiting.pop(0)
    if word == "block":
        return {"ipBlock": {"cidr": waiting.pop(0)}}
    spaces, _, pods = word.rpartition("/")
    found: dict[str, Any] = {"podSelector": selector_in(pods)}
    return found | ({"namespaceSelector": selector_in(spaces)} if spaces else {})


def _port(word: str) -> dict[str, Any]:
    port, _, protocol = word.partition("/")
    first, _, last = port.partition("-")
    found: dict[str, Any] = {"protocol": protocol or "TCP", "port": int(first) if first.isdigit() else port}
    return found | ({"endPort": int(last)} if last.isdigit() else {})
