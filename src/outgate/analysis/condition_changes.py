"""Connections that were there and still are, and of which something else is asked than before.

    rules.http  GET /v1/items   →   .* /.*        nothing differs in addresses and ports, and everything passes now

So what passes on both sides is compared by what is asked of it (`outgate.analysis.conditional`). Conditions of one end
are alternatives: with one added more passes, and with one taken away less. Where one becomes another nobody says which
of them lets more through (expressions are not compared), so it counts as both. What passes on one side alone is a
change of the connection itself (`outgate.analysis.diff`).

Both ends count, each by itself. Addresses outside and those of names are cut by what is asked there before and after.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence

from outgate.analysis.conditional import conditionals
from outgate.analysis.connections import Connection, Connections, External, Party, addresses_outside
from outgate.analysis.controller import INGRESS_CONTROLLER, IngressController
from outgate.analysis.groups import Group
from outgate.analysis.matching import Matched
from outgate.analysis.opened import Named
from outgate.model import Direction
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.policy import Rule
from outgate.policy.requests import asked_headers
from outgate.records import dataclass

__all__ = ["ConditionChange", "condition_changes"]

_GOVERNED = TransportSet.governed()
_OUTSIDE, _CONTROLLER = "outside", "controller"
_Ends = tuple[Hashable, Hashable]
"""The key of a source, and of a destination: a workload and an identity, names, or one of these words."""


@dataclass(frozen=True, slots=True)
class ConditionChange:
    """What one end asks of ports that pass before and after: one of these rules' conditions; without any, nothing."""

    direction: Direction
    source: Party
    destination: Party
    transports: TransportSet
    before: tuple[Rule, ...]
    after: tuple[Rule, ...]

    @property
    def widens(self) -> bool:
        """Whether all that passed surely passes still."""
        return not self.after or (bool(self.before) and _asked(self.before) <= _asked(self.after))

    @property
    def narrows(self) -> bool:
        """Whether surely nothing passes that did not."""
        return not self.before or (bool(self.after) and _asked(self.after) <= _asked(self.before))


def condition_changes(before: Connections, after: Connections, pieces: Sequence[Matched]) -> Iterator[ConditionChange]:
    """All of them, in the order of a list. Costs nothing where no rule has conditions."""
    if not (before.grid.has_conditions or after.grid.has_conditions):
        return
    sides = _Sheet(before), _Sheet(after)
    ends = _Pairs(pieces)
    compared = list(
        dict.fromkeys(pair for number in (0, 1) for one in sides[number].asked for pair in ends.of(one, number))
    )
    for number, side in enumerate(sides):
        side.look_for({ends.on(pair, number) for pair in compared})
    for pair in compared:
        old, new = (side.parts(ends.on(pair, number)) for number, side in enumerate(sides))
        for direction in Direction:
            for packets, was, now in _differing(old[direction], new[direction]):
                for addresses, transports in packets:
                    yield ConditionChange(direction, *ends.shown(pair, addresses), transports, was, now)


class _Pairs:
    """Pairs of ends that are on both sides. A workload's piece is its number; other ends are their own keys."""

    def __init__(self, pieces: Sequence[Matched]) -> None:
        self._pieces = pieces
        self._of: tuple[dict[Hashable, list[int]], dict[Hashable, list[int]]] = ({}, {})
        for number, one in enumerate(pieces):
            if one.before is not None and one.after is not None:
                self._of[0].setdefault(_key(one.before), []).append(number)
                self._of[1].setdefault(_key(one.after), []).append(number)

    def of(self, ends: _Ends, side: int) -> Iterator[_Ends]:
        """The pairs that these ends of one side stand for."""
        sources, destinations = (self._of[side].get(one, [] if _is_group(one) else [one]) for one in ends)
        yield from ((source, destination) for source in sources for destination in destinations)

    def on(self, pair: _Ends, side: int) -> _Ends:
        """The ends of a pair on one side."""
        source, destination = (self._end(one, side) for one in pair)
        return source, destination

    def _end(self, one: Hashable, side: int) -> Hashable:
        if not isinstance(one, int):
            return one
        piece = self._pieces[one]
        group = piece.after if side else piece.before
        assert group is not None, "only pieces of both sides are numbered"
        return _key(group)

    def shown(self, pair: _Ends, addresses: AddressSet) -> tuple[Party, Party]:
        """The ends as a list shows them."""
        source, destination = (self._shown(one, addresses) for one in pair)
        return source, destination

    def _shown(self, one: Hashable, addresses: AddressSet) -> Party:
        if isinstance(one, int):
            return self._pieces[one].group
        if one == _CONTROLLER:
            return INGRESS_CONTROLLER
        return External(addresses) if one == _OUTSIDE else Named(one[0], addresses, one[1:])  # type: ignore[index]  # names are a tuple of patterns


class _Sheet:
    """What one side's list says: what passes between some ends, and what is asked of it."""

    def __init__(self, found: Connections) -> None:
        self._found = found
        self._passing: dict[_Ends, PacketSet] = {}
        self.asked: dict[_Ends, list[tuple[Direction, PacketSet, tuple[Rule, ...]]]] = {}
        only = conditionals(found)
        for one in found:
            for part in only(one):
                packets = PacketSet.cube(addresses_outside(one.source, one.destination), part.transports & _GOVERNED)
                self.asked.setdefault(_ends(one), []).append((part.direction, packets, part.rules))

    def look_for(self, wanted: set[_Ends]) -> None:
        """Remember what passes between these ends."""
        for one in self._found:
            ends = _ends(one)
            if ends in wanted:
                packets = PacketSet.cube(addresses_outside(one.source, one.destination), one.transports & _GOVERNED)
                self._passing[ends] = self._passing.get(ends, PacketSet.none()) | packets

    def parts(self, ends: _Ends) -> dict[Direction, list[tuple[PacketSet, tuple[Rule, ...]]]]:
        """For each end: what passes, in parts of which the same is asked; the last is that of which nothing is."""
        whole = self._passing.get(ends, PacketSet.none())
        found = {}
        for direction in Direction:
            parts = [(packets, rules) for end, packets, rules in self.asked.get(ends, ()) if end is direction]
            plain = whole - PacketSet.union_of(cube for packets, _ in parts for cube in packets)
            found[direction] = [*parts, (plain, ())]
        return found


def _differing(
    old: Iterable[tuple[PacketSet, tuple[Rule, ...]]], new: Sequence[tuple[PacketSet, tuple[Rule, ...]]]
) -> Iterator[tuple[PacketSet, tuple[Rule, ...], tuple[Rule, ...]]]:
    later = [(others, now, _asked(now)) for others, now in new]
    for packets, was in old:
        earlier = _asked(was)
        for others, now, asked in later:
            if earlier != asked and (common := packets & others):
                yield common, was, now


def _asked(rules: Iterable[Rule]) -> frozenset[Hashable]:
    """What one of which has to be met, without the places at which it is written."""
    found: set[Hashable] = set()
    for conditions in (rule.conditions for rule in rules if rule.conditions is not None):
        for one in conditions.http:
            headers = frozenset((each.name.lower(), each.value) for each in asked_headers(one))
            found.add(("http", one.method, one.path, one.host, headers))
        found.update(("dns", one.name.lower(), one.pattern.lower()) for one in conditions.dns)
        found.update(("tls", name.lower()) for name in conditions.server_names)
    return frozenset(found)


def _ends(one: Connection) -> _Ends:
    return _key(one.source), _key(one.destination)


def _key(party: Party) -> Hashable:
    match party:
        case Group():
            return party.workload, party.identity
        case Named():
            return party.patterns
        case IngressController():
            return _CONTROLLER
    return _OUTSIDE


def _is_group(key: Hashable) -> bool:
    return isinstance(key, tuple) and len(key) == 2 and isinstance(key[1], int)
