"""The texts of the API server: how it prints a value, and what it says of a name, a label or a port name.

Lengths count bytes of UTF-8, as Go's ``len`` does. Two ways of printing strings are in use: ``%q`` for plain strings
and JSON for those of a named Go type (a protocol, an operator, a policy type), since ``field.Error`` marshals whatever
it has no simple printer for.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator

__all__ = [
    "dns_label",
    "dns_subdomain",
    "json_text",
    "label_key",
    "label_value",
    "path_segment",
    "port_name",
    "port_number",
    "quote",
]

_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
}  # fmt: skip


def quote(text: str) -> str:
    """A string as Go's ``%q`` prints it: printable characters as they are, the rest escaped."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_quote_character, text)) + '"'


def _quote_character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    # Go's strconv.IsPrint: letters, marks, numbers, punctuation, symbols, and the space U+0020 alone of all spaces.
    if character == " " or unicodedata.category(character)[0] in "LMNPS":
        return character
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xD800 <= code < 0xE000:
        return "\\ufffd"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_text(value: object) -> str:
    """A value as Go's ``json.Marshal`` writes it: no spaces, and ``<``, ``>``, ``&`` escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_NAME_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_LABEL_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)
_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN = f"{_DNS_LABEL}(\\.{_DNS_LABEL})*"

# The `$` of Go's regular expressions is the end of the text and never the last newline: hence fullmatch everywhere.
_IS_NAME = re.compile(_NAME).fullmatch
_IS_DNS_LABEL = re.compile(_DNS_LABEL).fullmatch
_IS_DNS_SUBDOMAIN = re.compile(_DNS_SUBDOMAIN).fullmatch


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _pattern_error(words: str, pattern: str, *examples: str) -> str:
    # The comma and the two blanks between examples are the server's.
    shown = " or ".join(f"'{one}', " for one in examples)
    return f"{words} (e.g. {shown}regex used for validation is '{pattern}')"


def dns_subdomain(text: str) -> Iterator[str]:
    """What is wrong with a name as a lowercase RFC 1123 subdomain: most objects' names."""
    if _length(text) > 253:
        yield "must be no more than 253 bytes"
    if not _IS_DNS_SUBDOMAIN(text):
        yield _pattern_error(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character",
            _DNS_SUBDOMAIN,
            "example.com",
        )


def dns_label(text: str) -> Iterator[str]:
    """What is wrong with a name as a lowercase RFC 1123 label: a namespace's name."""
    if _length(text) > 63:
        yield "must be no more than 63 bytes"
    if not _IS_DNS_LABEL(text):
        if _IS_DNS_SUBDOMAIN(text):
            yield "must not contain dots"
        else:
            yield _pattern_error(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
                "and must start and end with an alphanumeric character",
                _DNS_LABEL,
                "my-name",
                "123-abc",
            )


def label_key(text: str) -> Iterator[str]:
    """What is wrong with the key of a label: a name, with a DNS prefix and a slash before it or not."""
    parts = text.split("/")
    if len(parts) > 2:
        words = _pattern_error(_NAME_WORDS, _NAME, "MyName", "my.name", "123-abc")
        yield f"a valid label key {words} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return
    name = parts[-1]
    if len(parts) == 2:
        if not parts[0]:
            yield "prefix part must be non-empty"
        else:
            yield from (f"prefix part {words}" for words in dns_subdomain(parts[0]))
    if not name:
        yield "name part must be non-empty"
    elif _length(name) > 63:
        yield "name part must be no more than 63 bytes"
    if not _IS_NAME(name):
        yield f"name part {_pattern_error(_NAME_WORDS, _NAME, 'MyName', 'my.name', '123-abc')}"


def label_value(text: str) -> Iterator[str]:
    """What is wrong with the value of a label; the empty one is right."""
    if _length(text) > 63:
        yield "must be no more than 63 bytes"
    if text and not _IS_NAME(text):
        yield _pattern_error(_LABEL_WORDS, f"({_NAME})?", "MyValue", "my_value", "12345")


def port_name(text: str) -> Iterator[str]:
    """What is wrong with the name of a port (RFC 6335, in lower case only)."""
    if _length(text) > 15:
        yield "must be no more than 15 bytes"
    if not re.fullmatch("[-a-z0-9]+", text):
        yield "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not re.search("[a-z]", text):
        yield "must contain at least one letter (a-z)"
    if "--" in text:
        yield "must not contain consecutive hyphens"
    if text.startswith("-") or text.endswith("-"):
        yield "must not begin or end with a hyphen"


def port_number(number: int) -> Iterator[str]:
    """What is wrong with a number as a port."""
    if not 1 <= number <= 65535:
        yield "must be between 1 and 65535, inclusive"


def path_segment(text: str) -> Iterator[str]:
    """What is wrong with a name that need only be one step of a path (``path.IsValidPathSegmentName``)."""
    if text in (".", ".."):
        yield f"may not be '{text}'"
    for one in "/%":
        if one in text:
            yield f"may not contain '{one}'"
