"""From a decoded NetworkPolicy to the object, defaulted as the server stores it.

``SetDefaults_NetworkPolicy`` sets two things and no more: a port's protocol, and the policy types
("if len(policyTypes)==0: policyTypes=[Ingress]; if len(egress)!=0: append Egress").
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from outgate.model.labels import LabelSelector, Operator, Requirement
from outgate.model.objects import BlockPeer, Direction, NetworkPolicy, Peer, PodPeer, PolicyPort, PolicyRule
from outgate.model.place import Place
from outgate.model.validate_cidr import read_cidr

__all__ = ["network_policy"]


def network_policy(value: Mapping[str, Any], place: Place) -> NetworkPolicy:
    """The object of a decoded policy in which `network_policy_flaws` found nothing (of a stored one: that decodes)."""
    metadata, spec = value["metadata"], value.get("spec", {})
    at = place / "spec"
    egress = _rules(spec.get("egress", ()), "to", at / "egress")
    ingress = _rules(spec.get("ingress", ()), "from", at / "ingress")
    return NetworkPolicy(
        namespace=metadata["namespace"],
        name=metadata["name"],
        pods=_selector(spec.get("podSelector", {})),
        types=_types(spec.get("policyTypes", ()), has_egress=bool(egress)),
        egress=egress,
        ingress=ingress,
        uid=metadata.get("uid", ""),
        annotations=metadata.get("annotations", {}),
        place=place,
    )


def _types(written: list[str], *, has_egress: bool) -> frozenset[Direction]:
    if written:
        return frozenset(map(Direction, written))
    return frozenset({Direction.INGRESS, Direction.EGRESS} if has_egress else {Direction.INGRESS})


def _rules(rules: list[dict[str, Any]], peers: str, place: Place) -> tuple[PolicyRule, ...]:
    made = []
    document = place.document
    for i, rule in enumerate(rules):
        at = (*place.at, i)
        made.append(
            PolicyRule(
                tuple([_peer(one, Place(document, (*at, peers, k))) for k, one in enumerate(rule.get(peers, ()))]),
                tuple([_port(one, Place(document, (*at, "ports", k))) for k, one in enumerate(rule.get("ports", ()))]),
                Place(document, at),
            )
        )
    return tuple(made)


def _peer(peer: Mapping[str, Any], place: Place) -> Peer:
    block = peer.get("ipBlock")
    if block is None:
        # An absent selector and an empty one are different things here.
        pods, namespaces = peer.get("podSelector"), peer.get("namespaceSelector")
        return PodPeer(
            None if pods is None else _selector(pods),
            None if namespaces is None else _selector(namespaces),
            place,
        )
    cidr = read_cidr(block["cidr"])
    excepts = [read_cidr(one) for one in block.get("except", ())]
    assert cidr is not None, "validation lets no unreadable block through"
    return BlockPeer(cidr, tuple(one for one in excepts if one is not None), place)


def _port(port: Mapping[str, Any], place: Place) -> PolicyPort:
    return PolicyPort(port.get("protocol", "TCP"), port.get("port"), port.get("endPort"), place)


def _selector(selector: Mapping[str, Any]) -> LabelSelector:
    exact, expressions = selector.get("matchLabels"), selector.get("matchExpressions")
    return _shared(
        tuple(exact.items()) if exact else (),
        tuple((one["key"], one["operator"], tuple(one.get("values", ()))) for one in expressions or ()),
    )


@functools.lru_cache(maxsize=1 << 14)
def _shared(
    exact: tuple[tuple[str, str], ...], expressions: tuple[tuple[str, str, tuple[str, ...]], ...]
) -> LabelSelector:
    """Policies have few selectors and each many times: equal ones are one object."""
    requirements = (Requirement(key, Operator(operator), values) for key, operator, values in expressions)
    return LabelSelector.of(dict(exact), requirements)
