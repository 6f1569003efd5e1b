"""From a diff to the page: what changed and what did not, each with the rules of its side."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.analysis.connections import connections
from outgate.analysis.diff import diff
from outgate.analysis.groups import Group
from outgate.cluster import load
from outgate.report.page import page
from outgate.report.page_comparison import page_of_diff
from outgate.report.page_data import Page, PageNode
from outgate.testing import Manifest, pod, policy, random_cluster, snapshot_of
from tests.laws.test_connections import owned

EGRESS: Manifest = {"policyTypes": ["Egress"]}


def compared(old: list[Manifest], new: list[Manifest]) -> Page:
    """The page of two clusters."""
    return page_of_diff(diff(snapshot_of(old), snapshot_of(new)), ["old", "new"])


def edges(made: Page) -> dict[tuple[str, str], tuple[str, str, str]]:
    """change, before and after of each edge, by the names of its ends."""

    def name(number: int) -> str:
        node = made.nodes[number]
        return node.name or " ".join(node.cidrs)

    return {(name(one.source), name(one.destination)): (one.change, one.before, one.words) for one in made.edges}


def test_the_example(repository: Path) -> None:
    """Two paths open and one closes; the closed one shows the rule that let it pass before."""
    sides = [load([str(repository / "examples" / "diff" / side)]).snapshot for side in ("old", "new")]
    made = page_of_diff(diff(sides[0], sides[1]), ["old", "new"])
    assert made.comparison
    changes = sorted(one.change for one in made.edges if one.change)
    assert changes == ["closed", "opened", "opened"]
    (closed,) = [one for one in made.edges if one.change == "closed"]
    assert closed.before
    assert closed.words == ""
    assert [made.policies[made.rules[number].policy].text for number in closed.egress]
    assert page(made).startswith("<!doctype html>")


def test_each_kind_of_change() -> None:
    """Widened, narrowed and both; a workload that came and one that went; what stayed as it was."""
    pods = [pod(f"n/{name}", app=name) for name in "abc"]

    def ports(first: int, last: int) -> Manifest:
        rule = {"ports": [{"port": first, "endPort": last}], "to": [{"podSelector": {"matchLabels": {"app": "b"}}}]}
        return policy("n/p", EGRESS | {"podSelector": {"matchLabels": {"app": "a"}}, "egress": [rule]})

    gone, new = pod("n/gone", app="x"), pod("n/new", app="x")
    for after, change in (((10, 30), "widened"), ((10, 15), "narrowed"), ((15, 30), "changed")):
        made = compared([*pods, gone, ports(10, 20)], [*pods, new, ports(*after)])
        found = edges(made)
        assert found["a", "b"] == (change, "TCP 10-20", f"TCP {after[0]}-{after[1]}")
        assert found["b", "c"] == ("", "every port", "every port")
        assert found["gone", "c"][0] == "closed"
        assert found["new", "c"][0] == "opened"
        assert {one.name: one.change for one in made.nodes if one.change} == {"gone": "removed", "new": "added"}


def test_outside_is_split_where_it_changed() -> None:
    """The half that closed is an edge of its own, and the other half is as it was."""

    def block(cidr: str) -> list[Manifest]:
        return [pod("n/a"), policy("n/p", EGRESS | {"egress": [{"to": [{"ipBlock": {"cidr": cidr}}]}]})]

    found = edges(compared(block("10.0.0.0/8"), block("10.0.0.0/9")))
    assert found["a", "10.128.0.0/9"] == ("closed", "every port of TCP, UDP and SCTP", "")
    assert found["a", "10.0.0.0/9"][0] == ""


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_after_is_the_list(seed: int, other: int) -> None:
    """The edges that pass after are the connections of the new list: as many between workloads, none twice."""
    old = owned(snapshot_of(random_cluster(seed)), seed)
    new = old.with_policies(snapshot_of(random_cluster(other)).policies)
    made = page_of_diff(diff(old, new), ["old", "new"])
    pairs = [(one.source, one.destination) for one in made.edges]
    assert len(pairs) == len(set(pairs))
    inside = [one for one in made.edges if made.nodes[one.source].namespace and made.nodes[one.destination].namespace]
    ends = {(_workload(made.nodes[one.source]), _workload(made.nodes[one.destination])) for one in inside if one.words}
    listed = {
        (one.source.workload, one.destination.workload)
        for one in connections(new)
        if isinstance(one.source, Group) and isinstance(one.destination, Group)
    }
    assert ends == listed


def _workload(node: PageNode) -> tuple[str, str, str]:
    return node.namespace, node.name, node.kind


def test_nothing_changed() -> None:
    """A page that says so."""
    made = compared([pod("n/a"), pod("n/b")], [pod("n/a"), pod("n/b")])
    assert {one.change for one in made.edges} == {""}
    assert made.subtitle == "2 workloads, 0 changes"


@pytest.mark.parametrize("side", [0, 1])
def test_an_empty_side(side: int) -> None:
    """Everything came, or everything went."""
    cluster = [pod("n/a"), pod("n/b")]
    made = compared(*([], cluster)[:: 1 if side else -1])
    assert {one.change for one in made.nodes if one.namespace} == {"added" if side else "removed"}
