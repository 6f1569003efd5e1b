"""Our own reader of RE2's syntax against RE2 itself: nothing that Envoy would refuse gets through."""

from __future__ import annotations

import random
import re

import pytest
import re2  # type: ignore[import-untyped]  # it has none
from hypothesis import given
from hypothesis import strategies as st

from outgate.model.expressions import PROGRAM_LIMIT, expression_problem, program_size, read_expression

# Pieces that mean something together: of characters alone nearly every text would be an expression.
PIECES = (
    *(
        "a",
        "b",
        "/",
        ".",
        "-",
        ",",
        "0",
        "7",
        "é",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "|",
        "*",
        "+",
        "?",
        "^",
        "$",
        "\\",
        " ",
    ),
    *("(?:", "(?i)", "(?-s:", "(?P<x>", "(?P<y>", "(?<z>", "(?=", "(?!", "(?<=", "(?>", "(?#", "(?P=x)", "(?", "(?-)"),
    *("{2}", "{2,}", "{,3}", "{0,3}", "{3,1}", "{1,100}", "{1001}", "{01}", "??", "*?", "++"),
    *("[a-z]", "[^/]", "[^", "[[:alpha:]]", "[[:^digit:]]", "[[:nope:]]", "[:alpha:]", "[]a]", "z-a", "a-"),
    *(
        r"\d",
        r"\W",
        r"\b",
        r"\z",
        r"\Z",
        r"\1",
        r"\12",
        r"\0",
        r"\x41",
        r"\x{100}",
        r"\x{110000}",
        r"\x4",
        r"\Q",
        r"\E",
    ),
    *(r"\pL", r"\PN", r"\p{Greek}", r"\p{^Han}", r"\p{Nope}", r"\p", r"\n", r"\-", r"\_", r"\ ", r"\é", r"\C", r"\h"),
)
QUIET = re2.Options()
QUIET.log_errors = False


def envoy_takes(text: str) -> bool:
    """What RE2 says."""
    try:
        re2.compile(text, QUIET)
    except re2.error:
        return False
    return True


def compare(text: str) -> bool:
    """Check one text, and say if it is an expression."""
    mine = not expression_problem(text)
    theirs = envoy_takes(text)
    assert theirs or not mine, f"RE2 refuses {text!r}"
    # We are stricter in three things: single bytes, names in other alphabets, and what is a hundred times too long.
    if theirs and not mine:
        assert r"\C" in text or "é" in text or "x>" in text or program_size_of_re2(text) > 10 * PROGRAM_LIMIT, text
    return mine


def program_size_of_re2(text: str) -> int:
    """RE2's own figure."""
    return int(re2.compile(text, QUIET).programsize)


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_no_expression_gets_through_that_re2_refuses(text: str) -> None:
    """And none is refused that it takes, but for a few that nobody writes."""
    compare(text)


def test_thousands_of_them() -> None:
    """More than Hypothesis has the time for; a good part of them are expressions, or the test would say nothing."""
    choose = random.Random(6)
    found = [compare("".join(choose.choices(PIECES, k=choose.randint(1, 6)))) for _ in range(20_000)]
    assert 4_000 < sum(found) < 16_000


@given(st.text(max_size=20))
def test_any_text_is_an_expression_or_a_problem(text: str) -> None:
    """And never an exception."""
    if not expression_problem(text):
        assert envoy_takes(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("a(?!b)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?<=a)b", "invalid or unsupported Perl syntax: `(?<=`"),
        ("(?<!a)b", "invalid or unsupported Perl syntax: `(?<!`"),
        ("(?>a)", "invalid or unsupported Perl syntax: `(?>`"),
        ("a++", "invalid nested repetition operator: `++`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("(a{100}){11}", "invalid repeat count: `{11}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("*.example", "missing argument to repetition operator: `*`"),
        ("[a", "missing closing ]: `[a`"),
        ("(a", "missing closing ): `(a`"),
        ("a)", "unexpected ): `a)`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("(?P<n>a)(?P<n>b)", "invalid named capture: `(?P<n>`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        (r"(\pL{900}){1}", r"expression too large: `(\pL{900}){1}`"),
        ("(" * 200 + ")" * 200, f"expression nests too deeply: `{'(' * 200}{')' * 200}`"),
        ("a\ud800", "invalid UTF-8"),
    ],
)
def test_what_go_says(text: str, words: str) -> None:
    """The words of Go's regexp/syntax, with the piece that it shows."""
    assert expression_problem(text) == f"error parsing regexp: {words}"


@pytest.mark.parametrize(
    "text",
    ["", "/public/.*", "GET|POST", r"foo\.bar\.com", "[^/]+", "a{1000}", "(?i)x", "x{", "[]-a]", r"\Qa.b\E+", "a{,3}"],
)
def test_what_is_fine(text: str) -> None:
    """What people write, and what looks wrong and is not."""
    assert not expression_problem(text)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["{", "[", "[[:", "(", "a", "a{1,2", "\\Q", "|", "[^", "(?P<a", "\\x{", "*"])
def test_a_long_text_takes_no_long_time(piece: str) -> None:
    """A megabyte of it: whoever may write a policy must not be able to stop those who read it."""
    expression_problem(piece * (1_000_000 // len(piece)))


PATHS = st.lists(
    st.sampled_from(
        ("/api", "/v[0-9]+", "/[^/]+", "/.*", "(a|bc)", "/[a-z0-9-]{1,20}", "x{3}", "x?", r"\.", "[a-f0-9]{8}", "é")
    ),
    min_size=1,
    max_size=6,
).map("".join)


@given(PATHS)
def test_the_size_is_nearly_that_of_re2(text: str) -> None:
    """Within a tenth and a few instructions: enough for a warning."""
    real = program_size_of_re2(text)
    assert abs(program_size(text) - real) <= 6 + real // 10


def test_python_would_not_do() -> None:
    """Python's own reader takes what Envoy refuses: that is why there is another."""
    for text in (r"(a)\1", "(?<=a)b", "a++"):
        re.compile(text)
        assert expression_problem(text)


VALUES = st.text(st.sampled_from(list("aabbcABZ019./-_]}{^$()|*+?[,\\&~ \t\v")), max_size=5)


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.lists(VALUES, max_size=6))
def test_where_we_answer_re2_answers_the_same(text: str, values: list[str]) -> None:
    """A verdict that is told is the proxy's."""
    if expression_problem(text):
        return
    expression, other = read_expression(text), re2.compile(text, QUIET)
    for value in values:
        answer = expression.matches(value)
        assert answer is None or answer == (other.fullmatch(value) is not None)


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
        ("é|a", "a", True),
        (".*", "ä", None),
        (r"\S+", "abc", True),
        (r"[[:alpha:]\d]+", "a1", True),
        (r"[^\W_]", "_", False),
        (r"\bab", "ab", None),
        ("(a*)*b", "a" * 60 + "c", False),
        ("((a?){30}){30}", "a" * 901, False),
        (r"(?:[a-z0-9-]+\.)*example\.com(:443)?", "a.b.example.com:443", True),
    ],
)
def test_whole_value(text: str, value: str, answer: bool | None) -> None:
    """semantics.md C5: a full match, and alternation is anchored as a whole. No expression takes long."""
    assert read_expression(text).matches(value) is answer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a**", "invalid nested repetition operator: `**`, at character 2"),
        ("ab(c", "missing closing ): `ab(c`, at character 3"),
        ("a)", "unexpected ): `a)`, at character 2"),
        ("x[a", "missing closing ]: `[a`, at character 2"),
        (r"(a)\1", r"invalid escape sequence: `\1`, at character 4"),
        ("ab\\", "trailing backslash at end of expression: ``, at character 3"),
        ("x[z-a]", "invalid character class range: `z-a`, at character 3"),
        ("a\ud800", "invalid UTF-8, at character 2"),
    ],
)
def test_the_place_is_told(text: str, words: str) -> None:
    """So that a person finds it."""
    with pytest.raises(ValueError, match=re.escape(f"error parsing regexp: {words}") + "$"):
        read_expression(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [("/v1/items(/.*)?", "/v1/items"), ("GET|POST", "GET"), ("[0-9]{2,}x", "00x"), ("", ""), (r"\bx", None)],
)
def test_an_example(text: str, found: str | None) -> None:
    """A value that matches, made of the expression; None where we do not follow it."""
    assert read_expression(text).example() == found
