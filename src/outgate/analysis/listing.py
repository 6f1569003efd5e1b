"""Which connections of the list are asked for: by workload, direction, namespace and port.

A filter only leaves out. What is kept is what the whole list says, except that with a port asked for only that port of
a connection is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from outgate.analysis.connections import Connection, Connections, Party
from outgate.analysis.groups import Group
from outgate.errors import TooComplex
from outgate.model import Direction
from outgate.packets import TransportSet
from outgate.records import dataclass

__all__ = ["EVERYTHING_ASKED", "MOST_DRAWN", "Asked", "drawable", "selected"]

MOST_DRAWN = 100_000
"""Connections in a picture: all between 300 workloads. A picture is whole in memory, here and wherever it is shown."""

_Line = TypeVar("_Line")


@dataclass(frozen=True, slots=True)
class Asked:
    """A filter. None and empty mean: no limit."""

    focus: tuple[Group, ...] = ()
    """Only connections of these groups."""
    direction: Direction | None = None
    """EGRESS: what the groups in focus (or of the namespace, or all) send; INGRESS: what is sent to them."""
    namespace: str | None = None
    """Only connections with an end there."""
    transports: TransportSet | None = None
    """Only these ports."""


EVERYTHING_ASKED = Asked()


def selected(found: Connections, asked: Asked) -> Iterator[Connection]:
    """The connections that are asked for, in the order of the list."""
    if asked == EVERYTHING_ASKED:
        return iter(found)
    return _selected(found if not asked.focus else _around(found, asked.focus), asked)


def drawable(lines: Iterable[_Line]) -> Iterator[_Line]:
    """The lines of a picture, all of them, before the first is drawn. Raises TooComplex beyond `MOST_DRAWN`."""
    found = list(islice(lines, MOST_DRAWN + 1))
    if len(found) > MOST_DRAWN:
        raise TooComplex(
            f"more than {MOST_DRAWN:,} connections in one picture",
            hint="draw one workload or one namespace; lists and tables (text, json, csv, markdown) have no such limit",
        )
    return iter(found)


def _around(found: Connections, focus: tuple[Group, ...]) -> Iterator[Connection]:
    """The connections of some groups, without making those of all others first."""
    mine = set(focus)
    for group in found.groups.all:
        for place, number in found.reached(group):
            if group in mine or found.groups.all[place] in mine:
                yield found.connection(group, found.groups.all[place], number)
        if group in mine:
            yield from found.to_outside(group)
            yield from found.to_names(group)
    yield from found.from_outside(focus)
    yield from (one for one in found.from_controller if one.destination in mine)


def _selected(connections: Iterable[Connection], asked: Asked) -> Iterator[Connection]:
    focus = set(asked.focus)

    def wanted(party: Party) -> bool:
        if not isinstance(party, Group):
            return False
        return (not focus or party in focus) and asked.namespace in (None, party.namespace)

    for one in connections:
        ends = {Direction.EGRESS: one.source, Direction.INGRESS: one.destination}
        asked_ends = [ends[asked.direction]] if asked.direction is not None else list(ends.values())
        if not any(map(wanted, asked_ends)):
            continue
        if asked.transports is None:
            yield one
        elif one.transports & asked.transports:
            yield _cut(one, asked.transports)


def _cut(one: Connection, transports: TransportSet) -> Connection:
    families = tuple((family, mine & transports) for family, mine in one.families)
    left = one.transports & transports
    same = all(mine == left for _, mine in families)
    return replace(one, transports=left, families=() if same else families)
