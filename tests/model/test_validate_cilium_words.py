"""Words of Cilium's policies: the patterns of its schemas, as they are and as we say them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest
import re2  # type: ignore[import-untyped]  # it has none
from hypothesis import given
from hypothesis import strategies as st

from outgate.model.validate_cilium_schema import CILIUM_DEFINITIONS
from outgate.model.validate_cilium_words import (
    is_dns_name,
    is_dns_pattern,
    is_port,
    is_server_name,
    is_service_name,
    port_value,
)

SPEC = CILIUM_DEFINITIONS["cilium.io/v2", "CiliumNetworkPolicy"].properties["spec"]
RULE = SPEC.properties["egress"].items
assert RULE is not None
_NAMES, _ENTRY = RULE.properties["toFQDNs"].items, RULE.properties["toPorts"].items
assert _NAMES is not None
assert _ENTRY is not None
_PORT, _SERVER_NAME = _ENTRY.properties["ports"].items, _ENTRY.properties["serverNames"].items
assert _PORT is not None
assert _SERVER_NAME is not None
PATTERNS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "name": (_NAMES.properties["matchName"].pattern, is_dns_name),
    "pattern": (_NAMES.properties["matchPattern"].pattern, is_dns_pattern),
    "port": (_PORT.properties["port"].pattern, is_port),
    "server name": (_SERVER_NAME.pattern, is_server_name),
}


@given(st.sampled_from(sorted(PATTERNS)), st.text(alphabet="aZ0-_.*6\n5 ", max_size=9))
def test_each_means_what_its_pattern_says(which: str, text: str) -> None:
    """The pattern itself, as RE2 searches for it, which is what the server does."""
    pattern, ours = PATTERNS[which]
    assert bool(ours(text)) == (re2.search(pattern, text) is not None), text


@pytest.mark.parametrize("which", sorted(PATTERNS))
@pytest.mark.timeout(5)
def test_a_long_word_takes_no_longer(which: str) -> None:
    """Python's own reading of some of these patterns would not come back."""
    _, ours = PATTERNS[which]
    assert not ours("a-" * 50_000 + "!")
    assert not ours("_" + "-a" * 50_000 + "--!")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("80", 80),
        ("65535", 65535),
        ("65536", None),
        ("010", 8),
        ("09", None),
        ("00", 0),
        ("1_0", 10),
        ("0_7", 7),
        ("1__0", None),
        ("_1", None),
        ("1_", None),
        ("0x1F", 31),
        ("0b11", 3),
        ("0o17", 15),
        ("0x", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        (" 1", None),
        ("1 ", None),
        ("²", None),
        ("1" * 5000, None),
    ],
)
def test_a_number_is_what_go_reads(text: str, number: int | None) -> None:
    """strconv.ParseUint with the base left to the text."""
    assert port_value(text) == number


@given(st.integers(0, 0xFFFF))
def test_every_port_can_be_written(number: int) -> None:
    """In each of the four bases."""
    assert {port_value(form.format(number)) for form in ("{}", "{:#x}", "{:#b}", "{:#o}")} == {number}


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("http", True),
        ("HTTP-8080", True),
        ("8080-http", True),
        ("0x10", True),
        ("8080", False),
        ("a" * 15, True),
        ("a" * 16, False),
        ("a--b", False),
        ("-a", False),
        ("a-", False),
        ("a_b", False),
        ("", False),
        ("a\n", False),
    ],
)
def test_a_name_is_one_of_iana(text: str, good: bool) -> None:
    """RFC 6335, section 5.1."""
    assert is_service_name(text) is good


def test_the_patterns_are_where_we_look() -> None:
    """Each is tied to the beginning, or the comparison above would be about something else."""
    assert all(pattern.startswith("^") and re2.compile(pattern) for pattern, _ in PATTERNS.values())
    assert re.escape("*") in PATTERNS["server name"][0]
