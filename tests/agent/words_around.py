"""Words of a dialogue for what stands around pods and NetworkPolicies: Services, Nodes, and policies of other kinds.

    > service out/x app=far labelled tier=front             its selector, none where nothing is said; its labels
    > slice out/x-1 of out/x 198.51.100.1                   an EndpointSlice; without `of` it is nobody's
    > node node-b 192.168.50.12 role=edge                   a Node with addresses and labels; with blocks of pods, too
    > group g 203.0.113.0/24                                a CiliumCIDRGroup
    > cilium shop/p egress app=web to services out/x port 80 never to entity host
    > cilium p open ingress all from team=red/app=web       of the whole cluster; `open`: what no rule denies may pass
    > tier p 5 egress team=red/app=web deny nodes role=edge port 443 accept app=db

Peers of Cilium's: a selector, `services out/x`, `services labelled tier=front`, `entity world`, `nodes role=edge`,
`block 203.0.113.0/24`, `group g`, `account out/robot`, `name api.example.com`. Of a tier (a ClusterNetworkPolicy;
`baseline` in the place of a number): a selector, `nodes role=edge`, `block 203.0.113.0/24`.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from functools import cache
from typing import Any

from outgate.model import ClusterPolicy, EndpointSlice, Node, Service
from outgate.model.cilium import CidrGroup, CiliumObject
from outgate.model.objects import SliceEndpoint
from outgate.policy.established import ESTABLISHED
from outgate.policy.mode import ANNOTATION
from outgate.testing import cluster_policy, snapshot_of
from outgate.testing_cilium import cidr_group, cilium_policy

__all__ = ["annotations_in", "cilium", "group", "labels_in", "node", "selector_in", "service", "slice_of", "tier"]

NAMESPACE_LABELS = "io.cilium.k8s.namespace.labels."
NAMESPACE = "io.kubernetes.pod.namespace"
ACCOUNT = "io.cilium.k8s.policy.serviceaccount"
_EVERYWHERE = {"matchExpressions": [{"key": NAMESPACE, "operator": "Exists"}]}


def labels_in(words: Any) -> dict[str, str]:
    """Those of words like ``app=web``."""
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def selector_in(word: str) -> dict[str, Any]:
    """Of pods: `all`, or ``app=web``."""
    return {} if word == "all" else {"matchLabels": labels_in(word.split(","))}


def annotations_in(words: tuple[str, ...]) -> dict[str, str]:
    """Ours, by their values alone."""
    said = {ANNOTATION: {"audit", "enforce", "strange"}, ESTABLISHED: {"keep", "cut", "kept"}}
    return {key: word for key, known in said.items() for word in words if word in known}


# ---- objects ---------------------------------------------------------------------------------------------------------


def service(path: str, words: list[str]) -> Service:
    """A Service, as far as an agent looks at it."""
    space, _, name = path.partition("/")
    at = words.index("labelled") if "labelled" in words else len(words)
    return Service(space, name, selector=labels_in(words[:at]) or None, labels=labels_in(words[at + 1 :]))


def slice_of(path: str, words: list[str]) -> EndpointSlice:
    """A slice of a Service of its namespace."""
    space, _, name = path.partition("/")
    whose = words[1].rpartition("/")[2] if words[:1] == ["of"] else ""
    ends = tuple(SliceEndpoint((ipaddress.ip_address(one),)) for one in words[2 if whose else 0 :])
    return EndpointSlice(space, name, whose, ends)


def node(name: str, words: list[str]) -> Node:
    """A Node. What has an equals sign is a label, what has a slash a block of pods' addresses."""
    blocks = tuple(ipaddress.ip_network(one) for one in words if "/" in one and "=" not in one)
    ends = tuple(ipaddress.ip_address(one) for one in words if "/" not in one and "=" not in one)
    return Node(name, labels_in(one for one in words if "=" in one), ends, blocks)


def group(name: str, words: list[str]) -> CidrGroup:
    """A group of blocks."""
    (made,) = snapshot_of([cidr_group(name, *words)]).cidr_groups
    return made


# ---- policies of Cilium's --------------------------------------------------------------------------------------------


def cilium(path: str, words: list[str]) -> CiliumObject:
    """An object with one policy, whose rules have one peer each."""
    return _cilium(path, tuple(words))


@cache
def _cilium(path: str, words: tuple[str, ...]) -> CiliumObject:
    space, _, name = path.rpartition("/")
    spec: dict[str, Any] = {}
    section, rules, waiting = "", list[dict[str, Any]](), [word for word in words if not annotations_in((word,))]
    opening = "open" in waiting
    while waiting:
        match waiting.pop(0):
            case "open":
                pass
            case "egress" | "ingress" as section:
                spec["endpointSelector"] = selector_in(waiting.pop(0))
                spec[section] = rules = []
                if opening:
                    spec.setdefault("enableDefaultDeny", {})[section] = False
            case "to" | "from":
                rules = spec[section]
                rules.append(_entity_of_cilium(waiting, section))
            case "never":
                waiting.pop(0)
                rules = spec.setdefault(f"{section}Deny", [])
                rules.append(_entity_of_cilium(waiting, section))
            case "port":
                port, _, protocol = waiting.pop(0).partition("/")
                rules[-1]["toPorts"] = [{"ports": [{"port": port, "protocol": protocol or "TCP"}]}]
            case word:
                raise ValueError(f"nobody knows what {word} means in a policy of Cilium's")
    made = snapshot_of([cilium_policy(path, spec)]).cilium_policies
    annotated = tuple(dataclasses.replace(one, annotations=annotations_in(words)) for one in made)
    return CiliumObject(made[0].kind, space, name, annotated)


def _entity_of_cilium(waiting: list[str], section: str) -> dict[str, Any]:
    side = "to" if section == "egress" else "from"
    word = waiting.pop(0)
    match word:
        case "services" if waiting[0] == "labelled":
            waiting.pop(0)
            return {"toServices": [{"k8sServiceSelector": {"selector": selector_in(waiting.pop(0))}}]}
        case "services":
            space, _, name = waiting.pop(0).partition("/")
            return {"toServices": [{"k8sService": {"serviceName": name, "namespace": space}}]}
        case "entity":
            return {f"{side}Entities": [waiting.pop(0)]}
        case "nodes":
            return {f"{side}Nodes": [selector_in(waiting.pop(0))]}
        case "block":
            return {f"{side}CIDR": [waiting.pop(0)]}
        case "group":
            return {f"{side}CIDRSet": [{"cidrGroupRef": waiting.pop(0)}]}
        case "name":
            return {"toFQDNs": [{"matchName": waiting.pop(0)}]}
        case "account":
            space, _, name = waiting.pop(0).partition("/")
            return {f"{side}Endpoints": [{"matchLabels": {NAMESPACE: space, ACCOUNT: name}}]}
        case "nobody":
            return {f"{side}Endpoints": []}
        case _:
            return {f"{side}Endpoints": [_pods_of_cilium(word)]}


def _pods_of_cilium(word: str) -> dict[str, Any]:
    spaces, slash, pods = word.rpartition("/")
    found = selector_in(pods)
    if not slash:
        return found
    if spaces == "all":
        return {**found, **_EVERYWHERE}
    outer = {f"{NAMESPACE_LABELS}{key}": value for key, value in labels_in(spaces.split(",")).items()}
    return {"matchLabels": {**found.get("matchLabels", {}), **outer}}


# ---- policies of tiers -----------------------------------------------------------------------------------------------


def tier(name: str, words: list[str]) -> ClusterPolicy:
    """A ClusterNetworkPolicy of the admin tier by its priority, or of the baseline."""
    return _tier(name, tuple(words))


@cache
def _tier(name: str, words: tuple[str, ...]) -> ClusterPolicy:
    waiting = [word for word in words if not annotations_in((word,))]
    number = waiting.pop(0)
    sections: dict[str, list[dict[str, Any]]] = {}
    subject: dict[str, Any] = {}
    section = ""
    while waiting:
        match waiting.pop(0):
            case "egress" | "ingress" as section:
                subject = _pods_of_tier(waiting.pop(0))
                sections[section] = []
            case "accept" | "deny" | "pass" as action:
                side = "to" if section == "egress" else "from"
                rule = {"action": action.capitalize(), side: [_peer_of_tier(waiting)]}
                sections[section].append(rule)
            case "port":
                port, _, protocol = waiting.pop(0).partition("/")
                ports = {(protocol or "TCP").lower(): {"destinationPort": {"number": int(port)}}}
                sections[section][-1]["protocols"] = [ports]
            case word:
                raise ValueError(f"nobody knows what {word} means in a tier")
    baseline = number == "baseline"
    manifest = cluster_policy(
        name,
        tier="Baseline" if baseline else "Admin",
        priority=10 if baseline else int(number),
        subject=subject,
        egress=sections.get("egress", ()),
        ingress=sections.get("ingress", ()),
    )
    (made,) = snapshot_of([manifest]).cluster_policies
    return dataclasses.replace(made, annotations=annotations_in(words))


def _peer_of_tier(waiting: list[str]) -> dict[str, Any]:
    match waiting.pop(0):
        case "nodes":
            return {"nodes": selector_in(waiting.pop(0))}
        case "block":
            return {"networks": [waiting.pop(0)]}
        case word:
            return _pods_of_tier(word)


def _pods_of_tier(word: str) -> dict[str, Any]:
    spaces, slash, pods = word.rpartition("/")
    if not slash:
        return (
            {"namespaces": {}}
            if pods == "all"
            else {"pods": {"namespaceSelector": {}, "podSelector": selector_in(pods)}}
        )
    return {"pods": {"namespaceSelector": selector_in(spaces), "podSelector": selector_in(pods)}}
