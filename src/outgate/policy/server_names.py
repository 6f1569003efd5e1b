r"""Patterns for the server name that a TLS client asks for (SNI), as CiliumNetworkPolicy writes them in `serverNames`.

A pattern is a name, or a name behind ``*.`` (exactly one label more) or ``**.`` (one or more). The grammar is the
CRD's, ``^(\*?\*\.)?([-a-zA-Z0-9_]+\.?)+$``. Names are compared without regard to case (RFC 6066, 3: "DNS
hostnames"; RFC 4343), and a dot at the end, which SNI never has ("without a trailing dot"), means nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ServerName", "parse_server_name"]

_GRAMMAR = re.compile(r"(\*?\*\.)?([-a-zA-Z0-9_]+(?:\.[-a-zA-Z0-9_]+)*)\.?")
_LABEL = "[-a-z0-9_]+"
"""What a star stands for in cilium-envoy (``SniPattern``): "any number of valid DNS characters"."""
_LABELS = {"": "", "*.": rf"{_LABEL}\.", "**.": rf"({_LABEL}\.)+"}
_LONGEST = 255
"""Octets of a DNS name (RFC 1035, 2.3.4)."""


@dataclass(frozen=True, slots=True)
class ServerName:
    """One pattern: `labels` is what may stand before `name`: nothing, ``*.`` or ``**.``. `name` is in lower case."""

    labels: str
    name: str

    @property
    def expression(self) -> str:
        """The pattern as a regular expression for a whole name in lower case; the same in RE2 and in Python."""
        return _LABELS[self.labels] + self.name.replace(".", r"\.")

    def matches(self, asked: str) -> bool:
        """Whether a client that asks for this name gets through; the empty name is that of a client that asks none."""
        return re.fullmatch(self.expression, asked.lower()) is not None

    def __str__(self) -> str:
        return self.labels + self.name


def parse_server_name(text: str) -> ServerName:
    """Reads a pattern.

    Raises:
        ValueError: with the reason, in words of the API where it has some.
    """
    if not text:
        raise ValueError("empty server name is not allowed")
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise ValueError("a server name is letters, digits, '-', '_' and dots, after '*.' or '**.' if need be")
    if len(match[2]) > _LONGEST:
        raise ValueError(f"a server name has at most {_LONGEST} characters")
    return ServerName(match[1] or "", match[2].lower())
