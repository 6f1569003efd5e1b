"""Selectors as sets of labels, held against every set of labels of a small alphabet."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.exposure_selectors import implied, of_namespace, simplified
from outgate.model.labels import LabelSelector, Operator, Requirement
from outgate.model.snapshot import NAME_LABEL

KEYS, VALUES = ("a", "b"), ("", "x", "y", "z")
OPTIONS = (None, *VALUES)
EVERY = [
    {key: value for key, value in zip(KEYS, values, strict=True) if value is not None}
    for values in product(OPTIONS, repeat=len(KEYS))
]
# One value more than any selector names: what lies outside all lists must be among the labels that are tried.
NAMED = VALUES[:-1]


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    """One requirement; lists of values are never empty, as the API server holds."""
    operator = draw(st.sampled_from(Operator))
    listed = operator in (Operator.IN, Operator.NOT_IN)
    values = draw(st.sets(st.sampled_from(NAMED), min_size=1)) if listed else set()
    return Requirement(draw(st.sampled_from(KEYS)), operator, tuple(sorted(values)))


SELECTORS = st.lists(requirements(), max_size=4).map(lambda many: LabelSelector.of(expressions=many))


@given(SELECTORS)
def test_simplified_says_the_same(selector: LabelSelector) -> None:
    """Not one set of labels may be treated otherwise; None must mean that there is none."""
    found = simplified(selector)
    for labels in EVERY:
        assert selector.matches(labels) == (found is not None and found.matches(labels)), (str(selector), labels)


@given(SELECTORS)
def test_simplified_is_none_where_nothing_matches(selector: LabelSelector) -> None:
    """A selector that nothing can meet opens nothing, and must not be reported."""
    assert (simplified(selector) is None) == (not any(map(selector.matches, EVERY)))


@given(SELECTORS)
def test_simplified_is_final(selector: LabelSelector) -> None:
    """And of a key no more than two requirements are left."""
    found = simplified(selector)
    if found is not None:
        assert simplified(found) == found
        assert all(sum(one.key == key for one in found.requirements) <= 2 for key in KEYS)


@given(SELECTORS, SELECTORS)
def test_implied_is_a_subset(narrow: LabelSelector, wide: LabelSelector) -> None:
    """Both ways: what is called implied is, and of simplified selectors nothing is missed."""
    one, other = simplified(narrow), simplified(wide)
    if one is not None and other is not None:
        subset = all(other.matches(labels) for labels in EVERY if one.matches(labels))
        assert implied(one, other) == subset, (str(one), str(other))


def test_a_key_that_is_always_there() -> None:
    """The server gives every namespace its name: asking for the key says nothing, and its absence is met by none."""
    exists = LabelSelector((Requirement(NAME_LABEL, Operator.EXISTS),))
    missing = LabelSelector((Requirement(NAME_LABEL, Operator.DOES_NOT_EXIST),))
    but_one = LabelSelector((Requirement(NAME_LABEL, Operator.NOT_IN, ("shop",)),))
    assert simplified(exists, always=NAME_LABEL) == LabelSelector()
    assert simplified(missing, always=NAME_LABEL) is None
    assert simplified(but_one, always=NAME_LABEL) == but_one
    assert simplified(exists) == exists


def test_of_namespace() -> None:
    """By the label that the server sets, so that a policy's own namespace and one chosen by name are one selector."""
    assert of_namespace("shop") == LabelSelector.of({NAME_LABEL: "shop"})
