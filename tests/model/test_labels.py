"""The truth table of label selectors, row by row, missing keys included."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model import LabelSelector, Operator, Requirement
from outgate.model.labels import EVERYTHING, LabelIndex


@pytest.mark.parametrize(
    ("operator", "values", "missing", "equal", "other"),
    [
        (Operator.IN, ("v",), False, True, False),
        (Operator.NOT_IN, ("v",), True, False, True),
        (Operator.EXISTS, (), False, True, True),
        (Operator.DOES_NOT_EXIST, (), True, False, False),
    ],
)
def test_operators(operator: Operator, values: tuple[str, ...], missing: bool, equal: bool, other: bool) -> None:
    """NotIn holds where the key is missing; well-known evaluators have got this wrong."""
    requirement = Requirement("k", operator, values)
    assert [requirement.matches(labels) for labels in ({}, {"k": "v"}, {"k": "w"})] == [missing, equal, other]


def test_an_empty_value_needs_its_key() -> None:
    """`k: ""` is a label that is there, with an empty value."""
    selector = LabelSelector.of({"k": ""})
    assert [selector.matches(labels) for labels in ({}, {"k": ""}, {"k": "v"})] == [False, True, False]


def test_all_requirements_must_hold() -> None:
    """Labels and expressions are ANDed."""
    selector = LabelSelector.of({"a": "1"}, [Requirement("b", Operator.EXISTS)])
    assert not selector.matches({"a": "1"})
    assert not selector.matches({"b": "2"})
    assert selector.matches({"a": "1", "b": "2", "c": "3"})
    assert selector.keys() == {"a", "b"}


def test_everything() -> None:
    """A selector without requirements matches whatever there is, and is the only one that is false."""
    assert EVERYTHING.matches({})
    assert EVERYTHING.matches({"a": "b"})
    assert not EVERYTHING
    assert LabelSelector.of({"a": "b"})
    assert LabelSelector.of(None) == EVERYTHING == LabelSelector.of({}, [])


@given(st.lists(st.sampled_from("abc"), min_size=1), st.dictionaries(st.sampled_from("xyz"), st.sampled_from("abcd")))
def test_spelling_does_not_matter(values: list[str], labels: dict[str, str]) -> None:
    """Order and repetition of values and requirements change neither equality nor meaning."""
    one = Requirement("x", Operator.IN, tuple(values))
    other = Requirement("y", Operator.NOT_IN, tuple(reversed(values)))
    selector = LabelSelector.of(None, [one, other])
    again = LabelSelector.of(None, [other, one, Requirement("x", Operator.IN, tuple(values + values))])
    assert selector == again
    assert hash(selector) == hash(again)
    assert selector.matches(labels) == (labels.get("x") in values and labels.get("y") not in values)


def test_text() -> None:
    """A selector is printed as kubectl's --selector takes it."""
    expressions = [
        Requirement("b", Operator.NOT_IN, ("x",)),
        Requirement("c", Operator.IN, ("y", "x")),
        Requirement("d", Operator.EXISTS),
        Requirement("e", Operator.DOES_NOT_EXIST),
        Requirement("f", Operator.NOT_IN, ("x", "y")),
    ]
    assert str(LabelSelector.of({"a": "1"}, expressions)) == "a=1,b!=x,c in (x,y),d,!e,f notin (x,y)"
    assert str(EVERYTHING) == "everything"


KEYS = st.sampled_from(["a", "b"])
REQUIREMENTS = st.builds(
    Requirement,
    KEYS,
    st.sampled_from(Operator),
    st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, max_size=2).map(tuple),
)


@given(
    st.lists(st.dictionaries(KEYS, st.sampled_from(["x", "y"])), max_size=6),
    st.lists(REQUIREMENTS, max_size=3).map(lambda many: LabelSelector.of({}, many)),
)
def test_an_index_finds_whom_the_selector_matches(carried: list[dict[str, str]], selector: LabelSelector) -> None:
    """Each of them once, in their order, as if every one had been looked at."""
    expected = [number for number, labels in enumerate(carried) if selector.matches(labels)]
    assert list(LabelIndex(carried).matching(selector)) == expected
