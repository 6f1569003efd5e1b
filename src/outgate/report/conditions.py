"""What rules ask for above TCP, in words and in JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.analysis.on_condition import Conditional
from outgate.model import Direction
from outgate.model.cilium import HttpMatch
from outgate.packets import TransportSet
from outgate.policy import Rule
from outgate.policy.rules import Conditions
from outgate.report.terms import Json, origin_json, transports_json, without_empty

__all__ = ["conditions_json", "conditions_text", "entries_json"]

_PROTOCOLS = ("TCP", "UDP", "SCTP")


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
    return [
        {"rule": origin_json(rule.origin), **_asked(rule.conditions)} for rule in rules if rule.conditions is not None
    ]


def entries_json(transports: TransportSet, asked: Iterable[Conditional]) -> list[Json]:
    """The entries of `allowed`, each with what is asked of its ports: [{protocol, ports, http, dns, serverNames}].

    What stands in one entry are alternatives. Where both ends ask something of a port, it is what the sender's asks.
    """
    parts = sorted(asked, key=lambda one: one.direction is Direction.INGRESS)
    found: list[tuple[int, Json]] = []
    for one in parts:
        here = transports & one.transports
        transports = transports - here
        found += _entries(here, _alternatives(one.rules))
    found += _entries(transports, {})
    return [entry for _, entry in sorted(found, key=lambda each: each[0])]


def _entries(transports: TransportSet, asked: Json) -> Iterator[tuple[int, Json]]:
    for entry in transports_json(transports)["allowed"]:
        # As everywhere: TCP, UDP, SCTP, and the ports ascending.
        yield _PROTOCOLS.index(entry["protocol"]) * 65536 + entry["ports"][0][0], entry | asked


def _alternatives(rules: Iterable[Rule]) -> Json:
    found: Json = {}
    for rule in rules:
        for key, values in _asked(rule.conditions or Conditions()).items():
            mine = found.setdefault(key, [])
            mine.extend(value for value in values if value not in mine)
    return found


def _asked(conditions: Conditions) -> Json:
    found: Json = {"http": [_request_json(one) for one in conditions.http]}
    found["dns"] = [one.name or one.pattern for one in conditions.dns]
    found["serverNames"] = list(conditions.server_names)
    return {key: values for key, values in found.items() if values}


def _request_json(one: HttpMatch) -> Json:
    headers = [{"name": each.name, "value": each.value} for each in one.headers]
    return without_empty({"method": one.method, "path": one.path, "host": one.host, "headers": headers})
