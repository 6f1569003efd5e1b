"""Sets of integers: the laws, one form for each set, and agreement with Python's own sets."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.packets import IntervalSet
from outgate.packets.intervals import Span
from outgate.testing import interval_sets
from tests.packets.algebra import LAWS, Algebra, broken

TOP = 40
WHOLE = IntervalSet.of((0, TOP))
SMALL = interval_sets(TOP)


def members(one: IntervalSet) -> set[int]:
    """The set that the intervals stand for, counted out."""
    return {value for low, high in one for value in range(low, high + 1)}


@pytest.mark.parametrize("family", LAWS)
@given(sets=st.tuples(SMALL, SMALL, SMALL))
def test_laws_hold(family: str, sets: tuple[IntervalSet, IntervalSet, IntervalSet]) -> None:
    """A set algebra in which one law fails gives an answer that depends on the order of the policies."""
    assert broken(family, Algebra(sets, WHOLE, IntervalSet())) == []


@given(SMALL, SMALL)
def test_operations_are_those_of_sets(a: IntervalSet, b: IntervalSet) -> None:
    """The laws hold in many algebras; this is the one of sets of integers."""
    assert members(a | b) == members(a) | members(b)
    assert members(a & b) == members(a) & members(b)
    assert members(a - b) == members(a) - members(b)
    assert (a <= b) == (members(a) <= members(b))
    assert a.isdisjoint(b) == members(a).isdisjoint(members(b))
    assert a.size() == len(members(a))
    assert [value in a for value in range(TOP + 2)] == [value in members(a) for value in range(TOP + 2)]


@given(SMALL, SMALL)
def test_every_result_is_canonical(a: IntervalSet, b: IntervalSet) -> None:
    """Two spans that touch, or stand in the wrong order, are a second form of a set that has one already."""
    for result in (a, a | b, a & b, a - b, WHOLE - a):
        assert all(low <= high for low, high in result)
        assert all(left[1] + 1 < right[0] for left, right in zip(result.spans, result.spans[1:], strict=False))


@given(SMALL, st.randoms(use_true_random=False))
def test_one_form_whatever_the_way(one: IntervalSet, chance: random.Random) -> None:
    """A set made of its shuffled, overlapping pieces must equal and hash as the set made at once."""
    pieces = [(value, value) for value in sorted(members(one))] + list(one)
    chance.shuffle(pieces)
    again = IntervalSet.of(*pieces)
    assert again == one
    assert hash(again) == hash(one)
    assert {one: "found"}[again] == "found"


@given(st.lists(SMALL, max_size=6))
def test_union_of_many_is_the_fold(many: list[IntervalSet]) -> None:
    """The one sort must give what adding one by one gives, for no set at all too."""
    folded = IntervalSet()
    for one in many:
        folded = folded | one
    assert IntervalSet.union_of(many) == folded


@given(SMALL)
def test_lowest_is_a_member(one: IntervalSet) -> None:
    """A witness outside its set proves nothing."""
    if one:
        assert one.lowest() == min(members(one))
    else:
        with pytest.raises(ValueError, match="empty"):
            one.lowest()


@given(interval_sets(2**128 - 1), interval_sets(2**128 - 1))
def test_wide_integers_are_exact(a: IntervalSet, b: IntervalSet) -> None:
    """Nothing may pass through a float or a machine word: IPv6 needs 128 bits."""
    assert (a | b).size() == a.size() + b.size() - (a & b).size()
    for low, high in (*a, *b):
        for value in (low - 1, low, high, high + 1):
            assert (value in a | b) == (value in a or value in b)
            assert (value in a - b) == (value in a and value not in b)


def test_adjacent_spans_merge() -> None:
    """80 and 81 are one span: otherwise 80-81 and 80, 81 would be two values for one set."""
    assert IntervalSet.of((81, 81), (80, 80)) == IntervalSet.of((80, 81))
    assert IntervalSet.of((1, 3), (4, 6), (8, 9)).spans == ((1, 6), (8, 9))
    assert IntervalSet.of((0, 65535)) - IntervalSet.single(65535) == IntervalSet.of((0, 65534))


def test_swallowed_span_does_not_shorten() -> None:
    """A short span inside a long one must not end the long one early."""
    assert IntervalSet.of((0, 100), (5, 6), (7, 120)) == IntervalSet.of((0, 120))


def test_cutting_the_middle_leaves_both_ends() -> None:
    """One hole makes two spans; two holes in one span make three; a hole over a border cuts both neighbours."""
    assert (WHOLE - IntervalSet.of((5, 6), (9, 9))).spans == ((0, 4), (7, 8), (10, TOP))
    assert (IntervalSet.of((0, 4), (6, 9)) - IntervalSet.of((3, 7))).spans == ((0, 2), (8, 9))


def test_span_that_ends_before_it_begins_is_refused() -> None:
    """Taking it for empty would hide a swapped pair of ports."""
    with pytest.raises(ValueError, match="2-1"):
        IntervalSet.of((2, 1))


def test_length_counts_spans_and_size_counts_members() -> None:
    """The two are easily confused, and one is a port count and the other a cost."""
    one = IntervalSet.of((1, 10), (20, 20))
    assert (len(one), one.size(), list(one)) == (2, 11, [(1, 10), (20, 20)])


class Watched(tuple[Span, ...]):
    """Spans that count how often one of them is looked at."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        Watched.looks += 1
        return super().__getitem__(index)


@pytest.mark.parametrize("low", [0, 5, 50_003, 99_999, 200_000])
def test_a_single_span_is_looked_up_among_many(low: int) -> None:
    """A rule with one block is held against every block of a cluster, and going through them all is paid each time."""
    many = IntervalSet(Watched((10 * one, 10 * one + 3) for one in range(10_000)))
    one = IntervalSet.of((low, low + 2))
    expected = {value for value in range(low, low + 3) if value < 100_000 and value % 10 <= 3}
    Watched.looks = 0
    assert members(one & many) == members(many & one) == expected
    assert one.isdisjoint(many) == many.isdisjoint(one) == (not expected)
    assert (one <= many) == (len(expected) == 3)
    assert members(one - many) == set(range(low, low + 3)) - expected
    assert Watched.looks < 200
