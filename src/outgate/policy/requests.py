"""Which requests and which TLS connections a rule lets through that says more than addresses and ports (C5).

An entry of `rules.http` (`HttpMatch`) is regular expressions for method, path and host, and headers. Its fields are
ANDed, entries are ORed, and what is empty asks nothing. Expressions match the whole value: ``/public`` is that path
alone, and ``GET|POST`` is anchored as a whole. The path is the request's ``:path``, query included; the host is its
``:authority``, which may have a port; the method is case-sensitive. A header must be there, with the value that is
given, if one is; where a mismatch is only logged, it is no hindrance.

What is compared is what the proxy would send on: it normalises paths first (`is_settled` says which are so already),
and several lines of one header are one value, joined by commas (RFC 9110, 5.3). An entry that no request can meet, as
its header is none that a request can have, or its expression none that RE2 takes, lets nothing through.

Answers are True, False, or None where Python cannot tell what RE2 would say (`Expression.matches`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from outgate.model.cilium import HeaderMatch, HttpMatch
from outgate.model.expressions import expression_problem, read_expression
from outgate.model.validate_cilium_words import is_header_name
from outgate.policy.rules import Rule
from outgate.policy.server_names import parse_server_name
from outgate.records import dataclass

__all__ = [
    "Request",
    "asked_headers",
    "can_be_met",
    "is_looked_into",
    "is_settled",
    "lets_name",
    "lets_request",
    "opens_host",
]

_UNSETTLED = re.compile(r"//|\\|%|#|/\.{1,2}([/;]|$)")
"""What normalisation looks at: slashes that follow each other, dot segments, escapes, fragments."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the rules see it. `path` is None for CONNECT, which has none (RFC 9110, 9.3.6)."""

    method: str
    path: str | None
    host: str
    headers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name; several are joined by commas."""
        if name.lower() == "host":
            return self.host
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ",".join(found) if found else None


def is_looked_into(rule: Rule) -> bool:
    """Whether the proxy has to look into the connections that a rule is about."""
    return rule.conditions is not None and bool(rule.conditions.http or rule.conditions.server_names)


def is_settled(path: str) -> bool:
    """Whether a path is sent on, and so judged, as it was asked for: nothing in it is normalised."""
    return _UNSETTLED.search(path.partition("?")[0]) is None


def lets_request(entries: Sequence[HttpMatch], request: Request) -> bool | None:
    """Whether one of the entries lets a request through; an empty list asks nothing."""
    if not entries:
        return True
    answers = [_lets(one, request) for one in entries]
    return True if True in answers else None if None in answers else False


def lets_name(patterns: Iterable[str], asked: str) -> bool:
    """Whether a TLS client that asks for this server gets through; the empty name is that of one that asks for none.

    Raises:
        ValueError: a pattern is none (`outgate.policy.server_names`).
    """
    return any(parse_server_name(one).matches(asked) for one in patterns)


def opens_host(entry: HttpMatch, host: str) -> bool:
    """Whether any request for a host may meet an entry; the host is said with its port or without."""
    if not entry.host:
        return True
    expression = read_expression(entry.host)
    return any(expression.matches(text) is not False for text in (host, f"{host}:80", f"{host}:443"))


def can_be_met(entry: HttpMatch) -> bool:
    """Whether an entry is one that a request may meet. The proxy would refuse all rules for some that are not."""
    if any(expression_problem(text) for text in (entry.method, entry.path, entry.host)):
        return False
    return all(_is_header(one) for one in asked_headers(entry))


def asked_headers(entry: HttpMatch) -> tuple[HeaderMatch, ...]:
    """The headers without which a request does not pass."""
    return tuple(one for one in entry.headers if not one.log_only)


def _is_header(one: HeaderMatch) -> bool:
    # RFC 9110, 5.5: a field value has no control characters, so such a one is never met.
    printable = one.value is None or not any(ord(sign) < 0x20 or ord(sign) == 0x7F for sign in one.value)
    return is_header_name(one.name) is not None and printable


def _lets(entry: HttpMatch, request: Request) -> bool | None:
    if not can_be_met(entry):
        return False
    answers = [
        _matches(entry.method, request.method),
        _matches(entry.path, request.path),
        _matches(entry.host, request.host),
        *(_has(request, one) for one in asked_headers(entry)),
    ]
    return False if False in answers else None if None in answers else True


def _matches(expression: str, value: str | None) -> bool | None:
    if not expression:
        return True
    return False if value is None else read_expression(expression).matches(value)


def _has(request: Request, wanted: HeaderMatch) -> bool:
    value = request.header(wanted.name)
    return value is not None if wanted.value is None else value == wanted.value
