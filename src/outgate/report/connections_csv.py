"""The list of connections as CSV (RFC 4180), one connection a row.

Addresses outside have the kind External and their blocks in the column of the name. A cell that a spreadsheet would
take for a formula is given an apostrophe in front, as OWASP advises ("CSV Injection").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from outgate.analysis.conditional import Conditionals
from outgate.analysis.connections import Connection, External, Party
from outgate.analysis.controller import IngressController
from outgate.analysis.groups import part_words
from outgate.analysis.opened import Named
from outgate.analysis.shortened import shortened
from outgate.packets import IntervalSet, Protocol, TransportSet
from outgate.packets.transport import PORTS
from outgate.report.connections_text import nothing_asked, only_words

__all__ = ["HEADER", "connections_csv", "party_cells", "row_text", "transport_cells"]

HEADER = (
    *("source kind", "source namespace", "source name", "source part"),
    *("destination kind", "destination namespace", "destination name", "destination part"),
    *("all", "tcp", "udp", "sctp"),
    "only if",
)
_PROTOCOLS = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)


def connections_csv(connections: Iterable[Connection], only: Conditionals = nothing_asked) -> Iterator[str]:
    """The rows, the header first. `only` tells what of a connection passes on a condition alone."""
    yield row_text(HEADER)
    for one in connections:
        asked = "; ".join(only_words(one, only(one)))
        ends = *party_cells(one.source), *party_cells(one.destination)
        yield row_text((*ends, *transport_cells(one.transports), asked))


def row_text(cells: Iterable[str]) -> str:
    """One row with its line end."""
    written = io.StringIO()
    csv.writer(written).writerow([f"'{cell}" if cell[:1] in tuple("=+-@\t\r") and cell else cell for cell in cells])
    return written.getvalue()


def party_cells(party: Party) -> tuple[str, str, str, str]:
    """kind, namespace, name, and what sets a part of a workload apart."""
    match party:
        case External(addresses=addresses):
            blocks = shortened(addresses, party.nodes)
            excepted = [*(["nodes"] if blocks.but_nodes else []), *blocks.excepted]
            words = [*blocks.cidrs, *(["except", *excepted] if excepted else [])]
            return "External", "", " ".join(words), ""
        case Named():
            return "Name", "", str(party), ""
        case IngressController():
            return "IngressController", "", "", ""
    return party.kind, party.namespace, party.name, part_words(party) if party.split else ""


def transport_cells(transports: TransportSet) -> tuple[str, str, str, str]:
    """Whether all of the three pass, and the ports of each."""
    everything = "yes" if transports >= TransportSet.governed() else "no"
    return (everything, *(_ports(transports.of(one)) for one in _PROTOCOLS))  # type: ignore[return-value]  # they are three


def _ports(spans: IntervalSet) -> str:
    if spans == PORTS:
        return "all"
    return " ".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)
