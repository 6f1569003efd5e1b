"""Names that two patterns have in common, found by walking them and by trying."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.policy.name_overlap import have_a_name_in_common
from outgate.policy.names import Dialect, Pattern


def cilium(text: str) -> Pattern:
    """A pattern of toFQDNs."""
    return Pattern(text, Dialect.CILIUM)


def domain(text: str) -> Pattern:
    """A pattern of domainNames."""
    return Pattern(text, Dialect.NETWORK_POLICY)


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (cilium("api.example.com"), cilium("API.example.com."), True),
        (cilium("*.example.com"), cilium("example.com"), False),
        (cilium("*.example.com"), cilium("api.*.com"), True),
        (cilium("*.example.com"), cilium("a.b.example.com"), False),
        (cilium("**.example.com"), cilium("a.b.example.com"), True),
        (cilium("*.svc.cluster.local"), cilium("*.example.com"), False),
        (cilium("*"), cilium("a.b.example.com"), True),
        (cilium("a*"), cilium("*b"), True),
        (cilium("a*.x"), cilium("*b.y"), False),
        (domain("*.example.com"), cilium("a.b.example.com"), True),
        (domain("*.example.com"), cilium("*.example.com"), True),
        (domain("*.example.com"), domain("example.com"), False),
        # What is no letter of a name stands behind `*.` of the one dialect, and behind no star of the other.
        (domain("a^b.example.com"), cilium("*.example.com"), False),
        (domain("a^b.example.com"), domain("*.example.com"), True),
    ],
    ids=str,
)
def test_what_two_patterns_share(one: Pattern, other: Pattern, common: bool) -> None:
    """The same whichever is asked first."""
    assert have_a_name_in_common(one, other) is common
    assert have_a_name_in_common(other, one) is common


LABELS = ("a", "b", "ab", "ba", "aab", "aa", "bb", "abb")
NAMES = [".".join(labels) for count in (1, 2, 3) for labels in itertools.product(LABELS, repeat=count)]
TEXTS = st.lists(st.sampled_from(("a", "b", "ab", "*", "a*", "*b", "**", "a*b")), min_size=1, max_size=3).map(".".join)
PATTERNS = st.builds(cilium, TEXTS) | st.builds(
    domain, st.sampled_from(("a.b", "*.a.b", "*.ab", "ab.a", "*.b.a", "*.ba.ab"))
)


@settings(max_examples=300)
@given(PATTERNS, PATTERNS)
def test_a_name_that_is_found_is_there(one: Pattern, other: Pattern) -> None:
    """All short names are tried: whatever both mean is in common, and what is in common is nearly always short."""
    tried = any(one.matches(name) and other.matches(name) for name in NAMES)
    found = have_a_name_in_common(one, other)
    assert found or not tried
    if found and all(pattern.text.count(".") < 2 for pattern in (one, other)):
        assert tried


@settings(max_examples=150)
@given(PATTERNS, PATTERNS, PATTERNS)
def test_three_of_them(one: Pattern, other: Pattern, third: Pattern) -> None:
    """Each two may share a name, and all three none."""
    tried = any(all(pattern.matches(name) for pattern in (one, other, third)) for name in NAMES)
    assert have_a_name_in_common(one, other, third) or not tried


def test_no_name_for_all() -> None:
    """By pairs they share `a.b.c`, `a.b.d` and `a.x.d`, or the like."""
    three = cilium("a.*.c"), cilium("a.b.*"), cilium("*.*.d")
    assert not have_a_name_in_common(*three)
    assert have_a_name_in_common(three[0], three[1])
    assert have_a_name_in_common(three[1], three[2])
