"""A plain scalar means here what it means to kubectl: the traps of YAML, one by one."""

from __future__ import annotations

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.cluster.yamlscalar import MERGE, is_finite, key_text, resolve, tagged

TAG = "tag:yaml.org,2002:"


def same(found: object, expected: object) -> bool:
    """Equal and of the same type: 1 is not true and 1.0 is not 1."""
    return type(found) is type(expected) and found == expected


@pytest.mark.parametrize("text", ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"])
def test_words_that_are_true(text: str) -> None:
    """`on: ...` is the key true, and `name: y` is no name: the server says so, and so must we."""
    assert resolve(text) is True


@pytest.mark.parametrize("text", ["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"])
def test_words_that_are_false(text: str) -> None:
    """The country code of Norway is false."""
    assert resolve(text) is False


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_words_that_are_null(text: str) -> None:
    """A key without a value holds null."""
    assert resolve(text) is None


@pytest.mark.parametrize(
    "text", ["yEs", "tRUE", "nULL", "oN", "nil", "none", "<<", "10.0.0.0/8", "a", "é", "tcp", "::1"]
)
def test_words_that_are_words(text: str) -> None:
    """Only the listed spellings are special."""
    assert resolve(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("80", 80), ("-1", -1), ("+5", 5), ("1_000", 1000), ("0x1F", 31), ("-0x1f", -31), ("0b101", 5),
        ("0o17", 15), ("-0", 0), ("9223372036854775807", 2**63 - 1), ("18446744073709551615", 2**64 - 1),
    ],
)  # fmt: skip
def test_integers(text: str, value: int) -> None:
    """The bases and the underscores of Go's integers."""
    assert same(resolve(text), value)


def test_a_leading_zero_means_octal() -> None:
    """`port: 0123` is port 83, and `port: 08`, which is no octal, is port 8."""
    assert [resolve(text) for text in ("0123", "-017", "00", "08", "0899")] == [83, -15, 0, 8, 899]
    assert all(type(resolve(text)) is int for text in ("08", "0899"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000), ("1E3", 1000), ("1.0", 1), ("1.", 1), ("80.5", 80.5), (".5", 0.5), ("-.5", -0.5), ("+.5e1", 5),
        ("1e-3", 0.001), ("1e21", 1e21), ("99999999999999999999", 10**20), ("1_0.5", 10.5),
    ],
)  # fmt: skip
def test_floats_without_a_fraction_are_integers(text: str, value: float) -> None:
    """Kubectl sends 1e3 as 1000, since JSON has one kind of number; a fraction stays one."""
    assert same(resolve(text), value)


@pytest.mark.parametrize(
    "text",
    ["1e999", "1:30", "190:20:30", "--1", "2001-01-01", "2001-12-14t21:59:43.10-05:00", "1.2.3",
     "0x", "0b12", "0o8", "+",
     "-", ".", "1e", "e3", "10.0.0.1", "1 0", "1_", "0xg", "12e03x", "\u0661"],
)  # fmt: skip
def test_what_only_looks_like_a_number(text: str) -> None:
    """Base 60 is dead, dates stay strings, and addresses are no numbers. An underscore at the end goes all the same."""
    expected = 1 if text == "1_" else text
    assert same(resolve(text), expected)


@pytest.mark.parametrize("text", [".inf", "-.inf", "+.Inf", ".INF", ".nan", ".NaN", ".NAN"])
def test_infinities_are_floats_that_json_has_not(text: str) -> None:
    """The reader refuses them; here they must be told from strings."""
    value = resolve(text)
    assert isinstance(value, float)
    assert not is_finite(value)
    assert is_finite(1.5)


@given(st.text(string.digits + "+-._eExXobn", max_size=12))
def test_any_text_has_a_value(text: str) -> None:
    """A resolver that raises would be a traceback for an odd label."""
    value = resolve(text)
    assert value is None or isinstance(value, str | int | float)


@given(st.integers(-(2**63), 2**64 - 1))
def test_decimal_integers_are_themselves(number: int) -> None:
    """Every 64-bit number survives."""
    assert resolve(str(number)) == number


@pytest.mark.parametrize(
    ("tag", "text", "value"),
    [
        ("str", "80", "80"), ("str", "yes", "yes"), ("int", "80", 80), ("int", "0x10", 16), ("float", "1.5", 1.5),
        ("float", "1", 1), ("bool", "yes", True), ("null", "~", None), ("null", "", None), ("timestamp", "2001-01-01",
        "2001-01-01"), ("binary", "aGVsbG8=", "hello"), ("own", "x", "x"),
    ],
)  # fmt: skip
def test_explicit_tags(tag: str, text: str, value: object) -> None:
    """`!!str 80` is a string, and a tag of somebody's own changes nothing."""
    assert same(tagged(TAG + tag, text, plain=True), value)
    assert same(tagged(f"!!{tag}", text, plain=False), value)


@pytest.mark.parametrize(
    ("tag", "text"),
    [("int", "x"), ("int", "1.5"), ("int", "yes"), ("float", "x"), ("bool", "1"), ("null", "x"), ("binary", "a")],
)
def test_tags_that_do_not_fit(tag: str, text: str) -> None:
    """go-yaml refuses a value that is not what its tag says."""
    with pytest.raises(ValueError, match=tag):
        tagged(TAG + tag, text, plain=True)


@pytest.mark.parametrize(
    ("key", "text"),
    [("a", "a"), (True, "true"), (False, "false"), (80, "80"), (-1, "-1"), (1.5, "1.5"), (0.1, "0.1"), (1e21, "1e+21"),
     (math.inf, ".inf"), (-math.inf, "-.inf"), (math.nan, ".nan")],
)  # fmt: skip
def test_keys_become_strings(key: str | float, text: str) -> None:
    """JSON has no other keys, so a label named 80 is the label "80"."""
    assert key_text(key) == text


def test_keys_that_cannot_be() -> None:
    """Null, and a collection, are refused as keys."""
    with pytest.raises(ValueError, match="null"):
        key_text(None)
    with pytest.raises(TypeError):
        key_text([])  # type: ignore[arg-type]  # what the reader may come with
    assert MERGE == "<<"


@pytest.mark.parametrize("digits", ["9" * 5000, "-" + "1" * 5000, "1_" * 2500 + "1"])
def test_a_number_of_thousands_of_digits_is_a_text(digits: str) -> None:
    """Python refuses to read so many; Go takes what no 64 bits and no float can hold for a text."""
    assert resolve(digits) == digits


def test_many_zeros_are_no_great_number() -> None:
    """Only decimals have a limit, and those have no zeros in front."""
    assert resolve("0x" + "0" * 5000 + "1f") == 31
    assert resolve("0" * 5000 + "17") == 15
