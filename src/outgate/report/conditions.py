"""What rules ask for above TCP, in words and in JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.model.cilium import HttpMatch
from outgate.policy import Rule
from outgate.policy.rules import Conditions
from outgate.report.terms import Json, origin_json

__all__ = ["conditions_json", "conditions_text"]


def conditions_text(rules: Iterable[Rule]) -> Iterator[tuple[Rule, str]]:
    """Each condition, of which one must be met, with the rule that has it."""
    for rule in rules:
        for words in _words(rule.conditions or Conditions()):
            yield rule, words


def _words(conditions: Conditions) -> Iterator[str]:
    yield from (f"requests of HTTP {_request(one)}" for one in conditions.http)
    if conditions.dns:
        names = ", ".join(one.name or one.pattern for one in conditions.dns)
        yield f"questions of DNS for {names}"
    if conditions.server_names:
        yield f"TLS to a server named {', '.join(conditions.server_names)}"


def _request(one: HttpMatch) -> str:
    parts = [one.method or "*", one.path or "*"]
    parts += [f"to host {one.host}"] if one.host else []
    parts += [f"with {header.name}{'' if header.value is None else f': {header.value}'}" for header in one.headers]
    return " ".join(parts)


def conditions_json(rules: Iterable[Rule]) -> list[Json]:
    """Conditions = [{rule, http, dns, serverNames}]; of the last three those that are there."""
    return [_json(rule, rule.conditions) for rule in rules if rule.conditions is not None]


def _json(rule: Rule, conditions: Conditions) -> Json:
    http = [
        {
            key: value
            for key, value in (
                ("method", one.method),
                ("path", one.path),
                ("host", one.host),
                ("headers", [{"name": each.name, "value": each.value} for each in one.headers]),
            )
            if value
        }
        for one in conditions.http
    ]
    found: Json = {"rule": origin_json(rule.origin)}
    found |= {"http": http} if http else {}
    found |= {"dns": [one.name or one.pattern for one in conditions.dns]} if conditions.dns else {}
    return found | ({"serverNames": list(conditions.server_names)} if conditions.server_names else {})
