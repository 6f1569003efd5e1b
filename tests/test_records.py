"""A class made at once is the class that the standard library would have made."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import field
from typing import Any

import pytest

from outgate import records


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Standard:
    """What is imitated."""

    a: int
    b: str = "x"
    c: list[int] = field(default_factory=list, compare=False)
    d: object = field(default=None, repr=False, compare=False)
    e: int = field(default=7, init=False)


@records.dataclass(frozen=True, slots=True, order=True)
class Quick:
    """The same."""

    a: int
    b: str = "x"
    c: list[int] = field(default_factory=list, compare=False)
    d: object = field(default=None, repr=False, compare=False)
    e: int = field(default=7, init=False)


@records.dataclass(frozen=True, slots=True)
class Own:
    """One that says itself how it is hashed and shown."""

    a: int

    def __hash__(self) -> int:
        return 5

    def __repr__(self) -> str:
        return "own"


@records.dataclass(frozen=True, slots=True, eq=False)
class Single:
    """One that is equal to itself alone."""

    a: int


@records.dataclass(frozen=True, slots=True)
class Empty:
    """One without fields."""


MADE: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {}),
    ((1, "x"), {}),
    ((1,), {"b": "y"}),
    ((2, "x", [3]), {}),
    ((1, "x"), {"c": [4], "d": 5}),
]


def test_values() -> None:
    """Fields, words, equality, hash and order."""
    standard = [Standard(*given, **named) for given, named in MADE]
    quick = [Quick(*given, **named) for given, named in MADE]
    assert [repr(one) for one in quick] == [repr(one).replace("Standard", "Quick") for one in standard]
    assert [dataclasses.asdict(one) for one in quick] == [dataclasses.asdict(one) for one in standard]
    assert [[one == other for other in quick] for one in quick] == [
        [one == other for other in standard] for one in standard
    ]
    assert [[(one < other, one <= other, one > other, one >= other) for other in quick] for one in quick] == [
        [(one < other, one <= other, one > other, one >= other) for other in standard] for one in standard
    ]
    assert [hash(one) for one in quick] == [hash(one) for one in standard]
    other: object = Standard(1)
    assert Quick(1) != other
    with pytest.raises(TypeError):
        assert Quick(1) < 1  # type: ignore[operator]  # the mistake is meant


def test_each_has_its_own_default() -> None:
    """A list that values shared would be a list that one of them changes for all."""
    Quick(1).c.append(2)
    assert Quick(1).c == []


@pytest.mark.parametrize("name", ["a", "e", "new"])
def test_frozen(name: str) -> None:
    """Who is given a value may keep it."""
    one = Quick(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(one, name, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(one, name)
    assert not hasattr(one, "__dict__")


def test_what_is_done_with_dataclasses() -> None:
    """Replaced, copied, sent to another process, taken apart by a pattern."""
    one = Quick(1, "y", [2], "z")
    assert dataclasses.replace(one, a=3).a == 3
    for other in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert dataclasses.astuple(other) == dataclasses.astuple(one)
    match one:
        case Quick(1, b):
            assert b == "y"


def test_what_a_class_says_itself_stands() -> None:
    """Its hash, its words, and that it is not compared."""
    assert (hash(Own(1)), repr(Own(1)), Own(1) == Own(1)) == (5, "own", True)
    one, other = Single(1), Single(1)
    assert [one == each for each in (one, other)] == [True, False]
    assert Empty() == Empty()
    assert repr(Empty()) == "Empty()"


def test_only_what_is_frozen_and_has_slots() -> None:
    """Whoever wants anything else is told so at once."""
    with pytest.raises(TypeError, match="frozen"):
        records.dataclass(frozen=False, slots=True)
