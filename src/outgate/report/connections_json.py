"""The document `ConnectionList` (docs/schema/ConnectionList.json), written piece by piece.

A list of a large cluster has a million connections, of a few thousand ends and a few dozen sets of ports. Each of
these is turned into text once, and a connection is put together from the texts: one line each, so that two lists can
be compared with line tools as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from outgate.analysis.conditional import Conditional, Conditionals
from outgate.analysis.connections import Connection, Party
from outgate.analysis.opened import Named
from outgate.packets import TransportSet
from outgate.report.conditions import conditions_json, entries_json
from outgate.report.parties import party_json
from outgate.report.terms import API_VERSION, Json, transports_json

__all__ = ["connection_json", "connection_list", "transports_of"]

LINES_AT_ONCE = 2000
_OTHER = TransportSet.any() - TransportSet.governed()


def transports_of(transports: TransportSet) -> Json:
    """{all, allowed}, as in every document.

    ICMP and other protocols pass exactly where `all` is true; where they do not, `otherProtocols` is false.
    """
    found = transports_json(transports)
    if found["all"] and not transports >= _OTHER:
        found["otherProtocols"] = False
    return found


def connection_json(one: Connection) -> Json:
    """One connection as plain data. `families` is there where IPv4 and IPv6 differ."""
    found = {
        "source": party_json(one.source),
        "destination": party_json(one.destination),
        **transports_of(one.transports),
    }
    if one.families:
        found["families"] = {str(family): transports_of(mine) for family, mine in one.families}
    return found


def connection_list(
    connections: Iterable[Connection],
    profile: str = "outgate",
    notes: Sequence[str] = (),
    only: Conditionals | None = None,
) -> Iterator[str]:
    """The text of the whole document, in pieces of many lines.

    `notes`: what the list hangs on and the input lacks. `only` tells what of a connection passes on a condition alone.
    """
    head: Json = {"apiVersion": API_VERSION, "kind": "ConnectionList"}
    if profile != "outgate":
        head["profile"] = profile
    if notes:
        head["notes"] = list(notes)
    opened = json.dumps(head, indent=2, ensure_ascii=False)[:-2]
    lines: list[str] = [f'{opened},\n  "connections": [']
    between = ""
    for line in _lines(connections, only):
        lines.append(f"{between}\n    {line}")
        between = ","
        if len(lines) >= LINES_AT_ONCE:
            yield "".join(lines)
            lines = []
    lines.append("\n  ]\n}\n" if between else "]\n}\n")
    yield "".join(lines)


def _lines(connections: Iterable[Connection], only: Conditionals | None) -> Iterator[str]:
    # By identity, with the thing beside its text: comparing sets of ports would cost more than writing them.
    ends: dict[int, tuple[Party, str]] = {}
    sets: dict[int, tuple[TransportSet, str]] = {}
    for one in connections:
        source, destination, transports = one.source, one.destination, one.transports
        start = ends.get(id(source)) or ends.setdefault(id(source), (source, _text(party_json(source))))
        end = ends.get(id(destination)) or ends.setdefault(
            id(destination), (destination, _text(party_json(destination)))
        )
        what = sets.get(id(transports)) or sets.setdefault(
            id(transports), (transports, _text(transports_of(transports))[1:-1])
        )
        asked = () if only is None else only(one)
        if asked or isinstance(destination, Named):
            what = transports, _text(_asked(one, asked))[1:-1]
        families = "" if not one.families else f', "families": {_text(connection_json(one)["families"])}'
        conditions = f', "onlyIf": {_text([_conditional(part) for part in asked])}' if asked else ""
        yield f'{{"source": {start[1]}, "destination": {end[1]}, {what[1]}{families}{conditions}}}'


def _asked(one: Connection, asked: Sequence[Conditional]) -> Json:
    """What passes, where each entry says what is asked of its ports, and of which names it speaks."""
    names = {"names": [one.destination.name]} if isinstance(one.destination, Named) else {}
    entries = entries_json(one.transports, asked)
    return transports_of(one.transports) | {"allowed": [entry | names for entry in entries]}


def _conditional(part: Conditional) -> Json:
    """Conditional = {direction, what passes so, conditions}."""
    return {
        "direction": part.direction.value,
        **transports_of(part.transports),
        "conditions": conditions_json(part.rules),
    }


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
