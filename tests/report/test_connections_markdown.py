"""The table: one row a connection, in which nothing is syntax."""

from __future__ import annotations

from outgate.analysis.connections import Connection, connections
from outgate.analysis.groups import Group
from outgate.packets import TransportSet
from outgate.report.connections_markdown import cell, connections_markdown
from outgate.testing import pod, snapshot_of
from tests.report.asking import asking


def test_rows() -> None:
    """What a forge draws as a table."""
    found = connections(snapshot_of([pod("n/a"), pod("n/b")]))
    lines = "".join(connections_markdown(found)).splitlines()
    assert lines[:3] == ["| source | destination | allowed |", "|---|---|---|", "| n/a | n/b | every port |"]
    assert len(lines) == 2 + 6


def test_a_name_cannot_leave_its_cell() -> None:
    """A pipe would begin a new cell, a bracket a link, an angle a tag."""
    assert cell("a|b\n[x](y) <img> `c` #1 @me") == "a\\|b \\[x\\](y) \\<img\\> \\`c\\` \\#1 @me"
    evil = Group("Pod", "n", "x|y", snapshot_of([pod("n/p")]).pods, 0)
    row = list(connections_markdown([Connection(evil, evil, TransportSet.any())]))[1]
    assert row.replace("\\|", "").count("|") == 4


def test_what_is_asked_of_ports() -> None:
    """A table without it would say that every request passes; an expression is no syntax either."""
    listed, only = asking()
    rows = list(connections_markdown(listed, only))[1:]
    assert [row.replace("\\|", "").count("|") for row in rows] == [4] * 3
    assert 'TCP 80, TCP 443 (where it leaves, TCP 80 only for requests of HTTP GET /v1\\|"\\<b\\>\\\\d or ' in rows[0]
    assert rows[2] == "| shop/web | b.example.com | TCP 80 (only for requests of HTTP POST \\*) |\n"
    assert "only" not in "".join(connections_markdown(listed))
