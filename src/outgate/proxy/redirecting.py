"""From the policies of pods to redirects: which of their connections Envoy looks into, and by which rules.

The kernel has decided by the same rules which connections come here (`outgate.nft.redirects`); here it is said once
more by addresses and ports which rule is about which of them, so that no rule lets through what another is about. Rules
without conditions are listed, too, where they have a port in common with one that has some: a connection that was here
before such a rule came goes on, and is not refused.

A peer that is known by DNS names has no addresses here, so its rules let nothing through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from outgate.model import Direction, Pod
from outgate.packets import Address, AddressSet, IntervalSet, Protocol
from outgate.packets.transport import PORTS
from outgate.policy import BlockMatch, Origin, PodMatch, Policies, Rule
from outgate.policy.requests import is_looked_into
from outgate.policy.rules import Conditions
from outgate.proxy.redirect import Allowance, Redirect

__all__ = ["redirects_of", "rule_name"]

_PORTS = IntervalSet.of((1, PORTS.spans[-1][1]))


def rule_name(origin: Origin) -> str:
    """What a rule is called where a refusal is told of."""
    return f"{origin.kind} {origin}" if origin.namespace else str(origin)


def redirects_of(policies: Policies, pods: Iterable[Pod]) -> tuple[Redirect, ...]:
    """The redirects for some pods; those that share their rules share their redirects."""
    together: dict[tuple[int, ...], tuple[tuple[Rule, ...], list[Address]]] = {}
    for pod in pods:
        rules = policies.isolation(pod, Direction.EGRESS).rules
        if any(map(is_looked_into, rules)):
            mine = [one for one in pod.addresses if one not in policies.snapshot.contested]
            together.setdefault(tuple(map(id, rules)), (rules, []))[1].extend(mine)
    return tuple(one for rules, sources in together.values() for one in _of_class(policies, rules, tuple(sources)))


def _of_class(policies: Policies, rules: tuple[Rule, ...], sources: tuple[Address, ...]) -> Iterator[Redirect]:
    flows = [(rule, tuple(_flows(policies, rule))) for rule in rules]
    watched = IntervalSet.of(
        *(span for rule, parts in flows if is_looked_into(rule) for _, ports in parts for span in ports.spans)
    )
    for rule, parts in flows:
        conditions = rule.conditions or Conditions()
        if rule.conditions is not None and not is_looked_into(rule):
            continue
        allowed = (Allowance(rule_name(rule.origin), conditions.http, conditions.server_names),)
        for places, ports in parts:
            common = ports & watched
            if common and places:
                blocks = tuple(places.networks())
                yield Redirect(sources, blocks, common.spans, allowed)


def _flows(policies: Policies, rule: Rule) -> Iterator[tuple[AddressSet, IntervalSet]]:
    """The destinations of a rule and the TCP ports there."""
    places = _destinations(policies, rule)
    if rule.ports is None:
        yield places, _PORTS
        return
    yield places, _tcp(rule.ports.numbers.items()) & _PORTS
    for name in rule.ports.names:
        for numbers, there in policies.selection.named_port(name):
            yield places & there, _tcp(numbers.items()) & _PORTS


def _tcp(items: Iterable[tuple[Protocol, IntervalSet]]) -> IntervalSet:
    found: Mapping[Protocol, IntervalSet] = dict(items)
    return found.get(Protocol.TCP, IntervalSet())


def _destinations(policies: Policies, rule: Rule) -> AddressSet:
    if rule.peers is None:
        return AddressSet.any()
    known = (one for one in rule.peers if isinstance(one, PodMatch | BlockMatch))
    return AddressSet.union_of(map(policies.selection.addresses, known))
