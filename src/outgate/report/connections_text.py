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
from outgate.analysis.on_condition import Asked
from outgate.analysis.spelling import spell_transports
from outgate.packets import TransportSet
from outgate.report.conditions import asked_words, with_asked
from outgate.report.parties import party_words

__all__ = ["allowed_words", "connections_text", "nothing_asked", "only_words", "passing_words"]

WIDEST = 48
"""Columns for a destination; what is longer pushes its ports to the right."""


def nothing_asked(_: Connection) -> tuple[Conditional, ...]:
    """That nothing passes on a condition alone."""
    return ()


def connections_text(
    connections: Iterable[Connection], workloads: int, only: Conditionals = nothing_asked
) -> Iterator[str]:
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
        rows = list(_rows(many, workloads, only))
        width = min(WIDEST, max(len(name) for name, _ in rows))
        yield from (f"  → {name.ljust(width)}   {words}\n" for name, words in rows)
    if not count:
        # Of nothing, "no connection is allowed" would sound like good news.
        yield "no connection is allowed\n" if workloads else "no workloads\n"


def _rows(connections: list[Connection], workloads: int, only: Conditionals) -> Iterator[tuple[str, str]]:
    inside = [one for one in connections if isinstance(one.destination, Group)]
    # Nearly always they are the same object, and comparing tens of thousands of sets would be most of the work.
    alike = bool(inside) and all(_same(one.transports, inside[0].transports) for one in inside)
    alike = alike and not any(one.families or only(one) for one in inside)
    # An address outside and an ingress controller are none of the workloads, of which all are others to them.
    own = isinstance(connections[0].source, Group)
    if alike and len(inside) == workloads - own > 1:
        yield f"every {'other ' * own}workload", passing_words(inside[0])
        connections = [one for one in connections if not isinstance(one.destination, Group)]
    for one in connections:
        yield party_words(one.destination), allowed_words(one, only(one))


def only_words(one: Connection, asked: Iterable[Conditional]) -> list[str]:
    """What is asked of its ports beyond their numbers, for each part of these."""
    return asked_words([Asked(part) for part in asked], one.transports)


def allowed_words(one: Connection, asked: Iterable[Conditional]) -> str:
    """The ports, and what is asked of them (`with_asked`)."""
    return with_asked(passing_words(one), only_words(one, asked))


def _same(one: TransportSet, other: TransportSet) -> bool:
    return one is other or one == other


def passing_words(one: Connection) -> str:
    """``TCP 443``, ``every port``; with the families apart where they differ."""
    if one.families:
        return "; ".join(f"IPv{family}: {_words(mine)}" for family, mine in one.families)
    return _words(one.transports)


def _words(transports: TransportSet) -> str:
    return "every port" if transports == TransportSet.any() else spell_transports(transports)
