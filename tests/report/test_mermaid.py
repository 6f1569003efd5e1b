"""The Mermaid text: its lines, that it is stable, and that no label can become syntax."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.edges import Edge, EgressGraph, Outside, egress_graph
from outgate.analysis.lookup import Lookup, PodsTarget
from outgate.analysis.targets import parse
from outgate.model import Direction
from outgate.packets import AddressSet, Protocol, TransportSet
from outgate.report.mermaid import edge_words, escape, mermaid, outside_words
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, judge_of


def graph() -> EgressGraph:
    """The picture of one of the shop's pods."""
    judge = judge_of(EGRESS_TO_DB, INGRESS_OF_DB)
    subject = Lookup(judge.policies.snapshot).find(parse("shop/web-1"))
    assert isinstance(subject, PodsTarget)
    return egress_graph(judge, subject)


def test_the_whole_text() -> None:
    """Allowed edges are solid with their ports, denied ones dotted with the end that denies, workloads by namespace."""
    assert mermaid(graph()) == "\n".join(
        (
            "flowchart LR",
            '    subject(["shop/web-1"])',
            '    subgraph s0["namespace data"]',
            '        n0["data/db"]',
            '        n1["data/lone"]',
            '        n3["data/agent"]',
            "    end",
            '    subgraph s1["namespace shop"]',
            '        n4["shop/planned · Deployment"]',
            '        n5["shop/web · ReplicaSet"]',
            "    end",
            '    n2[/"203.0.113.0/25"/]',
            '    n6[/"metadata service 169.254.169.254"/]',
            '    n7[/"every other address"/]',
            '    subject -->|"TCP 5432, TCP 8050-8100"| n0',
            '    subject -->|"TCP 5432, TCP 8000-8100"| n1',
            '    subject -->|"TCP 443"| n2',
            '    subject -. "denied at egress" .-> n3',
            '    subject -. "denied at egress" .-> n4',
            '    subject -. "denied at egress" .-> n5',
            '    subject -. "denied at egress" .-> n6',
            '    subject -. "denied at egress" .-> n7',
            "    style subject stroke-width:3px",
            "    classDef denied stroke-dasharray:4 4,opacity:0.7",
            "    class n3,n4,n5,n6,n7 denied",
            "",
        )
    )
    assert mermaid(graph()) == mermaid(graph())


def test_what_is_left_out_is_drawn_as_a_number() -> None:
    """Workloads that are not drawn must not look reachable."""
    made = EgressGraph(PodsTarget("Pod", "a", "b", ()), True, (), left_out=7)
    assert 'more["7 more workloads"]' in mermaid(made)
    assert 'subject -. "denied" .-> more' in mermaid(made)


@given(st.text(max_size=30))
def test_no_label_can_become_syntax(label: str) -> None:
    """A name with a quote or a bracket in it would end its label and begin something else."""
    text = escape(label)
    assert re.fullmatch(r"(?:[A-Za-z0-9 ./,:*→·-]|#\d+;)*", text)
    assert re.sub(r"#(\d+);", lambda match: chr(int(match[1])), text) == label


def test_words_of_edges() -> None:
    """Which end denies is what the reader has to know first."""
    there = Outside(AddressSet.network("10.0.0.0/8"))
    assert edge_words(Edge(there, TransportSet.ports(Protocol.TCP, 80))) == "TCP 80"
    assert edge_words(Edge(there, TransportSet(), Direction.INGRESS)) == "denied at ingress"
    assert edge_words(Edge(there, TransportSet())) == "denied: no port passes both ends"


def test_words_of_addresses() -> None:
    """All addresses and all other addresses are two things."""
    assert outside_words(Outside(AddressSet.any(), rest=True)) == "every address"
    assert outside_words(Outside(AddressSet.network("::/0"), rest=True)) == "every other address"
    assert outside_words(Outside(AddressSet.network("10.0.0.0/8"))) == "10.0.0.0/8"
    hole = AddressSet.whole(4) - AddressSet.network("169.254.169.254/32")
    assert outside_words(Outside(hole)) == "every IPv4 address except 169.254.169.254/32"
