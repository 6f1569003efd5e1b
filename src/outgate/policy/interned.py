"""Transport sets as small numbers.

A cluster has few distinct sets of ports and combines them millions of times. Each set is kept once and known by its
number, and a union or an intersection that was computed is looked up ever after.
"""

from __future__ import annotations

from outgate.packets import TransportSet

__all__ = ["EVERYTHING", "NOTHING", "Transports"]

NOTHING = 0
"""The number of the empty set, in every table."""
EVERYTHING = 1
"""The number of every transport, in every table."""


class Transports:
    """A table of transport sets. Numbers of different tables have nothing to do with each other."""

    def __init__(self) -> None:
        self.sets: list[TransportSet] = [TransportSet(), TransportSet.any()]
        self._numbers: dict[TransportSet, int] = {one: number for number, one in enumerate(self.sets)}
        self._unions: dict[tuple[int, int], int] = {}
        self._meets: dict[tuple[int, int], int] = {}
        self._rests: dict[tuple[int, int], int] = {}

    def number(self, transports: TransportSet) -> int:
        """The number of a set; the same for equal sets."""
        found = self._numbers.get(transports)
        if found is None:
            found = self._numbers[transports] = len(self.sets)
            self.sets.append(transports)
        return found

    def union(self, one: int, other: int) -> int:
        """The number of the union of two sets."""
        if other in (one, NOTHING):
            return one
        if one == NOTHING or other == EVERYTHING:
            return other
        if one == EVERYTHING:
            return one
        pair = (one, other) if one < other else (other, one)
        found = self._unions.get(pair)
        if found is None:
            found = self._unions[pair] = self.number(self.sets[one] | self.sets[other])
        return found

    def meet(self, one: int, other: int) -> int:
        """The number of the intersection of two sets."""
        if one in (other, NOTHING) or other == EVERYTHING:
            return one
        if other == NOTHING or one == EVERYTHING:
            return other
        pair = (one, other) if one < other else (other, one)
        found = self._meets.get(pair)
        if found is None:
            found = self._meets[pair] = self.number(self.sets[one] & self.sets[other])
        return found

    def minus(self, one: int, other: int) -> int:
        """The number of what is in one set and not in another."""
        if NOTHING in (one, other):
            return one
        if other in (one, EVERYTHING):
            return NOTHING
        found = self._rests.get((one, other))
        if found is None:
            found = self._rests[one, other] = self.number(self.sets[one] - self.sets[other])
        return found
