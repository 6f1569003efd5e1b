"""Sets of (transport, identity), in a form that knows union, intersection and difference.

A `Cells` is a row of the grid with its table of transports: disjoint sets of identities, each with the number of
what may pass. The order of tiers is worked out on it (`outgate.policy.tiers.partition`), for all peers of an identity
at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from outgate.policy.interned import NOTHING, Transports
from outgate.records import dataclass

__all__ = ["Cells", "Contribution", "Row", "number_at", "union"]

Row = tuple[tuple[int, int], ...]
"""Disjoint sets of identities (as bits), each with the number of its transports; what is in none has no transports."""

Contribution = tuple[int, int]
"""What one rule speaks of: the number of its transports, and with whom."""


def union(transports: Transports, contributions: Iterable[Contribution]) -> Row:
    """Contributions as disjoint sets: each identity under all that it has together."""
    parts: dict[int, int] = {}
    for number, bits in contributions:
        rest = bits
        refined: dict[int, int] = {}
        for known, mine in parts.items():
            common = mine & rest
            if common != mine:
                refined[known] = refined.get(known, 0) | (mine ^ common)
            if common:
                together = transports.union(known, number)
                refined[together] = refined.get(together, 0) | common
                rest ^= common
        if rest:
            refined[number] = refined.get(number, 0) | rest
        parts = refined
    parts.pop(NOTHING, None)
    return tuple(parts.items())


def number_at(row: Row, identity: int) -> int:
    """The number of the transports that an identity stands under; that of none where it stands under none."""
    for number, bits in row:
        if bits >> identity & 1:
            return number
    return NOTHING


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A set of pairs of a transport and an identity."""

    transports: Transports
    row: Row

    @classmethod
    def of(cls, transports: Transports, contributions: Iterable[Contribution]) -> Cells:
        """All that is in some contributions."""
        return cls(transports, union(transports, contributions))

    def __or__(self, other: Cells) -> Cells:
        return Cells.of(self.transports, (*self.row, *other.row))

    def __and__(self, other: Cells) -> Cells:
        found: dict[int, int] = {}
        for one, mine in self.row:
            for another, theirs in other.row:
                common = mine & theirs
                if common:
                    met = self.transports.meet(one, another)
                    if met != NOTHING:
                        found[met] = found.get(met, 0) | common
        return Cells(self.transports, tuple(found.items()))

    def __sub__(self, other: Cells) -> Cells:
        found: dict[int, int] = {}
        for one, mine in self.row:
            rest = mine
            for another, theirs in other.row:
                common = rest & theirs
                if common:
                    left = self.transports.minus(one, another)
                    if left != NOTHING:
                        found[left] = found.get(left, 0) | common
                    rest ^= common
            if rest:
                found[one] = found.get(one, 0) | rest
        return Cells(self.transports, tuple(found.items()))

    def __bool__(self) -> bool:
        return bool(self.row)
