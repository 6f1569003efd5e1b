"""What a regular expression matches, followed through a text without ever going back.

RE2 takes time in proportion to the text, whatever the expression; Python's own engine goes back and tries again, and
some expressions take it longer than anybody lives. Here, as in RE2, all places are followed at once: `Node.ends` gives
the places at which a part can end, for all places at which it may begin. A set of places is an integer, one bit for
each. Groups, greed and captures play no part in whether a whole text matches.

Characters are those of ASCII, a set of them is an integer of 128 bits. A text that has others is nobody's here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

__all__ = [
    "EVERY",
    "Characters",
    "Edge",
    "Either",
    "Node",
    "Repeated",
    "Text",
    "Together",
    "example",
    "matches",
    "the_set",
]

EVERY = (1 << 128) - 1
"""All characters of ASCII."""

_READABLE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/.:=,;@~+*!$&'()"
"""Characters that an example is made of where it may be, the best first."""


def the_set(characters: str) -> int:
    """The set of some characters. What is not ASCII is in no text, so it is left out."""
    found = 0
    for one in characters:
        if one.isascii():
            found |= 1 << ord(one)
    return found


@dataclass(slots=True)
class Text:
    """A text of ASCII, and where in it are the characters of sets that were asked for."""

    value: str
    _places: dict[int, int] = field(default_factory=dict)

    def places(self, characters: int) -> int:
        """Where one of these characters stands."""
        found = self._places.get(characters)
        if found is None:
            bits = ("1" if characters >> ord(one) & 1 else "0" for one in reversed(self.value))
            found = self._places[characters] = int("".join(bits) or "0", 2)
        return found


class Node(Protocol):
    """A part of an expression."""

    def ends(self, text: Text, starts: int) -> int:
        """Where it can end, beginning at any of the starts."""

    def example(self) -> str | None:
        """A short text for this part; None where the first that comes to mind is none."""

    def beginnings(self) -> tuple[int, bool]:
        """The characters that a text for this part may begin with, if not fewer; and whether it may be empty."""


@dataclass(frozen=True, slots=True)
class Characters:
    """One character of a set."""

    which: int

    def ends(self, text: Text, starts: int) -> int:
        """One place on."""
        return (starts & text.places(self.which)) << 1

    def example(self) -> str | None:
        """The most readable of them."""
        return next((one for one in _READABLE if self.which >> ord(one) & 1), None)

    def beginnings(self) -> tuple[int, bool]:
        """The set."""
        return self.which, False


@dataclass(frozen=True, slots=True)
class Edge:
    """The beginning of the text, or its end."""

    end: bool

    def ends(self, text: Text, starts: int) -> int:
        """The same place, where it is that one."""
        return starts & (1 << len(text.value) if self.end else 1)

    def example(self) -> str | None:
        """Nothing."""
        return ""

    def beginnings(self) -> tuple[int, bool]:
        """Of nothing there is no first character."""
        return 0, True


@dataclass(frozen=True, slots=True)
class Together:
    """Parts behind each other; of none, nothing."""

    parts: tuple[Node, ...]

    def ends(self, text: Text, starts: int) -> int:
        """Where the last can end."""
        for one in self.parts:
            starts = one.ends(text, starts)
            if not starts:
                break
        return starts

    def example(self) -> str | None:
        """Those of the parts."""
        found = [one.example() for one in self.parts]
        return None if None in found else "".join(filter(None, found))

    def beginnings(self) -> tuple[int, bool]:
        """Those of the first, and of what is behind it where it may be empty."""
        found = 0
        for one in self.parts:
            first, empty = one.beginnings()
            found |= first
            if not empty:
                return found, False
        return found, True


@dataclass(frozen=True, slots=True)
class Either:
    """One of several."""

    branches: tuple[Node, ...]

    def ends(self, text: Text, starts: int) -> int:
        """Where any of them can end."""
        found = 0
        for one in self.branches:
            found |= one.ends(text, starts)
        return found

    def example(self) -> str | None:
        """That of the first branch which has one."""
        return next((found for one in self.branches if (found := one.example()) is not None), None)

    def beginnings(self) -> tuple[int, bool]:
        """Those of all branches."""
        found, empty = 0, False
        for one in self.branches:
            first, nothing = one.beginnings()
            found, empty = found | first, empty or nothing
        return found, empty


@dataclass(frozen=True, slots=True)
class Repeated:
    """The same part at least `low` times, and at most `high`, which is None for without end."""

    part: Node
    low: int
    high: int | None

    def ends(self, text: Text, starts: int) -> int:
        """Where it can end after that many times."""
        for _ in range(self.low):
            before, starts = starts, self.part.ends(text, starts)
            if not starts:
                return 0
            if starts == before:
                break  # and so it would stay
        found = fresh = starts
        turns = None if self.high is None else self.high - self.low
        while fresh and turns != 0:
            # What was reached before leads nowhere new; so this ends, though the part may match nothing.
            fresh = self.part.ends(text, fresh) & ~found
            found |= fresh
            turns = None if turns is None else turns - 1
        return found

    def example(self) -> str | None:
        """As few times as may be."""
        found = self.part.example() if self.low else ""
        return None if found is None else found * self.low

    def beginnings(self) -> tuple[int, bool]:
        """Those of the part."""
        first, empty = self.part.beginnings()
        return (0, True) if self.high == 0 else (first, empty or self.low == 0)


def matches(node: Node, value: str) -> bool:
    """Whether the whole of a text of ASCII matches."""
    return bool(node.ends(Text(value), 1) >> len(value) & 1)


def example(node: Node) -> str | None:
    """A short text the whole of which matches; None where none is found, which does not say that there is none."""
    found = node.example()
    return found if found is not None and matches(node, found) else None
