"""The whole as a picture: each end once, in the box of its namespace, and two directions that are alike as one edge."""

from __future__ import annotations

from outgate.analysis.connections import Connection, connections
from outgate.analysis.controller import INGRESS_CONTROLLER
from outgate.analysis.groups import Group
from outgate.packets import TransportSet
from outgate.report.connections_graph import connections_dot, connections_mermaid
from outgate.testing import pod, policy, snapshot_of
from tests.report.asking import asking

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


def test_what_is_asked_of_ports() -> None:
    """A line of its own for each, below the ports: one long line would be as wide as the picture."""
    listed, only = asking()
    mermaid = list(connections_mermaid(listed, only))
    assert '    n0 -->|"TCP 80<br/>only for requests of HTTP POST *"| n3\n' in mermaid
    first = next(line for line in mermaid if "n0 -->" in line)
    assert first.count("<br/>") == 2
    assert first.count('"') == 2
    assert first.count("<") == 2
    digraph = list(connections_dot(listed, only))
    assert '    n0 -> n3 [label="TCP 80\\nonly for requests of HTTP POST *"]\n' in digraph
    first = next(line for line in digraph if "n0 -> n1" in line)
    assert '/v1|\\"<b>\\\\d or requests of HTTP HEAD *\\nwhere it enters, ' in first


def test_two_ways_are_one_edge_only_where_the_same_is_asked() -> None:
    """What may be sent without a question must not look as if it was asked about, nor the other way round."""
    there, only = asking()
    (to_api,) = (one for one in there if str(one.destination) == "shop/api")
    back = Connection(to_api.destination, to_api.source, to_api.transports)
    edges = [
        line
        for line in connections_mermaid([to_api, back], lambda one: only(one) if one is to_api else ())
        if "|" in line
    ]
    assert len(edges) == 2
    assert not any("<-->" in line for line in edges)
