"""Expressions: what is taken, RE2 takes; and where Python answers, RE2 answers the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.proxy.expression import LARGEST, parse_expression

re2: Any = pytest.importorskip("re2", reason="needs the package google-re2")
_QUIET = re2.Options()
_QUIET.log_errors = False

# Pieces of expressions, whole and broken.
_PIECES = [
    *"aab./-_]}{^$()|*+?[,1 &",
    *(
        r"\d",
        r"\w",
        r"\s",
        r"\S",
        r"\D",
        r"\W",
        r"\.",
        r"\/",
        r"\-",
        r"\b",
        r"\z",
        r"\Z",
        r"\A",
        r"\1",
        r"\07",
        r"\x41",
    ),
    *(r"\pL", r"\p{Greek}", r"\p{^Lu}", r"\Q", r"\E", r"\C", r"\k", r"\u", r"\\", r"\_", r"\x{e9}", "é", r"\x{110000}"),
    *(
        "(?:",
        "(?P<n>",
        "(?<n>",
        "(?i)",
        "(?U:",
        "(?s-i:",
        "(?=",
        "(?!",
        "(?#",
        "[^",
        "[]",
        "[a-c]",
        "[[:alpha:]]",
        "[[:foo:]]",
    ),
    *("{2}", "{1,3}", "{,3}", "{2,}", "{3,1}", "{1000}", "{1001}", "a-", "-z", ".*", "*?", "&&", "--", "||", "~~"),
]
_VALUES = st.text(st.sampled_from(list("aabbcABZ019./-_]}{^$()|*+?[,\\&~ \t\v")), max_size=5)


def compiled(text: str) -> Any:
    """The expression as RE2 reads it; None where it refuses."""
    try:
        return re2.compile(text, _QUIET)
    except re2.error:
        return None


@given(st.lists(st.sampled_from(_PIECES), max_size=7).map("".join), st.lists(_VALUES, max_size=6))
def test_re2_agrees(text: str, values: list[str]) -> None:
    """An expression that RE2 refuses would take the rules of all pods with it."""
    try:
        expression = parse_expression(text)
    except ValueError:
        return
    other = compiled(text)
    assert other is not None
    for value in values:
        answer = expression.matches(value)
        assert answer is None or answer == (other.fullmatch(value) is not None)


@given(st.lists(st.sampled_from(_PIECES), max_size=7).map("".join))
def test_little_is_refused_beyond_re2(text: str) -> None:
    """What RE2 takes and we do not is named here: single bytes, quoting, scripts."""
    if compiled(text) is None:
        return
    try:
        parse_expression(text)
    except ValueError as error:
        refusal = str(error)
    else:
        return
    assert any(word in refusal for word in ("single byte", r"'\Q'", "Unicode class", "too large"))


@pytest.mark.parametrize(
    "text",
    [
        "/public/.*",
        "GET|POST",
        r"/v[0-9]+/items/\d{1,8}(\?.*)?",
        r"(?:[a-z0-9-]+\.)*example\.com(:443)?",
        "/[^/]+/x",
        "",
    ],
)
def test_ordinary_ones_are_known_in_python(text: str) -> None:
    """If everything were unknown, the tests above would pass on nothing."""
    assert parse_expression(text).python is not None


@pytest.mark.parametrize(
    ("text", "value", "answer"),
    [
        ("/public", "/public", True),
        ("/public", "/public/x", False),
        ("GET|POST", "POST", True),
        ("GET|POST", "GETPOST", False),
        ("/a", "/a?x=1", False),
        ("a.c", "abc", True),
        ("(?i)get", "GET", None),
        ("é", "é", None),
        (".*", "ä", None),
        (r"\S+", "abc", None),
    ],
)
def test_whole_value(text: str, value: str, answer: bool | None) -> None:
    """semantics.md C5: a full match, and alternation is anchored as a whole."""
    assert parse_expression(text).matches(value) is answer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a**", "repetition of a repetition, at character 3"),
        ("(a", "'(' that is never closed"),
        ("a)", "')' that closes nothing, at character 2"),
        ("[a", "'[' that is never closed, at character 1"),
        ("(?=a)", "of a kind that RE2 does not have"),
        (r"(a)\1", r"an escape '\1'"),
        ("a\\", "a backslash at the end"),
        ("a{1001}", "more than 1000"),
        ("(a{100}){100}", "multiply to more than 1000"),
        ("[z-a]", "runs backwards"),
        ("(" * 200 + ")" * 200, "groups within each other"),
        ("x" * 20_000, "longer than"),
        (r"(\pL{200})", "too large"),
        ("\ud800", "surrogate"),
    ],
)
def test_refusals_say_why(text: str, words: str) -> None:
    """With the place, so that a person finds it."""
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        r"(?:[^/]{10}){90}",
        r"(?:\pL{9})",
        "(?:.{31}){32}",
        "a{1000}" * 4,
        "[a-z]{1000}",
        "(?i)[a-z]{1000}",
        "(?i)k{1000}",
        "[^/]{1000}",
        r"\W{1000}",
    ],
)
def test_sizes_are_estimated_from_above(text: str) -> None:
    """RE2's own count of instructions is never larger than ours, which the limit is about."""
    parse_expression(text)
    other = compiled(text)
    assert other is not None
    assert other.programsize <= LARGEST
