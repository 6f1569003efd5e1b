"""Patterns of server names: C5's grammar, and labels counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.policy.server_names import ServerName, parse_server_name

_LABELS = st.lists(st.sampled_from(["a", "b", "example", "com", "x-1", "_t"]), min_size=1, max_size=5)


def obvious(pattern: str, name: str) -> bool:
    """By labels, from the right."""
    stars, _, rest = pattern.rpartition("*.")
    wanted, labels = (rest if stars or pattern.startswith("*") else pattern).lower().split("."), name.lower().split(".")
    more = len(labels) - len(wanted)
    if more < 0 or labels[more:] != wanted or "" in labels[:more]:
        return False
    return more >= 1 if pattern.startswith("**.") else more == 1 if pattern.startswith("*.") else more == 0


@given(st.sampled_from(["", "*.", "**."]), _LABELS, _LABELS, st.booleans())
def test_labels_are_counted(stars: str, wanted: list[str], asked: list[str], related: bool) -> None:
    """``*.`` is one label, ``**.`` one or more."""
    pattern, name = stars + ".".join(wanted), ".".join([*asked, *wanted] if related else asked)
    assert parse_server_name(pattern).matches(name) == obvious(pattern, name)
    assert parse_server_name(pattern.upper()).matches(name.swapcase()) == obvious(pattern, name)


@pytest.mark.parametrize(
    "text", ["", "*", "**", "*.", "a..b", ".a", "a.*.b", "***.a", "a b", "*a.b", "a/b", "ä.de", "a\n"]
)
def test_no_patterns(text: str) -> None:
    """Outside the grammar of the CRD."""
    with pytest.raises(ValueError, match="server name"):
        parse_server_name(text)


def test_a_client_without_a_name_matches_nothing() -> None:
    """No SNI is the empty name."""
    assert not any(parse_server_name(text).matches("") for text in ("a", "*.a", "**.a"))


@pytest.mark.parametrize("label", ["a b", "ä", "a*", "*", "a/b", "", "a\n"])
def test_a_star_stands_for_characters_of_names(label: str) -> None:
    """A client may ask for anything; what is no name is none of these."""
    assert not any(parse_server_name(text).matches(f"{label}.a.de") for text in ("*.a.de", "**.a.de", "**.de"))
    assert parse_server_name("**.de").matches("x-1._t.a.de")


def test_written_again() -> None:
    """In lower case, and without the last dot."""
    assert str(parse_server_name("**.Example.COM.")) == "**.example.com"
    assert parse_server_name("*.a.") == ServerName("*.", "a")
    with pytest.raises(ValueError, match="at most 255"):
        parse_server_name("a" * 256)
