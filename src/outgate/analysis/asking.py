"""What is asked of what opens between two inputs, and what had been asked of what closes.

A connection that opens for one kind of request opens less than its ports say, and one that closes may have been open
for that kind alone. What is asked of a connection is known line by line of a list (`outgate.analysis.conditional`); a
difference has other lines, for it cuts and joins addresses by what passes and not by what is asked there. So the lines
of the list are looked up again, and of each condition is said to which of the addresses it applies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from outgate.analysis.changes import Change
from outgate.analysis.condition_changes import ConditionChange
from outgate.analysis.conditional import conditionals
from outgate.analysis.connections import Connection, Connections, External, Party, addresses_outside
from outgate.analysis.groups import Group
from outgate.analysis.matching import Matched
from outgate.analysis.on_condition import Asked, Conditional
from outgate.analysis.opened import Named
from outgate.packets import AddressSet, TransportSet

__all__ = ["Asking", "Movements"]

_GOVERNED = TransportSet.governed()


class Asking:
    """Answers for connections of one list. It costs nothing where no rule has conditions."""

    def __init__(self, found: Connections) -> None:
        self._found = found
        self._only = conditionals(found)

    def __call__(self, source: Party, destination: Party, transports: TransportSet) -> tuple[Asked, ...]:
        """What is asked of these ports between two ends; groups are those of the list, addresses any of its parts."""
        if not transports or not self._found.grid.has_conditions:
            return ()
        alike: dict[Conditional, list[AddressSet]] = {}
        plain = TransportSet()
        for line, addresses in self.lines(source, destination):
            left = line.transports & transports
            for part in self._only(replace(line, transports=left)):
                alike.setdefault(part, []).append(addresses)
                left = left - part.transports
            plain |= left
        if isinstance(destination, Named) and destination.also:
            # Lines of several names are about the same addresses: what one of them asks nothing of, passes.
            alike = {replace(part, transports=part.transports - plain): many for part, many in alike.items()}
        whole = addresses_outside(source, destination)
        joined = ((part, AddressSet.union_of(many)) for part, many in alike.items() if part.transports)
        return tuple(Asked(part, None if addresses == whole else addresses) for part, addresses in joined)

    def lines(self, source: Party, destination: Party) -> Iterator[tuple[Connection, AddressSet]]:
        """What passes between these ends, as the list has it, each line with those of its addresses that are meant."""
        every = AddressSet.any()
        match source, destination:
            case Group(), External(addresses=addresses):
                lines = self._found.to_outside(source)
            case External(addresses=addresses), Group():
                lines = self._found.from_outside((destination,))
            case Group(), Named(addresses=addresses, patterns=patterns):
                lines = (one for one in self._found.to_names(source) if _is_about(one.destination, patterns))
            case _:
                yield self._inside(source, destination), every
                return
        for line in lines:
            common = addresses & addresses_outside(line.source, line.destination)
            if common:
                yield line, common

    def state(self, source: Party, destination: Party) -> tuple[object, ...]:
        """All that passes between these ends and what is asked of it: two of them that are equal look alike."""
        return tuple(
            (addresses, line.transports & _GOVERNED, line.families, frozenset(self._only(line)))
            for line, addresses in self.lines(source, destination)
        )

    def _inside(self, source: Party, destination: Party) -> Connection:
        if isinstance(source, Group) and isinstance(destination, Group):
            return self._found.whole(source, destination)
        led_to = (one for one in self._found.from_controller if one.destination == destination)
        return next(led_to, Connection(source, destination, TransportSet()))


def _is_about(one: Party, patterns: tuple[object, ...]) -> bool:
    return isinstance(one, Named) and set(one.patterns) <= set(patterns)


class Movements:
    """Answers for the changes of a comparison. `pieces`: the workloads that were compared, as the changes show them."""

    def __init__(self, before: Connections, after: Connections, pieces: Iterable[Matched]) -> None:
        self._sides = Asking(before), Asking(after)
        asks = before.grid.has_conditions or after.grid.has_conditions
        self._pieces: Mapping[Party, Matched] = {one.group: one for one in pieces} if asks else {}

    def opens(self, change: Change) -> tuple[Asked, ...]:
        """What is asked now of what passes and did not."""
        return self._asked(change, change.shift.opened, now=True)

    def closes(self, change: Change) -> tuple[Asked, ...]:
        """What had been asked of what passed and does not any more."""
        return self._asked(change, change.shift.closed, now=False)

    def state(self, one: Change | ConditionChange) -> tuple[object, ...]:
        """What passes between the ends of a change and what is asked of it, on each side; empty without conditions."""
        found: list[object] = []
        for now, asking in enumerate(self._sides) if self._pieces else ():
            source, destination = (self._there(end, now=bool(now)) for end in (one.source, one.destination))
            if source is not None and destination is not None:
                found.append((now, asking.state(source, destination)))
        return tuple(found)

    def _asked(self, change: Change, moved: TransportSet, *, now: bool) -> tuple[Asked, ...]:
        if not self._pieces or not moved:
            return ()
        source, destination = (self._there(end, now=now) for end in (change.source, change.destination))
        assert source is not None, "what moved on a side has its ends there"
        assert destination is not None, "likewise"
        return self._sides[now](source, destination, moved)

    def _there(self, end: Party, *, now: bool) -> Party | None:
        piece = self._pieces.get(end)
        if piece is None:
            return end
        return piece.after if now else piece.before
