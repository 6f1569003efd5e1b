"""Lists in words, for the tests of this room and of reports."""

from __future__ import annotations

from collections.abc import Iterable

from outgate.analysis.connections import Connection, External
from outgate.analysis.spelling import spell_addresses, spell_transports

__all__ = ["words"]


def words(connections: Iterable[Connection]) -> list[str]:
    """``source → destination: ports``, for each in turn."""
    return [f"{_end(one.source)} → {_end(one.destination)}: {_ports(one)}" for one in connections]


def _end(party: object) -> str:
    return spell_addresses(party.addresses) if isinstance(party, External) else str(party)


def _ports(one: Connection) -> str:
    if one.families:
        return "; ".join(f"{family}: {spell_transports(mine)}" for family, mine in one.families)
    return spell_transports(one.transports)
