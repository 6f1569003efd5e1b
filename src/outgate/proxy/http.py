"""Rules about HTTP requests, and what they mean (CiliumNetworkPolicy, `rules.http`; semantics.md C5).

A rule is regular expressions for method, path and host, and headers. Its fields are ANDed, rules are ORed, and what is
empty asks nothing; an empty list of rules asks only that it is HTTP. Expressions match the whole value: ``/public``
is that path alone, and ``GET|POST`` is anchored as a whole. The path is the request's ``:path``, query included; the
host is its ``:authority``, which may have a port; the method is case-sensitive.

What is compared is what Envoy would send on: paths are normalised before they are judged (`outgate.proxy.envoy` says
how), and several lines of one header are one value, joined by commas (RFC 9110, 5.3).

Expressions are RE2's. `Expression.matches` answers where RE2 and Python certainly agree, and None where not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from outgate.proxy.expression import Expression, parse_expression

__all__ = ["HeaderRule", "HttpRule", "Request", "allows", "http_rule", "parse_header"]

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""The characters of a header's name (RFC 9110, 5.6.2)."""


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """A header that a request must have: with this very value, or with any where `value` is None."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class HttpRule:
    """One entry of `rules.http`. An absent expression, and no headers, ask nothing."""

    method: Expression | None = None
    path: Expression | None = None
    host: Expression | None = None
    headers: tuple[HeaderRule, ...] = ()

    @property
    def is_any(self) -> bool:
        """Whether every request passes."""
        return self == HttpRule()


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the rules see it. `path` is None for CONNECT, which has none (RFC 9110, 9.3.6)."""

    method: str
    path: str | None
    host: str
    headers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name; several are joined by commas."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ",".join(found) if found else None


def http_rule(
    method: str = "", path: str = "", host: str = "", headers: Iterable[str] = (), *, matches: Sequence[HeaderRule] = ()
) -> HttpRule:
    """A rule from its fields as a policy writes them; `matches` are its `headerMatches`, `headers` its short forms.

    Raises:
        ValueError: an expression or a header cannot be used; the message names the field.
    """
    read: dict[str, Expression | None] = {}
    for field, text in (("method", method), ("path", path), ("host", host)):
        try:
            read[field] = parse_expression(text) if text else None
        except ValueError as error:
            raise ValueError(f"{field}: {error}") from error
    parsed = []
    for number, text in enumerate(headers):
        try:
            parsed.append(parse_header(text))
        except ValueError as error:
            raise ValueError(f"headers[{number}]: {error}") from error
    for number, one in enumerate(matches):
        try:
            _check_header(one)
        except ValueError as error:
            raise ValueError(f"headerMatches[{number}]: {error}") from error
    return HttpRule(read["method"], read["path"], read["host"], (*parsed, *matches))


def parse_header(text: str) -> HeaderRule:
    """Reads ``Name value`` or ``Name``: split at the first blank, and a colon behind the name is dropped.

    Raises:
        ValueError: the name or the value is none that a request can have.
    """
    name, blank, value = text.partition(" ")
    rule = HeaderRule(name.removesuffix(":"), value if blank else None)
    _check_header(rule)
    return rule


def _check_header(rule: HeaderRule) -> None:
    if not rule.name or not _TOKEN.issuperset(rule.name):
        raise ValueError(f"{rule.name!r} is no name of a header")
    # RFC 9110, 5.5: a field value has neither control characters nor blanks around it, so such a one is never met.
    if rule.value is not None and any(ord(one) < 0x20 or ord(one) == 0x7F for one in rule.value):
        raise ValueError(f"the value of {rule.name} has a control character")


def allows(rules: Sequence[HttpRule], request: Request) -> bool | None:
    """Whether one of the rules lets the request through; None where Python cannot tell what RE2 would say."""
    if not rules:
        return True
    answers = [_one_allows(rule, request) for rule in rules]
    return True if True in answers else None if None in answers else False


def _one_allows(rule: HttpRule, request: Request) -> bool | None:
    answers = [
        _matches(rule.method, request.method),
        _matches(rule.path, request.path),
        _matches(rule.host, request.host),
        *(_has(request, one) for one in rule.headers),
    ]
    return False if False in answers else None if None in answers else True


def _matches(expression: Expression | None, value: str | None) -> bool | None:
    if expression is None:
        return True
    return False if value is None else expression.matches(value)


def _has(request: Request, rule: HeaderRule) -> bool:
    value = request.header(rule.name)
    return value is not None if rule.value is None else value == rule.value
