"""Which policies and rules the assertions exercise.

    A rule is exercised if a packet that some assertion speaks of matches it, at a pod that its policy selects.
    That a policy isolates, in one direction, is one thing more to be exercised: it is, if a packet that some assertion
    speaks of is denied at a pod that the policy selects. Where one of its rules allows everything, nothing is.

An assertion speaks of its packets; `only` and `exactly` speak of every packet of their subject but what they ignore. A
rule that no assertion exercises can be deleted, and the test stays green.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.analysis.blocks import beyond_the_cluster, rule_beyond
from outgate.analysis.demand import Demand
from outgate.analysis.verdicts import Outcome
from outgate.model import Direction, NetworkPolicy, Pod
from outgate.packets import PacketSet, TransportSet
from outgate.policy import Endpoint, Judge, Origin, matched
from outgate.policy.rules import origin_of
from outgate.records import dataclass

__all__ = ["Coverage", "coverage"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Everything that could be exercised, and what was not. An origin without a rule is the isolation by a policy."""

    total: int
    missing: tuple[Origin, ...]

    @property
    def exercised(self) -> int:
        """How much of it was exercised."""
        return self.total - len(self.missing)

    @property
    def percent(self) -> float:
        """Of a hundred; a hundred where there is nothing to exercise. Rounded down, so that 100 means all."""
        return self.exercised * 1000 // self.total / 10 if self.total else 100.0

    def reaches(self, least: float) -> bool:
        """Whether at least so many of a hundred are exercised."""
        return self.exercised * 100 >= least * self.total


def coverage(judge: Judge, outcomes: Iterable[Outcome]) -> Coverage:
    """What the assertions exercise of all policies of the snapshot."""
    everything = dict.fromkeys(_everything(judge))
    search = _Search(judge, dict(everything))
    for outcome in outcomes:
        for demand in outcome.demands:
            search.take(demand)
    return Coverage(len(everything), tuple(one for one in everything if one in search.missing))


def _everything(judge: Judge) -> Iterator[Origin]:
    for policy in judge.policies.snapshot.every_policy:
        for direction in Direction:
            if direction in policy.types:
                rules = judge.policies.selection.rules(policy, direction)
                # A policy of the whole cluster denies nothing by being there.
                if isinstance(policy, NetworkPolicy) and not any(
                    rule.peers is None and rule.ports is None for rule in rules
                ):
                    yield origin_of(policy, direction)
                yield from (rule.origin for rule in rules)


class _Search:
    """Strikes out what is exercised."""

    def __init__(self, judge: Judge, missing: dict[Origin, None]) -> None:
        self.judge = judge
        self.missing = missing

    def take(self, demand: Demand) -> None:
        """One demand, at each end that has policies."""
        ends = (
            (Direction.EGRESS, demand.source, demand.destination),
            (Direction.INGRESS, demand.destination, demand.source),
        )
        for direction, near, far in ends:
            single = demand.addresses is None or demand.told is not None
            if near.pod is not None and (single or direction is demand.near):
                self._take(demand, direction, near.pod, far)

    def _take(self, demand: Demand, direction: Direction, pod: Pod, far: Endpoint) -> None:
        policies = (demand.told or self.judge).policies
        isolation = policies.isolation(pod, direction)
        whole = [one for one in isolation.origins if one in self.missing]
        rules = [one for one in isolation.every_rule() if one.origin in self.missing]
        if not (whole or rules):
            return
        if demand.addresses is None or demand.told is not None:
            # Seen from this end the other one is far, whichever of the two the demand calls known.
            passing = demand.pair.side(direction) if demand.pair is not None else TransportSet.any()
            if whole and demand.asked - passing:
                self._strike(whole)
            self._strike(one.origin for one in rules if matched(policies, one, far, demand.destination) & demand.asked)
            return
        asked = demand.packets()
        if whole and asked - beyond_the_cluster(self.judge, pod, direction).restrict(demand.addresses):
            self._strike(whole)
        self._strike(one.origin for one in rules if PacketSet.union_of((rule_beyond(policies, one, pod),)) & asked)

    def _strike(self, origins: Iterable[Origin]) -> None:
        for one in list(origins):
            self.missing.pop(one, None)
