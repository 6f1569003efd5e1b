"""The whole as a picture: each end once, in the box of its namespace, and two directions that are alike as one edge."""

from __future__ import annotations

from outgate.analysis.connections import Connection, connections
from outgate.analysis.controller import INGRESS_CONTROLLER
from outgate.analysis.groups import Group
from outgate.packets import TransportSet
from outgate.report.connections_graph import connections_dot, connections_mermaid
from outgate.testing import pod, policy, snapshot_of

CLUSTER = snapshot_of(
    [
        pod("a/web", app="web"),
        pod("b/db", app="db"),
        policy("a/p", {"policyTypes": ["Egress"], "egress": [{"ports": [{"port": 5432}]}]}),
    ]
)


def test_mermaid() -> None:
    """The text that forges draw."""
    assert "".join(connections_mermaid(connections(CLUSTER))).splitlines() == [
        "flowchart LR",
        '    subgraph s0["namespace a"]',
        '        n0["web"]',
        "    end",
        '    subgraph s1["namespace b"]',
        '        n1["db"]',
        "    end",
        '    n2[/"every address"/]',
        '    n0 -->|"TCP 5432"| n1',
        '    n0 -->|"TCP 5432"| n2',
        '    n1 -->|"every port"| n0',
        '    n1 <-->|"every port"| n2',
        '    n2 -->|"every port"| n0',
    ]


def test_dot() -> None:
    """The same for Graphviz."""
    lines = "".join(connections_dot(connections(CLUSTER))).splitlines()
    assert lines[0] == "digraph connections {"
    assert lines[-1] == "}"
    assert '        label="a"' in lines
    assert '    n1 -> n2 [label="every port", dir=both]' in lines
    assert '    n0 -> n1 [label="TCP 5432"]' in lines


def test_names_are_no_syntax() -> None:
    """A quote in a name would end its label and begin whatever its author likes."""
    evil = Group("Deployment", 'n"]', 'x"] --> y["', snapshot_of([pod("n/p")]).pods, 0)
    connection = Connection(INGRESS_CONTROLLER, evil, TransportSet.any())
    mermaid = "".join(connections_mermaid([connection]))
    assert mermaid.count('"') == 2 * 4
    assert 'label="Deployment/x\\"] --> y[\\""' in "".join(connections_dot([connection]))
