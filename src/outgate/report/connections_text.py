"""The list of connections for a person: by source, each destination with what passes to it.

    shop/Deployment/web
      → kube-system/Deployment/coredns   TCP 53, UDP 53
      → 203.0.113.0/24                   TCP 443

Destinations are in one column as wide as the longest name of their source, within reason. Where a source reaches every
other workload alike, one line says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from outgate.analysis.conditional import Conditional, Conditionals
from outgate.analysis.connections import Connection
from outgate.analysis.groups import Group
from outgate.analysis.spelling import spell_transports
from outgate.packets import TransportSet
from outgate.report.conditions import conditions_text
from outgate.report.parties import party_words

__all__ = ["connections_text", "passing_words"]

WIDEST = 48
"""Columns for a destination; what is longer pushes its ports to the right."""


def _nothing(_: Connection) -> tuple[Conditional, ...]:
    return ()


def connections_text(connections: Iterable[Connection], workloads: int, only: Conditionals = _nothing) -> Iterator[str]:
    """The lines, each with its line end. `workloads` is how many groups there are, to say "every other workload".

    `only` tells what of a connection passes on a condition alone.
    """
    count, sources = 0, set()
    for source, several in groupby(connections, key=lambda one: one.source):
        many = list(several)
        count += len(many)
        if isinstance(source, Group):
            sources.add(source.workload)
        yield f"{party_words(source)}\n"
        rows = list(_rows(many, workloads - 1, only))
        width = min(WIDEST, max(len(name) for name, _ in rows))
        yield from (f"  → {name.ljust(width)}   {words}\n" for name, words in rows)
    if not count:
        # Of nothing, "no connection is allowed" would sound like good news.
        yield "no connection is allowed\n" if workloads else "no workloads\n"


def _rows(connections: list[Connection], others: int, only: Conditionals) -> Iterator[tuple[str, str]]:
    inside = [one for one in connections if isinstance(one.destination, Group)]
    # Nearly always they are the same object, and comparing tens of thousands of sets would be most of the work.
    alike = bool(inside) and all(_same(one.transports, inside[0].transports) for one in inside)
    alike = alike and not any(one.families or only(one) for one in inside)
    if alike and len(inside) == others > 1:
        yield "every other workload", passing_words(inside[0])
        connections = [one for one in connections if not isinstance(one.destination, Group)]
    for one in connections:
        yield party_words(one.destination), passing_words(one) + _only(only(one))


def _only(conditional: Iterable[Conditional]) -> str:
    """What is asked of some ports beyond their numbers."""
    parts = []
    for one in conditional:
        asked = " or ".join(words for _, words in conditions_text(one.rules))
        parts.append(f"{spell_transports(one.transports)} only for {asked}")
    return f" ({'; '.join(parts)})" if parts else ""


def _same(one: TransportSet, other: TransportSet) -> bool:
    return one is other or one == other


def passing_words(one: Connection) -> str:
    """``TCP 443``, ``every port``; with the families apart where they differ."""
    if one.families:
        return "; ".join(f"IPv{family}: {_words(mine)}" for family, mine in one.families)
    return _words(one.transports)


def _words(transports: TransportSet) -> str:
    return "every port" if transports == TransportSet.any() else spell_transports(transports)
