"""What a plain scalar of YAML means to kubectl.

kubectl reads YAML with sigs.k8s.io/yaml, which carries go-yaml 2: YAML 1.1 with its own opinions. ``on`` is true,
``0123`` is 83, ``1e3`` is 1000, ``08`` is 8, dates are strings, and nothing counts in base 60. What becomes of a value
on its way through JSON is done here as well: a float without a fraction is an integer, and infinities do not exist.
"""

from __future__ import annotations

import functools
import math
import re

__all__ = ["MERGE", "Scalar", "is_finite", "key_text", "resolve", "tagged"]

Scalar = str | int | float | bool | None

MERGE = "<<"

_WORDS: dict[str, Scalar] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True)
_WORDS |= dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False)
_WORDS |= dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan)
_WORDS |= dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf)
_WORDS |= dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf)

_LONGEST = 400
"""More digits than any finite number has."""

_NUMERIC_STARTS = frozenset("+-0123456789.")
_OCTAL = re.compile(r"[-+]?0[0-7]+")
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


@functools.lru_cache(maxsize=1 << 16)
def resolve(text: str) -> Scalar:
    """The value of a plain scalar without a tag."""
    if text[:1] in _NUMERIC_STARTS and text not in _WORDS:
        return _number(text)
    return _WORDS.get(text, text)


def _number(text: str) -> Scalar:
    """A number, or the text where it is none (an address, a date, ``1:30``)."""
    plain = text if text[0] == "." else text.replace("_", "")
    number: int | None = None
    # strconv.ParseInt with base 0: a leading zero alone means octal.
    if _OCTAL.fullmatch(plain):
        number = int(plain, 8)
    elif _INTEGER.fullmatch(plain) and (len(plain) < _LONGEST or plain.lstrip("+-").startswith("0")):
        # Of decimals Python reads no more than some thousand digits, and so many are no 64 bits in any case.
        number = int(plain, 0)
    if number is not None and -(1 << 63) <= number < 1 << 64:
        return number
    if _FLOAT.fullmatch(plain) and len(plain) < _LONGEST:
        value = float(plain)
        # strconv.ParseFloat refuses what is out of range; the text then stays a text.
        return text if math.isinf(value) else _through_json(value)
    return text


def _through_json(value: float) -> int | float:
    """JSON has one kind of number, and Go writes 1000.0 as 1000."""
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def tagged(tag: str, text: str, *, plain: bool) -> Scalar:
    """The value of a scalar with an explicit tag.

    Raises ValueError, with what is wrong, where text and tag do not agree.
    """
    short = tag.replace("tag:yaml.org,2002:", "!!")
    if short == "!!binary":
        import base64  # noqa: PLC0415 - hardly any manifest has such a scalar
        import binascii  # noqa: PLC0415

        try:
            return base64.b64decode(text, validate=False).decode("utf-8", "replace")
        except (binascii.Error, ValueError) as error:
            raise ValueError("!!binary value contains invalid base64 data") from error
    if short not in ("!!bool", "!!int", "!!float", "!!null"):
        # A string, a timestamp (which stays one), the non-specific "!", or a tag of somebody's own.
        return text
    value = resolve(text)
    if short == "!!null" and text == "" and not plain:
        return None
    fits = {
        "!!bool": isinstance(value, bool),
        "!!int": isinstance(value, int) and not isinstance(value, bool),
        "!!float": isinstance(value, int | float) and not isinstance(value, bool),
        "!!null": value is None,
    }
    if not fits[short]:
        raise ValueError(f"cannot decode `{text}` as a {short}")
    return value


def is_finite(value: float) -> bool:
    """Whether JSON can hold a float."""
    return math.isfinite(value)


def key_text(key: Scalar) -> str:
    """A key as JSON has it, a string. Raises ValueError for null, which cannot be one."""
    match key:
        case str():
            return key
        case bool():
            return "true" if key else "false"
        case int():
            return str(key)
        case float():
            return _short_float(key)
        case None:
            raise ValueError("null cannot be a key: quote it, or give the key its name")
        case _:
            raise TypeError("a mapping or a list cannot be a key")


def _short_float(value: float) -> str:
    """As Go formats it for 32 bits: the shortest digits that give the same 32-bit float."""
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    import struct  # noqa: PLC0415 - hardly any key is a fraction

    for digits in range(1, 18):
        text = f"{value:.{digits}g}"
        if struct.pack("f", float(text)) == struct.pack("f", value):
            return text
    return repr(value)
