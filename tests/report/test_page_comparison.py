"""From a diff to the page: what changed and what did not, each with the rules of its side."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.analysis.conditional import conditionals
from outgate.analysis.connections import External, connections
from outgate.analysis.diff import diff
from outgate.analysis.groups import Group
from outgate.analysis.opened import Named
from outgate.cluster import load
from outgate.model import Snapshot
from outgate.packets import AddressSet
from outgate.report.connections_text import allowed_words
from outgate.report.page import page
from outgate.report.page_comparison import page_of_diff
from outgate.report.page_data import Page, PageNode
from outgate.testing import Manifest, namespace, pod, policy, random_cluster, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.laws.test_connections import owned
from tests.report.diffs import ASKED, CONDITIONS

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
    assert made.subtitle.startswith("nothing differs: ")


@pytest.mark.parametrize("side", [0, 1])
def test_an_empty_side(side: int) -> None:
    """Everything came, or everything went."""
    cluster = [pod("n/a"), pod("n/b")]
    made = compared(*([], cluster)[:: 1 if side else -1])
    assert {one.change for one in made.nodes if one.namespace} == {"added" if side else "removed"}


def test_conditions_alone() -> None:
    """The page said "0 changes" of a rule that lets every request through now."""
    made = page_of_diff(CONDITIONS, ["old", "new"])
    assert made.subtitle == "no connection differs, conditions differ for 3 connections; 2 workloads"
    changed = {ends: words for ends, words in edges(made).items() if words[0]}
    asked = "requests of HTTP {} /v1|<b> with X-A"
    assert changed["a", "192.0.2.0/24"] == ("widened", f"TCP 80 (only for {asked.format('GET')})", "TCP 80")
    both = [f"TCP 80 (only for {asked.format(method)})" for method in ("GET", "POST")]
    assert changed["a", "b"] == ("changed", *both)
    assert len(changed) == 3
    assert "GET /v1|&lt;b&gt; with X-A" in page(made)


def test_what_is_asked_of_a_change() -> None:
    """On its side, and of addresses outside only where it is."""
    changed = {ends: words for ends, words in edges(page_of_diff(ASKED, ["old", "new"])).items() if words[0]}
    assert changed["a", "b"] == ("closed", "TCP 80 (only for requests of HTTP GET *)", "")
    assert changed["a", "192.0.2.0/24"][2] == "TCP 80 (with 192.0.2.0/25, only for requests of HTTP GET *)"


_REQUESTS = (None, [{"method": "GET"}], [{"method": "PUT"}], [{"method": "GET"}, {"method": "PUT"}])
_PEERS: tuple[Manifest, ...] = (
    {"toEndpoints": [{"matchLabels": {"app": "b"}}]},
    {"toCIDR": ["192.0.2.0/24"]},
    {"toCIDR": ["192.0.2.0/26", "198.51.100.0/24"]},
    {"toFQDNs": [{"matchName": "api.example.com"}]},
)


@st.composite
def _asking(draw: st.DrawFn) -> list[Manifest]:
    """A policy or two for a workload or one of its pods, each with rules that ask something or nothing."""
    specs: list[Manifest] = []
    for labels in draw(st.lists(st.sampled_from([{"app": "a"}, {"v": "1"}]), max_size=2)):
        rules = []
        for peer in draw(st.lists(st.sampled_from(_PEERS), max_size=3, unique_by=str)):
            ports = []
            for port in draw(st.lists(st.sampled_from(["80", "81"]), min_size=1, max_size=2, unique=True)):
                asked = draw(st.sampled_from(_REQUESTS))
                one: Manifest = {"ports": [{"port": port, "protocol": "TCP"}]}
                ports.append(one | ({} if asked is None else {"rules": {"http": asked}}))
            rules.append(peer | {"toPorts": ports})
        specs.append({"endpointSelector": {"matchLabels": labels}, "egress": rules or [{}]})
    return specs


def _under(specs: list[Manifest]) -> Snapshot:
    """A workload of two pods under these policies, beside another pod."""
    owner = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "a", "controller": True}]
    pods = [pod(f"shop/a{version}", [f"10.0.0.{version}"], app="a", v=str(version)) for version in (1, 2)]
    for one in pods:
        one["metadata"]["ownerReferences"] = owner
    policies = [cilium_policy(f"shop/p{number}", spec) for number, spec in enumerate(specs)]
    return snapshot_of([namespace("shop"), *pods, pod("shop/b", ["10.0.0.9"], app="b"), *policies])


_PLACES = [AddressSet.network(one) for one in ("192.0.2.1/32", "192.0.2.99/32", "198.51.100.1/32", "8.8.8.8/32")]
_Said = dict[tuple[str, str], set[str]]


def _told(ends: tuple[str, str], addresses: AddressSet | None, words: str, said: _Said) -> None:
    """Note what is said of two ends, and of each place that is among some addresses."""
    for place in [ends[1]] if addresses is None else [str(one.lowest()) for one in _PLACES if one <= addresses]:
        said.setdefault((ends[0], place.split(" ")[0]), set()).add(words)


def _of_page(made: Page, *, after: bool) -> _Said:
    said: _Said = {}
    for one in made.edges:
        source, destination = made.nodes[one.source], made.nodes[one.destination]
        words = one.words if after else one.before
        if source.namespace and words:
            blocks = AddressSet.union_of(AddressSet.network(block) for block in destination.cidrs)
            _told((source.name, destination.name), blocks if destination.cidrs else None, words, said)
    return said


def _of_list(snapshot: Snapshot) -> _Said:
    said: _Said = {}
    listed = connections(snapshot)
    only = conditionals(listed)
    for one in listed:
        if isinstance(one.source, Group):
            outside = one.destination.addresses if isinstance(one.destination, External) else None
            name = one.destination.name if isinstance(one.destination, Group | Named) else ""
            _told((one.source.name, name), outside, allowed_words(one, only(one)), said)
    return said


@settings(deadline=None)
@given(_asking(), _asking())
def test_each_side_is_its_list(before: list[Manifest], afterwards: list[Manifest]) -> None:
    """Whatever changed, before and after say of each end what the lists of both sides say, and of nothing else."""
    old, new = _under(before), _under(afterwards)
    found = diff(old, new)
    made = page_of_diff(found, ["old", "new"])
    assert bool(found.changes or found.conditions) == any(one.change for one in made.edges)
    assert all((one.before == one.words) <= (not one.change) for one in made.edges)
    for snapshot, after in (old, False), (new, True):
        said, expected = _of_page(made, after=after), _of_list(snapshot)
        assert said.keys() == expected.keys()
        for ends, words in said.items():
            # Of addresses that changed together, those of which something is asked are named: no line of a list does.
            if not any("with " in one for one in words):
                assert {_plain(one) for one in words} == {_plain(one) for one in expected[ends]}


def _plain(words: str) -> tuple[str, frozenset[frozenset[str]]]:
    """What passes and, in any order, what of it on which condition. Of what changed only TCP, UDP and SCTP are said."""
    ports, _, asked = words.replace("every port of TCP, UDP and SCTP", "every port").partition(" (")
    parts = (part.replace("only for ", "only for or ") for part in asked.rstrip(")").split("; "))
    return ports, frozenset(frozenset(part.split(" or ")) for part in parts)
