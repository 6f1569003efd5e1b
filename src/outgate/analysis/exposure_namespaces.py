"""Between namespaces: which of the others a workload reaches, and from which it is reached.

Both ends are asked, egress and ingress, of the pods that are there: a namespace is reached if any pod of it is, on any
port of TCP, UDP or SCTP. Sets of identities are integers (see `policy.identity`), so a namespace is one integer, and
the question is one intersection for each.

A namespace may be reached for what policies ask for alone, and for nothing else. Then pairs of identities are looked
at, until one is found between which something passes openly: that is no work where no rule has conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from outgate.analysis.conditional import Conditional, Conditionals, conditionals
from outgate.analysis.connections import Connections
from outgate.analysis.groups import Group
from outgate.analysis.on_condition import chosen
from outgate.model import Direction
from outgate.packets import TransportSet
from outgate.policy.cells import number_at
from outgate.policy.grid import Grid, PolicyKey
from outgate.policy.identity import Bits, members
from outgate.policy.rules import Origin, Rule
from outgate.records import dataclass

__all__ = ["Neighbourhood", "Neighbours", "Purpose"]

_GOVERNED = TransportSet.governed()


@dataclass(frozen=True, slots=True)
class Purpose:
    """What all that passes to (or from) some pods of these namespaces has to be asked for."""

    namespaces: tuple[str, ...]
    transports: TransportSet
    asked: tuple[Conditional, ...]
    """Of every port; where both ends ask, both have to be met."""

    @property
    def chooses(self) -> bool:
        """Whether none of it passes openly."""
        return not self.transports - chosen(self.asked)

    @property
    def sign(self) -> object:
        """What makes two of them say the same, wherever it is written."""
        asked = (
            (one.direction, one.transports, frozenset(rule.conditions for rule in one.rules)) for one in self.asked
        )
        return self.transports, frozenset(asked)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The other namespaces of the input that have pods, and which of them a workload deals with."""

    others: int
    reaches: tuple[str, ...]
    reached_from: tuple[str, ...]
    out_by: tuple[Origin, ...]
    """The egress rules by which any pod there is reached. Empty where no policy isolates it."""
    in_by: tuple[Origin, ...]
    """The ingress rules that name any pod of the namespaces that reach it."""
    reaches_for: tuple[Purpose, ...] = ()
    """What is asked of all that passes to some of them. Where a namespace is in several, its pods differ in that."""
    reached_for: tuple[Purpose, ...] = ()
    """The same of those that it is reached from."""

    reaches_openly: tuple[str, ...] = ()
    """Those that are reached without a request, a question or a name being chosen for it."""


class Neighbourhood:
    """The namespaces of a grid."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._members: dict[str, Bits] = {}
        for number, identity in enumerate(grid.identities.all):
            self._members[identity.namespace] = self._members.get(identity.namespace, 0) | 1 << number
        self._opens: dict[int, bool] = {}
        self._asking: dict[tuple[PolicyKey, Direction], bool] = {}
        self._pairs: dict[tuple[int, int], Purpose | None] = {}
        self._reached = [self._reaches(number) for number in range(len(grid.identities.all))]
        self._from: dict[str, Bits] = dict.fromkeys(self._members, 0)
        for number, identity in enumerate(grid.identities.all):
            self._from[identity.namespace] |= self._reached[number]

    def of(self, number: int) -> Neighbours:
        """The neighbours of an identity."""
        own = self._grid.identities.all[number].namespace
        others = {name: bits for name, bits in sorted(self._members.items()) if name != own}
        reaches = [name for name, bits in others.items() if bits & self._reached[number]]
        reached_from = [name for name in others if self._from[name] >> number & 1]
        reaches_for = self._purposes(
            number, {name: others[name] & self._reached[number] for name in reaches}, Direction.EGRESS
        )
        return Neighbours(
            len(others),
            tuple(reaches),
            tuple(reached_from),
            self._out_by(number, _union(others[name] for name in reaches)),
            self._in_by(number, _union(others[name] for name in reached_from)),
            reaches_for,
            self._purposes(number, {name: others[name] for name in reached_from}, Direction.INGRESS),
            tuple(_openly(reaches, reaches_for)),
        )

    # ---- what is asked -----------------------------------------------------------------------------------------------

    def _purposes(self, number: int, others: Mapping[str, Bits], direction: Direction) -> tuple[Purpose, ...]:
        """Of the namespaces to (from) which nothing passes openly: what is asked of what does."""
        if not self._grid.has_conditions:
            return ()
        found: dict[object, tuple[list[str], Purpose]] = {}
        for name, bits in others.items():
            pairs = ((number, one) if direction is Direction.EGRESS else (one, number) for one in members(bits))
            for purpose in self._all_asked(pairs):
                found.setdefault(purpose.sign, ([], purpose))[0].append(name)
        return tuple(replace(one, namespaces=tuple(names)) for names, one in found.values())

    def _all_asked(self, pairs: Iterable[tuple[int, int]]) -> Iterable[Purpose]:
        """What is asked between some pairs, each that differs; nothing where anything passes of which nothing is."""
        found: dict[object, Purpose] = {}
        for pair in pairs:
            purpose = self._between(pair)
            if purpose is None:
                continue
            left = purpose.transports
            for one in purpose.asked:
                left = left - one.transports
            if left:
                return ()
            found.setdefault(purpose.sign, purpose)
        return found.values()

    def _between(self, pair: tuple[int, int]) -> Purpose | None:
        if pair not in self._pairs:
            source, destination = pair
            passing = number_at(self._grid.joined(source), destination)
            transports = self._grid.transports.sets[passing] & _GOVERNED
            asked: tuple[Conditional, ...] = ()
            ends = zip(pair, (Direction.EGRESS, Direction.INGRESS), strict=True)
            if transports and any(self._asks(self._grid.keys[each][one], each) for one, each in ends):
                whole = self._list.whole(self._alone(source), self._alone(destination))
                asked = self._only(replace(whole, transports=whole.transports & _GOVERNED))
            self._pairs[pair] = Purpose((), transports, asked) if transports else None
        return self._pairs[pair]

    def _asks(self, key: PolicyKey, direction: Direction) -> bool:
        found = self._asking.get((key, direction))
        if found is None:
            rules = self._grid.standing(key, direction).rules if key else ()
            found = self._asking[key, direction] = any(rule.conditions is not None for rule in rules)
        return found

    def _alone(self, number: int) -> Group:
        """One identity as an end of a connection."""
        pods = self._grid.identities.pods[number]
        return Group("Pod", pods[0].namespace, pods[0].name, tuple(pods), number)

    @cached_property
    def _list(self) -> Connections:
        return Connections(self._grid)

    @cached_property
    def _only(self) -> Conditionals:
        return conditionals(self._list)

    def _reaches(self, number: int) -> Bits:
        found = 0
        for transports, bits in self._grid.joined(number):
            if self._is_open(transports):
                found |= bits
        return found

    def _is_open(self, transports: int) -> bool:
        found = self._opens.get(transports)
        if found is None:
            found = self._opens[transports] = bool(self._grid.transports.sets[transports] & _GOVERNED)
        return found

    def _out_by(self, number: int, whom: Bits) -> tuple[Origin, ...]:
        rules = self._grid.accepting(self._grid.keys[Direction.EGRESS][number], Direction.EGRESS) if whom else ()
        return tuple(dict.fromkeys(rule.origin for rule in rules if self._leads_out(rule, number, whom)))

    def _leads_out(self, rule: Rule, number: int, whom: Bits) -> bool:
        """Whether what the rule lets out is let in by any of these."""
        grid = self._grid
        return any(
            bits & others & whom and self._is_open(grid.transports.meet(transports, both))
            for family in grid.families
            for transports, bits in grid.out_of(rule, family)
            for both, others in grid.row(number, family)
        )

    def _in_by(self, number: int, whom: Bits) -> tuple[Origin, ...]:
        rules = self._grid.accepting(self._grid.keys[Direction.INGRESS][number], Direction.INGRESS) if whom else ()
        families = self._grid.families
        named = (rule.origin for rule in rules if any(self._grid.peers(rule, one) & whom for one in families))
        return tuple(dict.fromkeys(named))


def _openly(names: Iterable[str], purposes: Iterable[Purpose]) -> Iterator[str]:
    chosen_for: set[str] = set()
    every: set[str] = set()
    for one in purposes:
        if not every.issuperset(one.namespaces):
            (chosen_for if one.chooses else every).update(one.namespaces)
    yield from (name for name in names if name not in chosen_for or name in every)


def _union(many: Iterable[Bits]) -> Bits:
    found = 0
    for bits in many:
        found |= bits
    return found
