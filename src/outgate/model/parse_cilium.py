"""From a decoded CiliumNetworkPolicy, its sister for the whole cluster, or a CiliumCIDRGroup to the values.

Only what `outgate.model.validate_cilium` found nothing in comes here: every value has its type and nothing is null.
"""

from __future__ import annotations

import functools
import ipaddress
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from outgate.model.cilium import (
    CidrGroup,
    CiliumPeer,
    CiliumPolicy,
    CiliumRule,
    EndpointPeer,
    EntityPeer,
    GroupPeer,
    NodesPeer,
    ServicePeer,
    Unenforced,
)
from outgate.model.cilium_kinds import GROUP
from outgate.model.objects import BlockPeer, Direction, Network
from outgate.model.parse_cilium_ports import icmp_matches, name_match, port_entry, unenforced_of_ports
from outgate.model.parse_cilium_selectors import endpoint_peer, plain_selector, subject
from outgate.model.place import Place, spell
from outgate.model.structural import unknown_fields
from outgate.model.validate_cidr import go_address, netip_prefix
from outgate.model.validate_cilium_schema import CILIUM_RULES

__all__ = ["read_cilium"]

_Marks = list[Unenforced]
_NOTHING_IF_EMPTY = ("Endpoints", "Nodes", "Entities", "CIDR", "CIDRSet")
"""Lists of peers of which an empty one selects nobody: "Explicitly check for empty non-nil slices, it should not result
in any identity being selected" (``mergeEndpointSelectors``). Of the others an empty one is an absent one."""


def read_cilium(kind: str, value: Mapping[str, Any], place: Place) -> Iterator[CiliumPolicy | CidrGroup]:
    """What an object of this kind makes: its group of blocks, or its policies, one or several."""
    metadata = value["metadata"]
    if kind == GROUP:
        blocks = tuple(_network(text) for text in value["spec"]["externalCIDRs"])
        yield CidrGroup(metadata["name"], blocks, metadata.get("labels", {}), metadata.get("uid", ""), place)
        return
    if "spec" in value:
        yield _policy(metadata, value["spec"], place, None)
    for i, one in enumerate(value.get("specs", ())):
        yield _policy(metadata, one, place, i)


def _network(text: str) -> Network:
    """A block, or an address by itself, which the agent takes where the API server's schema does not.

    IPv4 within IPv6 is IPv6, of which no packet is: "An IPv4 address will not match an IPv6 prefix" (``netip.Prefix``).
    """
    block = netip_prefix(text)
    if block is None:
        address = go_address(text)
        assert address is not None, "validation lets no unreadable block through"
        block = ipaddress.ip_network(address)
    return block


def _policy(metadata: Mapping[str, Any], spec: Mapping[str, Any], place: Place, index: int | None) -> CiliumPolicy:
    here = place / "spec" if index is None else place / "specs" / index
    namespace = metadata.get("namespace", "")
    who = EndpointPeer()
    marks: tuple[Unenforced, ...] = ()
    nodes = None
    if "nodeSelector" in spec:
        nodes = plain_selector(spec["nodeSelector"])
        marks = (Unenforced("nodeSelector", "policies of hosts are not enforced", here / "nodeSelector"),)
    else:
        who, marks = subject(spec["endpointSelector"], namespace, here / "endpointSelector")
    sections = {
        name: _rules(spec.get(name, ()), name, namespace, here / name)
        for name in ("egress", "egressDeny", "ingress", "ingressDeny")
    }
    asked = spec.get("enableDefaultDeny", {})
    isolates = {
        # An entry of either section asks for it unless it is switched off. Without any entry there is nothing that
        # could ask ("len(r.Egress) > 0 || len(r.EgressDeny) > 0"), though it be switched on.
        direction: asked.get(name, True) and bool(sections[name] or sections[f"{name}Deny"])
        for direction, name in ((Direction.EGRESS, "egress"), (Direction.INGRESS, "ingress"))
    }
    return CiliumPolicy(
        metadata["name"],
        namespace,
        who,
        nodes,
        sections["egress"],
        sections["egressDeny"],
        sections["ingress"],
        sections["ingressDeny"],
        frozenset(direction for direction, wanted in isolates.items() if wanted),
        index,
        marks,
        metadata.get("uid", ""),
        metadata.get("annotations", {}),
        here if index is not None else place,
    )


def _rules(rules: list[Mapping[str, Any]], section: str, namespace: str, place: Place) -> tuple[CiliumRule, ...]:
    return tuple(_rule(rule, section, namespace, place / i) for i, rule in enumerate(rules))


def _rule(rule: Mapping[str, Any], section: str, namespace: str, place: Place) -> CiliumRule:
    side = "to" if section.startswith("egress") else "from"
    deny = section.endswith("Deny")
    # A server may have fields that are newer than what reads them, and each may narrow what the rule is about.
    words = "this field is not known here"
    marks: _Marks = [
        Unenforced(spell(path), words, functools.reduce(operator.truediv, path, place))
        for path in unknown_fields(rule, CILIUM_RULES[section])
    ]
    peers = _peers(rule, side, namespace, place, marks)
    entries, icmps = rule.get("toPorts", ()), rule.get("icmps", ())
    marks += unenforced_of_ports(entries, place / "toPorts", deny=deny)
    mode = rule.get("authentication", {}).get("mode", "disabled")
    if mode != "disabled":
        words = f"mutual authentication (mode {mode}) is not done"
        marks.append(Unenforced("authentication", words, place / "authentication"))
    required = f"{side}Requires"
    if rule.get(required):
        words = "requirements on the peers of all rules are not part of the API any more"
        marks.append(Unenforced(required, words, place / required))
    return CiliumRule(
        peers,
        tuple(port_entry(one, place / "toPorts" / i) for i, one in enumerate(entries)),
        tuple(icmp_matches(icmps, place / "icmps")),
        bool(icmps),
        deny,
        tuple(marks),
        place,
    )


def _peers(
    rule: Mapping[str, Any], side: str, namespace: str, place: Place, marks: _Marks
) -> tuple[CiliumPeer, ...] | None:
    """The peers of all kinds that a rule names; None where it names no kind."""
    made: list[CiliumPeer] = []
    named = nobody = False
    for kind, read in _READERS.items():
        name = f"{side}{kind}"
        if name not in rule:
            continue
        nobody = nobody or (not rule[name] and kind in _NOTHING_IF_EMPTY)
        named = named or bool(rule[name])
        for i, one in enumerate(rule[name]):
            made += read(one, namespace, place / name / i, marks)
    if nobody:
        return ()
    return tuple(made) if named else None


def _endpoints(one: Mapping[str, Any], namespace: str, place: Place, marks: _Marks) -> Iterator[CiliumPeer]:
    peer, more = endpoint_peer(one, namespace, place)
    marks += more
    yield peer


def _nodes(one: Mapping[str, Any], _namespace: str, place: Place, _marks: _Marks) -> Iterator[CiliumPeer]:
    yield NodesPeer(plain_selector(one), place)


def _block(one: str, _namespace: str, place: Place, _marks: _Marks) -> Iterator[CiliumPeer]:
    yield BlockPeer(_network(one), (), place)


def _block_less(one: Mapping[str, Any], _namespace: str, place: Place, _marks: _Marks) -> Iterator[CiliumPeer]:
    excepts = tuple(_network(text) for text in one.get("except", ()))
    if "cidrGroupSelector" in one:
        yield GroupPeer("", plain_selector(one["cidrGroupSelector"]), excepts, place)
    elif one.get("cidrGroupRef"):
        yield GroupPeer(one["cidrGroupRef"], None, excepts, place)
    else:
        yield BlockPeer(_network(one["cidr"]), excepts, place)


def _entity(one: str, _namespace: str, place: Place, _marks: _Marks) -> Iterator[CiliumPeer]:
    yield EntityPeer(one, place)


def _services(one: Mapping[str, Any], _namespace: str, place: Place, _marks: _Marks) -> Iterator[CiliumPeer]:
    by_name, by_labels = one.get("k8sService"), one.get("k8sServiceSelector")
    # Of both in one entry Cilium looks at the selector alone (``hasMatchingToServices``).
    if by_labels is not None:
        selector = plain_selector(by_labels["selector"])
        yield ServicePeer(by_labels.get("namespace", ""), "", selector, place / "k8sServiceSelector")
    elif by_name is not None and by_name.get("serviceName"):
        yield ServicePeer(by_name.get("namespace", ""), by_name["serviceName"], None, place / "k8sService")


def _names(one: Mapping[str, Any], _namespace: str, place: Place, _marks: _Marks) -> Iterator[CiliumPeer]:
    yield name_match(one, place)


def _groups(one: Mapping[str, Any], _namespace: str, place: Place, marks: _Marks) -> Iterator[CiliumPeer]:
    words = f"groups of {', '.join(one) or 'no provider'} are not resolved"
    marks.append(Unenforced(place.path.rpartition(".")[2].partition("[")[0], words, place))
    yield from ()


_READERS: Mapping[str, Callable[[Any, str, Place, _Marks], Iterator[CiliumPeer]]] = {
    "Endpoints": _endpoints,
    "CIDR": _block,
    "CIDRSet": _block_less,
    "Entities": _entity,
    "Services": _services,
    "Nodes": _nodes,
    "FQDNs": _names,
    "Groups": _groups,
}
