"""How the API server prints values, and what it says of names."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model.validate_text import (
    dns_label,
    dns_subdomain,
    json_text,
    label_key,
    label_value,
    port_name,
    port_number,
    quote,
)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a b", '"a b"'), ('"\\', '"\\"\\\\"'), ("\a\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'),
        ("\0\x1f\x7f", '"\\x00\\x1f\\x7f"'),
        ("ü☃", '"ü☃"'), ("\u00a0\u2028\ufeff", '"\\u00a0\\u2028\\ufeff"'), ("\U0001f600", '"\U0001f600"'),
        ("\U000e0001", '"\\U000e0001"'), ("'`", "\"'`\""), ("", '""'), ("\ud800", '"\\ufffd"'),
    ],
)  # fmt: skip
def test_strings_are_printed_as_go_prints_them(text: str, printed: str) -> None:
    """Names come from anywhere; an escape sequence that is printed raw would colour a terminal or forge a line."""
    assert quote(text) == printed


@given(st.text())
def test_printed_strings_are_one_printable_line(text: str) -> None:
    """Whatever a manifest holds, its error is one line without control characters."""
    assert quote(text).isprintable()
    assert quote(text)[0] == quote(text)[-1] == '"'


def test_named_types_are_printed_as_json() -> None:
    """Go's JSON escapes the signs of HTML, which Python's does not."""
    assert json_text(["<a>", "&\u2028"]) == '["\\u003ca\\u003e","\\u0026\\u2028"]'
    assert json_text({"a": True, "b": "ü"}) == '{"a":true,"b":"ü"}'


@given(st.text())
def test_json_stays_json(text: str) -> None:
    """Escaping must not change the value."""
    assert json.loads(json_text(text)) == text


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (dns_subdomain, ["a", "a.b-c.d", "0", "a" * 253],
         ["", "-", "a-", ".a", "a.", "a..b", "A", "ü", "a_b", "a\n", "a" * 254]),
        (dns_label, ["a", "0-0", "a" * 63], ["", "a.b", "-a", "A", "a\n", "a" * 64]),
        (label_key, ["a", "A_b.c-d", "example.com/a", "1/1", "a" * 63, f"{'a' * 253}/a"],
         ["", "/", "a/", "/a", "a/b/c", "-a", "a-", "A/b", "a b", "a\n", "a" * 64, f"{'a' * 254}/a", "ä"]),
        (label_value, ["", "a", "A_b.c-d", "a" * 63], ["-", "a-", "a b", "a\n", "a" * 64, "ä", "a/b"]),
        (port_name, ["a", "http", "h-2", "1a", "a" * 15], ["", "1", "a--b", "-a", "a-", "A", "a_b", "a" * 16, "a\n"]),
    ],
)  # fmt: skip
def test_names_that_are_right_and_wrong(check: object, good: list[str], bad: list[str]) -> None:
    """A name that ends in a newline looks right to a careless pattern and is refused by the server."""
    assert callable(check)
    assert [one for one in good if list(check(one))] == []
    assert [one for one in bad if not list(check(one))] == []


def test_lengths_are_counted_in_bytes() -> None:
    """Go counts bytes: sixty-three characters may be too many."""
    assert "must be no more than 63 bytes" in list(label_value("ü" * 32))
    assert "must be no more than 63 bytes" not in list(label_value("ü" * 31))


def test_a_bad_prefix_of_a_key_is_named_as_such() -> None:
    """The prefix is a DNS name and the rest is not; the message says which part is wrong."""
    assert [words[:24] for words in label_key("A_/-")] == ["prefix part a lowercase ", "name part must consist o"]
    assert next(label_key("/a")) == "prefix part must be non-empty"


@pytest.mark.parametrize(("number", "right"), [(0, False), (1, True), (65535, True), (65536, False), (-1, False)])
def test_port_numbers(number: int, right: bool) -> None:
    """Port 0 is no port."""
    assert (not list(port_number(number))) is right
