"""The laws of a set algebra, written once and asked of every kind of set in `outgate.packets`.

A law is a statement about three sets, the whole and the empty set that must hold for all of them. Complement is
written ``whole - a``, because intervals alone have no universe of their own; the kinds that have ``~`` are asked
for that too, in their own test files.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar

__all__ = ["LAWS", "Algebra", "Law", "SetLike", "broken"]

Kind = TypeVar("Kind", bound="SetLike")


class SetLike(Hashable, Protocol):
    """What the four kinds of set have in common."""

    def __or__(self: Kind, other: Kind, /) -> Kind:
        """Union."""

    def __and__(self: Kind, other: Kind, /) -> Kind:
        """Intersection."""

    def __sub__(self: Kind, other: Kind, /) -> Kind:
        """Difference."""

    def __le__(self: Kind, other: Kind, /) -> bool:
        """Containment."""

    def __bool__(self) -> bool:
        """Whether there is a member."""


class Algebra:
    """Three sets to state a law about, with the whole and the empty set."""

    def __init__(self, sets: tuple[SetLike, SetLike, SetLike], whole: SetLike, nothing: SetLike) -> None:
        self.a, self.b, self.c = sets
        self.whole = whole
        self.nothing = nothing

    def no(self, one: SetLike) -> SetLike:
        """The complement."""
        return self.whole - one


Law = Callable[[Algebra], bool]

LAWS: dict[str, dict[str, Law]] = {
    "commutative and associative": {
        "union commutes": lambda s: s.a | s.b == s.b | s.a,
        "intersection commutes": lambda s: s.a & s.b == s.b & s.a,
        "union associates": lambda s: (s.a | s.b) | s.c == s.a | (s.b | s.c),
        "intersection associates": lambda s: (s.a & s.b) & s.c == s.a & (s.b & s.c),
    },
    "distributive": {
        "union over intersection": lambda s: s.a | (s.b & s.c) == (s.a | s.b) & (s.a | s.c),
        "intersection over union": lambda s: s.a & (s.b | s.c) == (s.a & s.b) | (s.a & s.c),
        "difference over union": lambda s: (s.a | s.b) - s.c == (s.a - s.c) | (s.b - s.c),
    },
    "De Morgan and complement": {
        "De Morgan of a union": lambda s: s.no(s.a | s.b) == s.no(s.a) & s.no(s.b),
        "De Morgan of an intersection": lambda s: s.no(s.a & s.b) == s.no(s.a) | s.no(s.b),
        "complement twice": lambda s: s.no(s.no(s.a)) == s.a,
        "complement splits the whole": lambda s: s.a | s.no(s.a) == s.whole and s.a & s.no(s.a) == s.nothing,
        "difference by complement": lambda s: s.a - s.b == s.a & s.no(s.b),
    },
    "absorption and bounds": {
        "union absorbs": lambda s: s.a | (s.a & s.b) == s.a,
        "intersection absorbs": lambda s: s.a & (s.a | s.b) == s.a,
        "idempotent": lambda s: s.a | s.a == s.a == s.a & s.a,
        "neutral elements": lambda s: s.a | s.nothing == s.a == s.a & s.whole,
        "dominant elements": lambda s: s.a | s.whole == s.whole and s.a & s.nothing == s.nothing,
        "difference and intersection make up the set": lambda s: (s.a - s.b) | (s.a & s.b) == s.a,
    },
    "containment": {
        "by union": lambda s: (s.a <= s.b) == (s.a | s.b == s.b),
        "by intersection": lambda s: (s.a <= s.b) == (s.a & s.b == s.a),
        "by difference": lambda s: (s.a <= s.b) == (not s.a - s.b),
        "between the empty set and the whole": lambda s: s.nothing <= s.a <= s.whole,
        "parts are contained": lambda s: s.a & s.b <= s.a <= s.a | s.b and s.a - s.b <= s.a,
    },
    "canonical form": {
        "equal sets are equal values": lambda s: (s.a <= s.b and s.b <= s.a) == (s.a == s.b),
        "equal values hash alike": lambda s: hash((s.a | s.b) - s.b) == hash(s.a - s.b),
        "empty means false": lambda s: bool(s.a) == (s.a != s.nothing) and not s.a - s.a,
    },
}
"""The laws by family and name. A test asks one family at a time: drawing the sets costs more than asking."""


def broken(family: str, algebra: Algebra) -> list[str]:
    """The names of the laws of a family that do not hold for these sets."""
    return [name for name, law in LAWS[family].items() if not law(algebra)]
