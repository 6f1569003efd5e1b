"""The CSV: rows that a spreadsheet reads as they are meant, and no formula among them."""

from __future__ import annotations

import csv
import io

from outgate.analysis.connections import Connection, External, connections
from outgate.analysis.controller import INGRESS_CONTROLLER
from outgate.analysis.groups import Group
from outgate.packets import AddressSet, Protocol, TransportSet
from outgate.report.connections_csv import HEADER, connections_csv
from outgate.testing import pod, snapshot_of
from tests.report.asking import asking

POD = snapshot_of([pod("n/p")]).pods


def rows(*many: Connection) -> list[list[str]]:
    """What a reader makes of it, without the header."""
    found = list(csv.reader(io.StringIO("".join(connections_csv(many)))))
    assert found[0] == list(HEADER)
    return found[1:]


def test_a_row() -> None:
    """Each end in its columns, each protocol in its own."""
    outside = External(AddressSet.network("10.0.0.0/8") | AddressSet.network("fd00::/8"))
    web = Group("Deployment", "shop", "web", POD, 0, split=True, part=(("version", "v2"),))
    ports = TransportSet.ports(Protocol.TCP, 443) | TransportSet.ports(Protocol.TCP, 8000, 8010)
    assert rows(Connection(web, outside, ports | TransportSet.ports(Protocol.UDP, 0, 65535))) == [
        [
            *("Deployment", "shop", "web", "version=v2", "External", "", "10.0.0.0/8 fd00::/8", ""),
            *("no", "443 8000-8010", "all", "", ""),
        ]
    ]
    assert rows(Connection(INGRESS_CONTROLLER, web, TransportSet.any()))[0][8:] == ["yes", "all", "all", "all", ""]


def test_nothing_is_a_formula() -> None:
    """A name comes from a manifest, and the manifest from anybody."""
    evil = Group("Deployment", "=1+1", '@SUM("a",b)\n', POD, 0)
    (row,) = rows(Connection(evil, evil, TransportSet.any()))
    assert row[1:3] == ["'=1+1", '\'@SUM("a",b)\n']


def test_every_connection_has_its_row() -> None:
    """No connection is lost on the way."""
    found = connections(snapshot_of([pod(f"n{i}/p") for i in range(4)]))
    assert len(rows(*found)) == len(list(found)) == 20


def test_what_is_asked_of_ports() -> None:
    """The last column; empty where nothing is."""
    listed, only = asking()
    found = list(csv.reader(io.StringIO("".join(connections_csv(listed, only)))))
    assert found[0][-1] == "only if"
    assert [row[-1] for row in found[1:]][1:] == [
        "TCP 80 only for requests of HTTP POST *; TCP 8443 only for TLS to a server named a.example.com",
        "only for requests of HTTP POST *",
    ]
