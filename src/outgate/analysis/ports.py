"""Which ports: the exact set of transports that one end lets pass to or from another.

For two single ends each rule of either is asked for the transports with which it matches the other; a connection needs
both, so the answer is the intersection of what the rules of each end make up together. Three things do not depend on
the port and are asked of `judge` once: whether an end is isolated at all, whether policy stands between the two
(a pod and itself, a node and its pods), and the reason for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from outgate.analysis.on_condition import Conditional, by_rules
from outgate.model import Direction, Pod
from outgate.packets import AddressSet, Protocol, TransportSet
from outgate.policy import Action, Endpoint, Flow, Judge, Origin, Rule, Side, Trace, matched
from outgate.policy.profile import PASSING_ICMP
from outgate.policy.rules import NamedPort
from outgate.policy.selection import resolve
from outgate.policy.tiers import partition
from outgate.records import dataclass

__all__ = ["PairPorts", "PortShare", "open_points", "pair_ports"]

_GOVERNED = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)


@dataclass(frozen=True, slots=True)
class PortShare:
    """Transports that one rule allows, or (None) that nobody forbids."""

    transports: TransportSet
    rule: Rule | None

    @property
    def origin(self) -> Origin | None:
        """Where the rule stands."""
        return None if self.rule is None else self.rule.origin


@dataclass(frozen=True, slots=True)
class PairPorts:
    """What two ends let pass. The shares of a direction are disjoint; what is in none of them is denied."""

    source: Endpoint
    destination: Endpoint
    egress: tuple[PortShare, ...]
    ingress: tuple[PortShare, ...]
    trace: Trace
    """One flow between the two: its sides say who is isolated, and by whom."""
    on_condition: tuple[Conditional, ...] = ()
    """What of it passes only on a condition above TCP."""
    addresses: AddressSet | None = None
    """Those that are treated like the end outside, where it stands for others."""

    def side(self, direction: Direction) -> TransportSet:
        """All that one end lets pass."""
        return _union(self.egress if direction is Direction.EGRESS else self.ingress)

    @property
    def allowed(self) -> TransportSet:
        """What both ends let pass."""
        return _union(self.egress) & _union(self.ingress)


def pair_ports(judge: Judge, source: Endpoint, destination: Endpoint) -> PairPorts:
    """The transports from one end to another, untranslated."""
    trace = judge.judge(Flow(source, destination, int(Protocol.TCP), 1))
    found = PairPorts(
        source,
        destination,
        tuple(_shares(judge, trace.egress, source, destination)),
        tuple(_shares(judge, trace.ingress, destination, source)),
        trace,
    )
    asked = tuple(one for direction in Direction for one in _on_condition(judge, found, direction))
    return replace(found, on_condition=asked) if asked else found


def _on_condition(judge: Judge, pair: PairPorts, direction: Direction) -> Iterator[Conditional]:
    """Of what passes, what an end lets through on a condition, with all rules that would."""
    egress = direction is Direction.EGRESS
    asking = [
        one
        for one in (pair.egress if egress else pair.ingress)
        if one.rule is not None and one.rule.conditions is not None
    ]
    # Nearly always there are none, and all that passes need not be known.
    asked = _union(asking) & pair.allowed if asking else None
    subject, peer = (pair.source, pair.destination) if egress else (pair.destination, pair.source)
    if not asked or subject.pod is None:
        return
    rules = [
        (rule, matched(judge.policies, rule, peer, pair.destination))
        for rule in judge.policies.isolation(subject.pod, direction).every_rule()
        if rule.conditions is not None and rule.action is Action.ACCEPT
    ]
    for part, those in by_rules(asked, rules):
        yield Conditional(direction, part, those)


def _shares(judge: Judge, side: Side, subject: Endpoint, peer: Endpoint) -> Iterator[PortShare]:
    if subject.pod is None or side.outcome is None:
        # Nobody was asked: no policy is about it, or it is exempt.
        yield PortShare(TransportSet.any(), None)
        return
    rest = TransportSet.any()
    if judge.policies.profile.icmp_passes:
        yield PortShare(PASSING_ICMP, None)
        rest = rest - PASSING_ICMP
    # Rule by rule, as `judge` asks: a decision would look at every pod of the cluster first.
    destination = peer if side.direction is Direction.EGRESS else subject
    isolation = judge.policies.isolation(subject.pod, side.direction)
    for transports, verdict, rule in partition(
        isolation, rest, lambda one: matched(judge.policies, one, peer, destination)
    ):
        if verdict.allows:
            yield PortShare(transports, rule)


def open_points(judge: Judge, pair: PairPorts, asked: TransportSet) -> tuple[str, ...]:
    """What the API leaves open about TCP, UDP and SCTP ports among `asked`, in words.

    Under whichever reading of an open point, a verdict changes only at a border of some rule of the two namespaces'
    policies or at a port that a name stands for. So one flow on each side of each border decides for all.
    """
    found: dict[str, None] = {}
    for protocol in _GOVERNED:
        for port in sorted(_borders(judge, pair, protocol)):
            if asked.contains(protocol, port):
                trace = judge.judge(Flow(pair.source, pair.destination, int(protocol), port))
                found.update(dict.fromkeys(trace.open_points))
    return tuple(found)


def _borders(judge: Judge, pair: PairPorts, protocol: Protocol) -> set[int]:
    borders = {0}
    receiver = pair.destination.pod
    for direction, end in ((Direction.EGRESS, pair.source), (Direction.INGRESS, pair.destination)):
        for rule in _rules_around(judge, end.pod, direction):
            if rule.ports is not None:
                for low, high in rule.ports.numbers.of(protocol):
                    borders |= {low, high + 1}
                borders |= _named(rule.ports.names, receiver, protocol)
    return {port for port in borders if port <= 65535}


def _rules_around(judge: Judge, pod: Pod | None, direction: Direction) -> Iterator[Rule]:
    if pod is not None:
        policies = judge.policies.snapshot.policies_by_namespace.get(pod.namespace, ())
        yield from judge.policies.rules((*policies, *judge.policies.selection.governing(pod, direction)), direction)


def _named(names: tuple[NamedPort, ...], pod: Pod | None, protocol: Protocol) -> set[int]:
    if pod is None:
        return set()
    spans = resolve(names, pod).of(protocol)
    return {border for low, high in spans for border in (low, high + 1)}


def _union(shares: Iterable[PortShare]) -> TransportSet:
    found = TransportSet()
    for share in shares:
        found |= share.transports
    return found
