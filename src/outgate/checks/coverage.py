"""Not a check: which rules add nothing to the others.

Rules are asked one after the other, the last first, and one that adds nothing counts as gone for those that are asked
after it: of two that are alike one stays, and all that are found can be taken away together. "Adds nothing" is exact:
for every workload that the policy selects, for every pod and port within the cluster (as sets of identities) and for
every address outside (as sets of packets).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator

from outgate.checks.survey import Isolated, Survey
from outgate.model import Direction, NetworkPolicy
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.packets.addresses import Family
from outgate.policy import Rule
from outgate.policy.cells import Contribution
from outgate.policy.grid import Grid
from outgate.records import dataclass

__all__ = ["Redundant", "redundant_policies", "redundant_rules"]


@dataclass(frozen=True, slots=True)
class Redundant:
    """A rule that adds nothing, and rules that together allow all that it does."""

    rule: Rule
    by: tuple[Rule, ...]


def redundant_rules(survey: Survey) -> tuple[Redundant, ...]:
    """Those of all policies, by policy and index."""
    return survey.once(_redundant_rules)


def _redundant_rules(survey: Survey) -> tuple[Redundant, ...]:
    return tuple(one for direction in Direction for one in reversed(list(_of(survey, direction))))


def redundant_policies(survey: Survey) -> Iterator[tuple[NetworkPolicy, tuple[NetworkPolicy, ...]]]:
    """Those that can go, all at once, with the policies that isolate the same pods and stay.

    A policy can go if each of its rules can, and if everybody whom it isolates is isolated by one that stays. Policies
    for every pod of a namespace are not asked: they are for pods to come.
    """
    needed = _needed(survey)
    gone: set[int] = set()
    found = []
    under: dict[int, list[Isolated]] = {}
    for direction in Direction:
        for whom in survey.united(direction):
            for policy in whom.own:
                under.setdefault(id(policy), []).append(whom)
    for policy in reversed(survey.snapshot.policies):
        standings = under.get(id(policy), [])
        if not policy.pods or not standings or id(policy) in needed:
            continue
        stay = [[one for one in each.own if one is not policy and id(one) not in gone] for each in standings]
        if all(stay):
            gone.add(id(policy))
            found.append((policy, tuple({str(one): one for many in stay for one in many}.values())))
    yield from reversed(found)


def _needed(survey: Survey) -> set[int]:
    """The policies of which any rule adds something."""
    superfluous = {(one.rule.origin, one.rule.direction) for one in redundant_rules(survey)}
    return {
        id(policy)
        for direction in Direction
        for whom in survey.united(direction)
        for policy in whom.own
        for rule in survey.grid.rules_of(policy, direction)
        if (rule.origin, direction) not in superfluous
    }


def _of(survey: Survey, direction: Direction) -> Iterator[Redundant]:
    having: dict[int, tuple[Rule, list[Isolated]]] = {}
    for whom in survey.united(direction):
        for rule in whom.rules:
            having.setdefault(id(rule), (rule, []))[1].append(whom)
    gone: set[int] = set()
    ordered = sorted(
        having.values(), key=lambda one: (one[0].origin.namespace, one[0].origin.name, one[0].origin.rule or 0)
    )
    for rule, many in reversed(ordered):
        others = [[one for one in whom.rules if one is not rule and id(one) not in gone] for whom in many]
        asked = [_Asked(survey.grid, whom, rule) for whom in many]
        if any(one.matters for one in asked) and all(
            one.covered(mine) for one, mine in zip(asked, others, strict=True)
        ):
            gone.add(id(rule))
            yield Redundant(rule, _by(asked, others))


def _by(asked: list[_Asked], others: list[list[Rule]]) -> tuple[Rule, ...]:
    """One rule that is enough everywhere, or else all that have part in it."""
    shared = [rule for rule in others[0] if all(any(rule is one for one in mine) for mine in others)]
    for rule in shared:
        if all(one.covered([rule]) for one in asked):
            return (rule,)
    found = {id(rule): rule for one, mine in zip(asked, others, strict=True) for rule in mine if one.touches(rule)}
    return tuple(found.values())


class _Asked:
    """One rule, for the workloads that the same policies isolate."""

    def __init__(self, grid: Grid, whom: Isolated, rule: Rule) -> None:
        self.grid = grid
        # A port name of an ingress rule is each pod's own; without names, one stands for all.
        named = rule.direction is Direction.INGRESS and any(one.ports and one.ports.names for one in whom.rules)
        numbers = dict.fromkeys(group.identity for group in whom.groups)
        self.numbers = tuple(numbers) if named else tuple(numbers)[:1]
        self.rule = rule

    @property
    def matters(self) -> bool:
        """Whether the rule allows anything at all in this input."""
        return any(
            bits for number in self.numbers for family in self.grid.families for _, bits in self._inside(number, family)
        ) or any(self._outside(self.rule, number) for number in self.numbers)

    def covered(self, others: list[Rule]) -> bool:
        """Whether these allow all that the rule does."""
        return all(self._covered(number, others) for number in self.numbers)

    def touches(self, other: Rule) -> bool:
        """Whether a rule allows any of what this one does."""
        for number in self.numbers:
            mine = PacketSet.union_of([self._cube(self.rule, number)])
            if mine & PacketSet.union_of([self._cube(other, number)]):
                return True
            for family in self.grid.families:
                theirs = self._contributions(other, number, family)
                for transports, bits in self._inside(number, family):
                    if any(bits & each and self.grid.transports.meet(transports, one) for one, each in theirs):
                        return True
        return False

    def _covered(self, number: int, others: list[Rule]) -> bool:
        for family in self.grid.families:
            theirs = [each for other in others for each in self._contributions(other, number, family)]
            met = functools.reduce(operator.or_, (bits for _, bits in theirs), 0)
            # Most rules speak of somebody of whom no other does, which is seen before anything is put together.
            if any(bits & ~met for _, bits in self._inside(number, family)):
                return False
            row = self.grid.union(theirs)
            for transports, bits in self._inside(number, family):
                if not self._within(transports, bits, row):
                    return False
        addresses, ports = self._cube(self.rule, number)
        if not addresses or not ports:
            return True
        return PacketSet.cube(addresses, ports) <= PacketSet.union_of(self._cube(other, number) for other in others)

    def _within(self, transports: int, bits: int, row: Iterable[Contribution]) -> bool:
        wanted = self.grid.transports.sets[transports]
        for known, mine in row:
            if bits & mine and wanted <= self.grid.transports.sets[known]:
                bits &= ~mine
        return not bits

    def _inside(self, number: int, family: Family) -> tuple[Contribution, ...]:
        return self._contributions(self.rule, number, family)

    def _contributions(self, rule: Rule, number: int, family: Family) -> tuple[Contribution, ...]:
        if rule.direction is Direction.EGRESS:
            return self.grid.out_of(rule, family)
        return self.grid.into(rule, number, family)

    def _outside(self, rule: Rule, number: int) -> bool:
        addresses, ports = self._cube(rule, number)
        return bool(addresses) and bool(ports)

    def _cube(self, rule: Rule, number: int) -> tuple[AddressSet, TransportSet]:
        return self.grid.outside_of(rule), self.grid.ports_outside(rule, number)
