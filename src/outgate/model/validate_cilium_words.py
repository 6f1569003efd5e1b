"""The forms of single words in Cilium's policies: names and patterns of DNS, server names, ports.

The patterns in Cilium's schemas are written for RE2, which takes any of them in one pass. Python does not, and would
look for hours at some texts; so what they mean is said here in other patterns, with which one pass is enough.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Any

__all__ = [
    "ends_a_name",
    "is_dns_name",
    "is_dns_pattern",
    "is_header_name",
    "is_port",
    "is_server_name",
    "is_service_name",
    "port_value",
]

_LETTERS = frozenset(string.ascii_letters)
_NAME = r"[-a-zA-Z0-9_]+(?:\.[-a-zA-Z0-9_]+)*\.?"

is_dns_name = re.compile(_NAME).fullmatch
"""``matchName``: labels with one dot between them, and one at the end or none."""
is_dns_pattern = re.compile(r"[-a-zA-Z0-9_*]+(?:\.[-a-zA-Z0-9_*]+)*\.?").fullmatch
"""``matchPattern``: the same, with stars anywhere."""
is_server_name = re.compile(rf"(?:\*?\*\.)?{_NAME}").fullmatch
"""``serverNames``: a name, with ``*.`` or ``**.`` before it or nothing."""


def is_port(text: str) -> bool:
    """Whether the schema lets a text through as a port.

    Its pattern is two alternatives without parentheses around them, so that each is tied to one end of the text only:
    anything that begins with a digit will do, and anything that ends with a name.
    """
    if text[:1] in string.digits and text:
        return True
    tail = text[len(text.rstrip(string.ascii_letters + string.digits + "-")) :].rpartition("--")[2]
    return not tail.endswith("-") and not _LETTERS.isdisjoint(tail)


is_header_name = re.compile(r"[!#$%&'*+.^_`|~0-9a-zA-Z-]+").fullmatch
"""The name of a header (RFC 9110, 5.6.2: a token)."""

_SERVICE = re.compile(r"[a-zA-Z0-9]+(?:-[a-zA-Z0-9]+)*").fullmatch


def is_service_name(text: str) -> bool:
    """Whether a port is a name and no number: "0x10 is now considered a name rather than number 16".

    RFC 6335, section 5.1: 1 to 15 letters, digits and hyphens, of which at least one is a letter, no hyphen stands at
    an end and no two of them together. Either case will do.
    """
    return len(text) <= 15 and _SERVICE(text) is not None and not _LETTERS.isdisjoint(text)


def ends_a_name(port: Mapping[str, Any]) -> bool:
    """Whether a port is a name with an ``endPort`` after it."""
    return is_service_name(port.get("port", "")) and port.get("endPort", 0) > 0


_BASES = (("0x", 16), ("0b", 2), ("0o", 8), ("0", 8), ("", 10))
_DIGITS = {2: "01", 8: "01234567", 10: string.digits, 16: string.hexdigits}


def port_value(text: str) -> int | None:
    """A port as Go's ``strconv.ParseUint(text, 0, 16)`` reads it: ``010`` is 8. None where it is none.

    "Underscore characters are permitted as defined by the Go syntax for integer literals": one between two digits.
    """
    lowered = text.lower()
    prefix, base = next((prefix, base) for prefix, base in _BASES if lowered.startswith(prefix))
    digits = lowered[len(prefix) :] if lowered != "0" else "0"
    if prefix:
        # After a prefix, and after the 0 of an octal number, an underscore may stand as well.
        digits = digits.removeprefix("_") if len(digits) > 1 else digits
    parts = digits.split("_")
    if not all(part and all(one in _DIGITS[base] for one in part) for part in parts):
        return None
    plain = "".join(parts).lstrip("0") or "0"
    if len(plain) > 16:
        return None
    number = int(plain, base)
    return number if number <= 0xFFFF else None
