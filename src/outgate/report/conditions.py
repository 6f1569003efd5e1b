"""What rules ask for above TCP, in words and in JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from outgate.analysis.on_condition import Asked, Conditional
from outgate.analysis.spelling import spell_addresses, spell_conditions, spell_transports
from outgate.model import Direction
from outgate.model.cilium import HttpMatch
from outgate.packets import TransportSet
from outgate.policy import Rule
from outgate.policy.rules import Conditions
from outgate.report.terms import Json, origin_json, transports_json, without_empty

if TYPE_CHECKING:
    # For its type alone: it brings the whole list of connections, of which a single answer has no need.
    from outgate.analysis.opened import Opening

__all__ = [
    "asked_json",
    "asked_words",
    "conditions_json",
    "conditions_text",
    "entries_json",
    "name_words",
    "with_asked",
]

_PROTOCOLS = ("TCP", "UDP", "SCTP")
_WHERE = {Direction.EGRESS: "where it leaves, ", Direction.INGRESS: "where it enters, "}


def conditions_text(rules: Iterable[Rule]) -> Iterator[tuple[Rule, str]]:
    """Each condition, of which one must be met, with the rule that has it."""
    for rule in rules:
        for words in spell_conditions(rule.conditions or Conditions()):
            yield rule, words


def asked_words(
    asked: Sequence[Asked], transports: TransportSet, only: str = "only", most: int | None = None
) -> list[str]:
    """What is asked of ports beyond their numbers, for each part of these, in the order of the ports.

    ``TCP 80 only for requests of HTTP GET /v1``; without the ports where it is asked of all that passes. Where both
    ends ask, each says so: both have to be met, while what stands behind an "or" are alternatives. `most`: of more
    alternatives the others are counted.
    """
    both = len({one.part.direction for one in asked}) > 1
    return [_asked(one, transports, only, most, both=both) for one in sorted(asked, key=_order)]


def _asked(one: Asked, transports: TransportSet, only: str, most: int | None, *, both: bool) -> str:
    every = list(dict.fromkeys(words for _, words in conditions_text(one.part.rules)))
    if most is not None and len(every) > most:
        every = [*every[:most], f"{len(every) - most} more"]
    conditions = " or ".join(every)
    words = [_WHERE[one.part.direction]] if both else []
    words += [f"with {spell_addresses(one.addresses)}, "] if one.addresses is not None else []
    words += [f"{spell_transports(one.part.transports)} "] if one.part.transports != transports else []
    return "".join([*words, f"{only} for {conditions}"])


def _order(one: Asked) -> tuple[bool, int, int]:
    """Egress first, and then as ports are written: TCP, UDP, SCTP, each by number."""
    transports = one.part.transports
    found = (
        (place, spans.lowest())
        for place, spans in enumerate((transports.tcp, transports.udp, transports.sctp))
        if spans
    )
    return one.part.direction is Direction.INGRESS, *min(found, default=(3, 0))


def name_words(one: Opening, most: int | None = None) -> str:
    """What passes to a name, and in brackets what is asked of it."""
    parts = [Asked(part) for part in one.conditional(one.transports)]
    return with_asked(spell_transports(one.transports), asked_words(parts, one.transports, most=most))


def with_asked(words: str, asked: Sequence[str]) -> str:
    """What passes, and behind it in brackets what is asked of it: ``TCP 80 (only for requests of HTTP GET /v1)``."""
    return f"{words} ({'; '.join(asked)})" if asked else words


def asked_json(one: Asked) -> Json:
    """OnlyIf = {direction, cidrs where it is only asked there, what passes so, conditions}."""
    return {
        "direction": one.part.direction.value,
        **({"cidrs": list(one.addresses.cidrs())} if one.addresses is not None else {}),
        **transports_json(one.part.transports),
        "conditions": conditions_json(one.part.rules),
    }


def conditions_json(rules: Iterable[Rule]) -> list[Json]:
    """Conditions = [{rule, http, dns, serverNames}]; of the last three those that are there."""
    return [
        {"rule": origin_json(rule.origin), **_conditions_json(rule.conditions)}
        for rule in rules
        if rule.conditions is not None
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
        for key, values in _conditions_json(rule.conditions or Conditions()).items():
            mine = found.setdefault(key, [])
            mine.extend(value for value in values if value not in mine)
    return found


def _conditions_json(conditions: Conditions) -> Json:
    found: Json = {"http": [_request_json(one) for one in conditions.http]}
    found["dns"] = [one.name or one.pattern for one in conditions.dns]
    found["serverNames"] = list(conditions.server_names)
    return {key: values for key, values in found.items() if values}


def _request_json(one: HttpMatch) -> Json:
    headers = [{"name": each.name, "value": each.value} for each in one.headers]
    return without_empty({"method": one.method, "path": one.path, "host": one.host, "headers": headers})
