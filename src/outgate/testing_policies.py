"""Policies of the whole cluster for tests: how `outgate.testing` draws them. Import them from there.

What is drawn is what the API server takes, and every form of it that decides about a packet: all peers, ports of all
protocols, by number, range and name, or none; no rules, one direction or both; fields that are absent or null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from outgate.records import dataclass

__all__ = ["Alphabet", "Choose", "cluster_policy", "drawn_cluster_policy", "drawn_old_policy"]

T = TypeVar("T")
Manifest = dict[str, Any]

_GROUP = "policy.networking.k8s.io"
_DIRECTIONS = ((True, False), (True, False), (True, True), (False, True), (False, False))


class Choose(Protocol):
    """Takes one of some options, the simplest of which comes first."""

    def __call__(self, options: Sequence[T], /) -> T:
        """One of the options."""


@dataclass(frozen=True, slots=True)
class Alphabet:
    """What the peers and ports of a policy are put together from: of what meets each other."""

    pods: Callable[[Choose], Manifest]
    namespaces: Callable[[Choose], Manifest]
    nodes: Callable[[Choose], Manifest]
    """Selectors as they are written."""
    networks: Sequence[str]
    ports: Sequence[int]
    port_names: Sequence[str]
    names: Sequence[str] = ()
    """DNS names; without any, no rule has them as its peer."""


def cluster_policy(
    name: str,
    *,
    tier: str = "Admin",
    priority: int = 10,
    subject: Mapping[str, object] | None = None,
    egress: Sequence[Mapping[str, object]] = (),
    ingress: Sequence[Mapping[str, object]] = (),
) -> Manifest:
    """A ClusterNetworkPolicy, for all pods unless a `subject` is given; the rules as they would be written."""
    spec: Manifest = {"tier": tier, "priority": priority, "subject": dict(subject or {"namespaces": {}})}
    spec |= {section: [*map(dict, rules)] for section, rules in (("egress", egress), ("ingress", ingress)) if rules}
    version = "policy.networking.k8s.io/v1alpha2"
    return {"apiVersion": version, "kind": "ClusterNetworkPolicy", "metadata": {"name": name}, "spec": spec}


def drawn_cluster_policy(choose: Choose, of: Alphabet) -> Manifest:
    """A ClusterNetworkPolicy called "p"."""
    spec: Manifest = {"tier": choose(("Admin", "Baseline")), "priority": choose((0, 1, 10, 1000))}
    return _policy(choose, of, ("v1alpha2", "ClusterNetworkPolicy", "p"), spec, ("Accept", "Deny", "Pass"))


def drawn_old_policy(choose: Choose, of: Alphabet) -> Manifest:
    """An AdminNetworkPolicy called "p", or the BaselineAdminNetworkPolicy."""
    if choose((False, True)):
        return _policy(choose, of, ("v1alpha1", "BaselineAdminNetworkPolicy", "default"), {}, ("Allow", "Deny"))
    spec: Manifest = {"priority": choose((0, 1, 10, 1000))}
    return _policy(choose, of, ("v1alpha1", "AdminNetworkPolicy", "p"), spec, ("Allow", "Deny", "Pass"))


def _policy(
    choose: Choose, of: Alphabet, what: tuple[str, str, str], spec: Manifest, actions: Sequence[str]
) -> Manifest:
    version, kind, name = what
    spec["subject"] = _pods(choose, of, version)
    for section, given in zip(("egress", "ingress"), choose(_DIRECTIONS), strict=True):
        if given:
            spec[section] = [_rule(choose, of, version, section, actions) for _ in range(choose((1, 2, 3)))]
        else:
            spec |= choose(({}, {section: []}, {section: None}))
    return {"apiVersion": f"{_GROUP}/{version}", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _rule(choose: Choose, of: Alphabet, version: str, section: str, actions: Sequence[str]) -> Manifest:
    action = choose(actions)
    peers = "to" if section == "egress" else "from"
    # "DomainNames is only supported for Accept rules", and a baseline policy of v1alpha1 has none at all.
    names = (
        bool(of.names)
        and section == "egress"
        and action in ("Accept", "Allow")
        and (version == "v1alpha2" or "Pass" in actions)
    )
    within = (_pods,) if section == "ingress" else (_pods, _pods, _outside)
    rule: Manifest = {"action": action}
    rule[peers] = [
        _names(choose, of) if names and choose(range(5)) == 4 else choose(within)(choose, of, version)
        for _ in range(choose((1, 1, 2)))
    ]
    # "networks/nodes/domainNames peer cannot be set with namedPorts"
    named = all(one.keys() <= {"namespaces", "pods"} for one in rule[peers])
    port = _new_port if version == "v1alpha2" else _old_port
    if choose((False, True, True)):
        ports = [port(choose, of, named) for _ in range(choose((1, 2)))]
        rule["protocols" if version == "v1alpha2" else "ports"] = ports
    return rule | choose(({}, {"name": "a rule"}, {"name": None}))


def _pods(choose: Choose, of: Alphabet, version: str) -> Manifest:
    if choose((True, False)):
        return {"namespaces": of.namespaces(choose)}
    if version == "v1alpha2" and choose((False, True)):
        return {"pods": {"podSelector": of.pods(choose)} | choose(({}, {"namespaceSelector": None}))}
    return {"pods": {"namespaceSelector": of.namespaces(choose), "podSelector": of.pods(choose)}}


def _outside(choose: Choose, of: Alphabet, _: str) -> Manifest:
    if choose((False, False, True)):
        return {"nodes": of.nodes(choose)}
    return {"networks": list(dict.fromkeys(choose(of.networks) for _ in range(choose((1, 1, 2)))))}


def _names(choose: Choose, of: Alphabet) -> Manifest:
    return {"domainNames": list(dict.fromkeys(choose(of.names) for _ in range(choose((1, 2)))))}


def _range(choose: Choose, of: Alphabet) -> Manifest:
    low = choose(sorted(of.ports)[:-1])
    return {"start": low, "end": choose([one for one in of.ports if one > low])}


def _new_port(choose: Choose, of: Alphabet, named: bool) -> Manifest:
    if named and choose((False, False, True)):
        return {"destinationNamedPort": choose(of.port_names)}
    number: Manifest = {"range": _range(choose, of)} if choose((False, True)) else {"number": choose(of.ports)}
    return {choose(("tcp", "udp", "sctp")): {"destinationPort": number}}


def _old_port(choose: Choose, of: Alphabet, named: bool) -> Manifest:
    if named and choose((False, False, True)):
        return {"namedPort": choose(of.port_names)}
    protocols: tuple[Manifest, ...] = ({"protocol": "TCP"}, {"protocol": "UDP"}, {"protocol": "SCTP"}, {})
    protocol = choose((*protocols, {"protocol": None}))
    if choose((False, True)):
        return {"portRange": _range(choose, of) | protocol}
    return {"portNumber": {"port": choose(of.ports)} | protocol}
