"""What opens and what closes between two inputs, exactly, by workload.

    found = diff(old, new)
    for one in found: ...              Change(source, destination, shift)
    found.isolation                    workloads that a policy isolates now, or no longer

Both lists are made through one lens, so that each splits workloads as finely as either needs (see `matching`). Then
sets are compared and not lines: for two workloads the ports of TCP, UDP and SCTP before and after; for the addresses
outside, the parts in which the same happens, so that a block that becomes half of itself is the half that closed.

What is asked of requests, questions of DNS or names of TLS may differ where addresses and ports do not: that is said
beside (`condition_changes`), and what is asked of something that opens on demand (`asking`). A change in one address
family is a change. What comes or goes with a workload that is on one side alone is a change too, and marked. Parts of a
workload that changed alike are put together again (see `merging`).

The work is done on kinds of pod, as everywhere (`policy.grid`): pieces with the same identities on both sides have the
same changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from outgate.analysis.asking import Movements
from outgate.analysis.changes import Change, IsolationChange, Kind, Shift
from outgate.analysis.condition_changes import ConditionChange, condition_changes
from outgate.analysis.connections import Connections, External, Party, connections
from outgate.analysis.controller import INGRESS_CONTROLLER
from outgate.analysis.groups import Group
from outgate.analysis.matching import Matched, matched
from outgate.analysis.merging import merged
from outgate.analysis.opened import Named
from outgate.errors import TooComplex
from outgate.model import Direction, Snapshot
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.packets.addresses import FAMILIES, Family
from outgate.policy import OUTGATE, Policies, Profile
from outgate.policy.cells import Row, number_at
from outgate.policy.grid import lens_of
from outgate.policy.identity import Bits, members
from outgate.policy.names import Pattern
from outgate.records import dataclass

__all__ = ["MOST_CHANGES", "ConnectionDiff", "diff"]

MOST_CHANGES = 1_000_000
"""Connections that differ; unlike a list, they are all in memory, to be counted and put together."""

_GOVERNED = TransportSet.governed()
_NONE = TransportSet()


def diff(old: Snapshot, new: Snapshot, profile: Profile = OUTGATE) -> ConnectionDiff:
    """What opens, what closes and what changes from one snapshot to another, under a profile.

    Raises TooComplex beyond `MOST_CHANGES`.
    """
    # Each grid adds to the lens what its own policies look at, so the first has the lens of both.
    before = connections(old, profile, lens=lens_of(Policies(new, profile)))
    # One table of transports for both: equal sets have one number.
    after = connections(new, profile, lens=before.grid.lens, previous=before)
    pieces = matched(before, after)
    changes = tuple(islice(_Compared(before, after, pieces), MOST_CHANGES + 1))
    if len(changes) > MOST_CHANGES:
        raise TooComplex(
            f"more than {MOST_CHANGES:,} connections differ",
            hint="compare parts of the inputs, or the lists of both: outgate list has no such limit",
        )
    isolation, conditions = tuple(_isolation(before, after, pieces)), tuple(condition_changes(before, after, pieces))
    asked = Movements(before, after, pieces)
    return ConnectionDiff(before, after, *merged(after.grid, pieces, changes, isolation, conditions, asked))


@dataclass(frozen=True, slots=True, eq=False)
class ConnectionDiff:
    """The differences, in the order of a list: by source and then by destination; sources outside come last."""

    before: Connections
    after: Connections
    pieces: tuple[Matched, ...]
    """The workloads that were compared."""
    changes: tuple[Change, ...]
    isolation: tuple[IsolationChange, ...]
    conditions: tuple[ConditionChange, ...] = ()
    """What passes before and after, and of which something else is asked."""

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.changes or self.isolation or self.conditions)

    def of(self, kind: Kind) -> tuple[Change, ...]:
        """The changes of one kind."""
        return tuple(one for one in self.changes if one.kind is kind)

    @property
    def opens(self) -> bool:
        """Whether anything passes that did not: opened connections, and changed ones that do not only narrow."""
        return any(not one.shift.narrows for one in self.changes) or any(not one.narrows for one in self.conditions)

    @property
    def closes(self) -> bool:
        """Whether anything that passed does not any more: closed connections, and changed ones likewise."""
        return any(not one.shift.widens for one in self.changes) or any(not one.widens for one in self.conditions)

    def about(self, wanted: Callable[[Group], bool]) -> ConnectionDiff:
        """The changes that have such a workload at one end."""

        def has(party: Party) -> bool:
            return isinstance(party, Group) and wanted(party)

        return replace(
            self,
            changes=tuple(one for one in self.changes if has(one.source) or has(one.destination)),
            isolation=tuple(one for one in self.isolation if wanted(one.group)),
            conditions=tuple(one for one in self.conditions if has(one.source) or has(one.destination)),
        )


def _isolation(before: Connections, after: Connections, pieces: tuple[Matched, ...]) -> Iterator[IsolationChange]:
    for one in pieces:
        if one.before is not None and one.after is not None:
            for direction in Direction:
                now = after.grid.isolated(one.after.identity, direction)
                if before.grid.isolated(one.before.identity, direction) != now:
                    yield IsolationChange(one.group, direction, now)


class _Compared:
    """Iterating gives the changes. A *pair* is what stands for a piece: its identity before, and after."""

    def __init__(self, before: Connections, after: Connections, pieces: tuple[Matched, ...]) -> None:
        self.before = before
        self.after = after
        self.pieces = pieces
        self.pairs = tuple(dict.fromkeys(one.identities for one in pieces))
        self.numbers = {pair: number for number, pair in enumerate(self.pairs)}
        self.places: list[list[int]] = [[] for _ in self.pairs]
        for place, one in enumerate(pieces):
            self.places[self.numbers[one.identities]].append(place)
        self.sides = _Side(before, [old for old, _ in self.pairs]), _Side(after, [new for _, new in self.pairs])
        self.families = len(before.grid.families) > 1 or len(after.grid.families) > 1
        self._shifts: dict[tuple[object, ...], Shift | None] = {}
        self._reached: dict[int, list[tuple[int, Shift]]] = {}
        self._outside: dict[tuple[int, int], tuple[PacketSet, PacketSet, tuple[tuple[External, Shift], ...]]] = {}

    def __iter__(self) -> Iterator[Change]:
        for piece in self.pieces:
            yield from self._inside(piece)
            for external, shift in self.outside(piece, Direction.EGRESS):
                yield Change(piece.group, external, shift, piece.presence)
            for named, shift in self._names(piece):
                yield Change(piece.group, named, shift, piece.presence)
        for piece in self.pieces:
            for external, shift in self.outside(piece, Direction.INGRESS):
                yield Change(external, piece.group, shift, None, piece.presence)
        yield from self._from_controller()

    # ---- workloads ---------------------------------------------------------------------------------------------------

    def _inside(self, piece: Matched) -> Iterator[Change]:
        number = self.numbers[piece.identities]
        reached = self._reached.get(number)
        if reached is None:
            reached = self._reached[number] = list(self._changed_pairs(number))
        if not reached:
            return
        own = piece.group.workload
        found = [(place, shift) for other, shift in reached for place in self.places[other]]
        for place, shift in sorted(found, key=lambda one: one[0]):
            other = self.pieces[place]
            if other.group.workload != own:
                yield Change(piece.group, other.group, shift, piece.presence, other.presence)

    def _changed_pairs(self, number: int) -> Iterator[tuple[int, Shift]]:
        """The pairs to which something else passes than before."""
        old, new = (side.joined(pair) for side, pair in zip(self.sides, self.pairs[number], strict=True))
        if not self.families:
            for one, other, pairs in _differences(old, new):
                shift = self._shift(one, other, ())
                if shift is not None:
                    yield from ((pair, shift) for pair in members(pairs))
            return
        by_family = {
            family: [side.row(mine, family) for side, mine in zip(self.sides, self.pairs[number], strict=True)]
            for family in FAMILIES
            if all(side.has(mine, family) for side, mine in zip(self.sides, self.pairs[number], strict=True))
        }
        both = {family: self.sides[0].having(family) & self.sides[1].having(family) for family in by_family}
        changed = 0
        for _, _, pairs in _differences(old, new):
            changed |= pairs
        for family, (mine, theirs) in by_family.items():
            for _, _, pairs in _differences(mine, theirs):
                changed |= pairs & both[family]
        for pair in members(changed):
            numbers = tuple(
                (family, number_at(mine, pair), number_at(theirs, pair))
                for family, (mine, theirs) in by_family.items()
                if both[family] >> pair & 1
            )
            shift = self._shift(number_at(old, pair), number_at(new, pair), numbers)
            if shift is not None:
                yield pair, shift

    def _shift(self, old: int, new: int, families: tuple[tuple[Family, int, int], ...]) -> Shift | None:
        """What two numbers of transports mean; None where no port of TCP, UDP or SCTP makes a difference."""
        key = (old, new, families)
        if key not in self._shifts:
            sets = self.after.grid.transports.sets
            told = tuple((family, sets[one] & _GOVERNED, sets[two] & _GOVERNED) for family, one, two in families)
            before, after = sets[old] & _GOVERNED, sets[new] & _GOVERNED
            alike = all((one, two) == (before, after) for _, one, two in told)
            shift = Shift(before, after, () if alike else told)
            self._shifts[key] = shift if shift.opened or shift.closed else None
        return self._shifts[key]

    # ---- outside -----------------------------------------------------------------------------------------------------

    def outside(self, piece: Matched, direction: Direction) -> tuple[tuple[External, Shift], ...]:
        """The addresses outside with which something else passes than before, in the coarsest parts."""
        old = _outside(self.before, piece.before, direction)
        new = _outside(self.after, piece.after, direction)
        if old is new:
            return ()
        key = (id(old), id(new))
        found = self._outside.get(key)
        if found is None:
            # Not every set is kept by its grid: those beside the answer are, so that no other can have their identity.
            found = self._outside[key] = old, new, tuple(_outside_changes(old, new))
        return found[2]

    def _names(self, piece: Matched) -> Iterator[tuple[Named, Shift]]:
        """The names to whose addresses something else passes than before, told apart by these where need be."""
        old, new = _opened(self.before, piece.before), _opened(self.after, piece.after)
        for patterns in dict.fromkeys((*old, *new)):
            for external, shift in _outside_changes(_of_name(old, patterns), _of_name(new, patterns)):
                yield Named(patterns[0], external.addresses, patterns[1:]), shift

    def _from_controller(self) -> Iterator[Change]:
        old, new = (
            {one.destination: one.transports for one in side.from_controller} for side in (self.before, self.after)
        )
        if not old and not new:
            return
        for piece in self.pieces:
            before = _NONE if piece.before is None else old.get(piece.before, _NONE)
            after = _NONE if piece.after is None else new.get(piece.after, _NONE)
            if before != after:
                yield Change(INGRESS_CONTROLLER, piece.group, Shift(before, after), None, piece.presence)


class _Side:
    """The rows of one grid, with pairs in the place of identities."""

    def __init__(self, found: Connections, identities: list[int]) -> None:
        self._grid = found.grid
        self._pairs: dict[int, Bits] = {}
        self._standing: Bits = 0
        for number, identity in enumerate(identities):
            if identity >= 0:
                self._pairs[identity] = self._pairs.get(identity, 0) | 1 << number
                self._standing |= 1 << identity
        self._translated: dict[Bits, Bits] = {}

    def _translate(self, bits: Bits) -> Bits:
        found = self._translated.get(bits)
        if found is None:
            found = 0
            for identity in members(bits & self._standing):
                found |= self._pairs[identity]
            self._translated[bits] = found
        return found

    def joined(self, identity: int) -> Row:
        """What an identity may send to which pairs; nothing where it is not on this side."""
        return () if identity < 0 else self._row(self._grid.joined(identity))

    def row(self, identity: int, family: Family) -> Row:
        """The same by addresses of one family."""
        return self._row(self._grid.row(identity, family))

    def _row(self, row: Row) -> Row:
        return tuple((number, self._translate(bits)) for number, bits in row)

    def has(self, identity: int, family: Family) -> bool:
        """Whether an identity is on this side and has an address of the family."""
        return identity >= 0 and bool(self._grid.identities.of_family[family] >> identity & 1)

    def having(self, family: Family) -> Bits:
        """The pairs that have an address of the family on this side."""
        return self._translate(self._grid.identities.of_family[family])


def _differences(old: Row, new: Row) -> Iterator[tuple[int, int, Bits]]:
    """Who is under another number than before, with both numbers; 0 where they are under none."""
    covered = 0
    for number, bits in old:
        covered |= bits
        rest = bits
        for other, theirs in new:
            common = rest & theirs
            if common:
                rest ^= common
                if other != number:
                    yield number, other, common
        if rest:
            yield number, 0, rest
    for other, theirs in new:
        rest = theirs & ~covered
        if rest:
            yield 0, other, rest


def _outside(found: Connections, group: Group | None, direction: Direction) -> PacketSet:
    return PacketSet.none() if group is None else found.grid.outside(group.identity, direction)


def _opened(found: Connections, group: Group | None) -> dict[tuple[Pattern, ...], PacketSet]:
    """What passes to the addresses of each name that rules open for a group."""
    opened: dict[tuple[Pattern, ...], PacketSet] = {}
    for one in found.opened(group) if group is not None else ():
        more = PacketSet.cube(one.named.addresses, one.transports)
        opened[one.named.patterns] = opened.get(one.named.patterns, PacketSet.none()) | more
    return opened


def _of_name(opened: dict[tuple[Pattern, ...], PacketSet], patterns: tuple[Pattern, ...]) -> PacketSet:
    """What passes to the addresses of a name that some patterns mean: all lines that are about it."""
    return PacketSet.union_of(
        cube for some, packets in opened.items() if set(some) <= set(patterns) for cube in packets
    )


def _outside_changes(old: PacketSet, new: PacketSet) -> Iterator[tuple[External, Shift]]:
    """The partition of the addresses by what passed and what passes; only the parts where these differ."""
    if old == new:
        return
    parts: dict[tuple[TransportSet, TransportSet], list[AddressSet]] = {}
    theirs = [*new, (~new.addresses(), _NONE)]
    for addresses, before in [*old, (~old.addresses(), _NONE)]:
        for others, after in theirs:
            pair = before & _GOVERNED, after & _GOVERNED
            if pair[0] != pair[1] and (common := addresses & others):
                parts.setdefault(pair, []).append(common)
    found = [(External(AddressSet.union_of(many)), Shift(*pair)) for pair, many in parts.items()]
    yield from sorted(found, key=lambda one: _first(one[0].addresses))


def _first(addresses: AddressSet) -> tuple[int, int]:
    """The order of parts: by their lowest address, IPv4 first."""
    lowest = addresses.lowest()
    return lowest.version, int(lowest)
