"""The DOT text: solid and dotted edges, and labels that cannot end early."""

from __future__ import annotations

from outgate.analysis.edges import Edge, EgressGraph
from outgate.analysis.lookup import PodsTarget
from outgate.packets import Protocol, TransportSet
from outgate.report.dot import dot

SUBJECT = PodsTarget("Pod", "a", "web", ())


def test_edges() -> None:
    """An allowed edge drawn dotted, or a denied one solid, says the opposite of the truth."""
    allowed = Edge(PodsTarget("Pod", "a", "db", ()), TransportSet.ports(Protocol.TCP, 5432))
    denied = Edge(PodsTarget("Job", "b", "sync", ()), TransportSet())
    text = dot(EgressGraph(SUBJECT, True, (allowed, denied), left_out=2))
    assert text.splitlines() == [
        "digraph egress {",
        "    rankdir=LR",
        "    node [shape=box]",
        '    subject [label="a/web", shape=oval, penwidth=2]',
        '    n0 [label="a/db"]',
        '    subject -> n0 [label="TCP 5432"]',
        '    n1 [label="b/sync · Job"]',
        '    subject -> n1 [label="denied: no port passes both ends", style=dotted]',
        '    more [label="2 more workloads"]',
        '    subject -> more [label="denied", style=dotted]',
        "}",
    ]


def test_quotes_do_not_end_a_label() -> None:
    """A name that held a quote could add attributes, and with them links, to the picture."""
    text = dot(EgressGraph(PodsTarget("Pod", "a", 'x"] evil [y="\\', ()), True, ()))
    assert '[label="a/x\\"] evil [y=\\"\\\\", shape=oval' in text
