"""From a list to the page: every connection an edge, every edge with its rules, every policy with its text."""

from __future__ import annotations

from pathlib import Path

from outgate.analysis.connections import connections
from outgate.analysis.listing import Asked, selected
from outgate.cluster import load
from outgate.policy import PROFILES
from outgate.report.page import page
from outgate.report.page_filling import page_of
from outgate.report.page_words import node_name, node_small, node_title
from outgate.testing import cluster_policy, ingress, namespace, pod, policy, service, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, snapshot

NEARLY_ALL = "every address except 169.254.169.254/32, fd00:ec2::254/128"


def test_the_example_cluster(repository: Path) -> None:
    """The rule that is named stands at its line of the text that is shown."""
    folder = str(repository / "examples" / "recipes")
    found = connections(load([folder]).snapshot)
    made = page_of(found, found, [folder], ["a note"])
    assert (made.title, made.subtitle) == (
        "What may talk to what",
        "5 workloads, 3 policies, 21 connections",
    )
    assert (made.generated_from, made.notes, made.comparison) == ((folder,), ("a note",), False)
    assert len(made.edges) == len(list(found)) == 21
    (edge,) = [
        one
        for one in made.edges
        if (made.nodes[one.source].name, made.nodes[one.destination].name) == ("web-api", "postgres")
    ]
    assert (edge.words, edge.ingress) == ("TCP 5432", ())
    assert edge.ingress_words == "no policy selects production/postgres for ingress"
    (rule,) = [made.rules[number] for number in edge.egress]
    policy = made.policies[rule.policy]
    assert (policy.name, rule.direction, rule.index) == ("app-egress", "Egress", 1)
    shown = policy.text.splitlines()[rule.line - policy.first_line :]
    assert shown[0].lstrip().startswith("- ")
    assert "5432" in "".join(shown[:6])
    assert {one.name for one in made.policies} == {"allow-monitoring", "app-egress", "default-deny-egress"}


def test_nodes() -> None:
    """Parts, addresses, the controller, isolation, pods that run and pods that a template would make."""
    found = connections(snapshot(EGRESS_TO_DB, INGRESS_OF_DB))
    made = page_of(found, found, ["f"])
    nodes = {(one.kind, one.name): one for one in made.nodes}
    web, planned = nodes["ReplicaSet", "web"], nodes["Deployment", "planned"]
    assert (web.pods, web.isolated_egress, web.isolated_ingress) == (2, True, False)
    assert (planned.pods, planned.isolated_egress) == (0, False)
    assert nodes["External", "every address"].cidrs == ("0.0.0.0/0", "::/0")
    assert nodes["External", ""].cidrs == ("203.0.113.0/25",)
    reached = [
        pod("a/web", ["10.0.0.1"], app="web"),
        service("a/web", "10.96.0.1", [{"port": 80}], app="web"),
        ingress("a/i", ("web", 80)),
    ]
    listed = connections(snapshot_of(reached))
    assert "IngressController" in {one.kind for one in page_of(listed, listed, []).nodes}


def test_policies_of_every_kind_are_counted_and_shown(repository: Path) -> None:
    """Also one that denies, which no connection refers to; blocks that are nearly all are called so."""
    folder = str(repository / "examples" / "zero-trust")
    found = connections(load([folder]).snapshot)
    made = page_of(found, found, [folder])
    assert made.subtitle == "4 workloads, 5 policies, 14 connections"
    assert "no-cloud-metadata" in {one.name for one in made.policies}
    names = {one.name for one in made.nodes if one.kind == "External"}
    assert names == {"", "every address", "api.example.com", NEARLY_ALL}
    (nearly,) = [one for one in made.nodes if one.name == NEARLY_ALL]
    assert nearly.excepted == ("169.254.169.254/32", "fd00:ec2::254/128")
    assert (node_name(nearly), node_small(nearly)) == ("every address but", "169.254.169.254 +1")
    assert node_title(nearly) == NEARLY_ALL
    (name,) = [one for one in made.nodes if one.name == "api.example.com"]
    assert (node_small(name), node_title(name)) == ("DNS name", "api.example.com")
    asked = {one.words for one in made.edges if "only" in one.words}
    assert "TCP 8080 (only for requests of HTTP GET /v1/items(/.*)?)" in asked
    assert len(asked) == 3
    assert all(len(one.ingress_words) < 200 for one in made.edges)


def test_a_part_and_another_profile() -> None:
    """A filtered list is a page of what was asked for, and another plugin's says so."""
    cluster = snapshot(EGRESS_TO_DB, INGRESS_OF_DB)
    found = connections(cluster, PROFILES["cilium"])
    (web,) = found.group("ReplicaSet", "shop", "web")
    made = page_of(selected(found, Asked((web,))), found, [])
    assert made.title == "What may talk to what, as cilium enforces it"
    assert all("web" in {made.nodes[one.source].name, made.nodes[one.destination].name} for one in made.edges)


def test_it_becomes_a_page() -> None:
    """Also of nothing; and a policy without a text of its own is no failure."""
    found = connections(snapshot(EGRESS_TO_DB))
    assert "the input has no text of this policy" in page(page_of(found, found, []))
    nothing = connections(snapshot_of([]))
    assert page(page_of(nothing, nothing, [])).startswith("<!doctype html>")


def test_policies_of_every_kind_are_cited(repository: Path) -> None:
    """Two kinds may have one name; a rule of a list that denies says so."""
    allowing = {
        "endpointSelector": {},
        "egress": [{"toEntities": ["all"]}],
        "egressDeny": [{"toCIDR": ["10.9.0.0/16"]}],
    }
    tier = {"action": "Accept", "to": [{"namespaces": {}}]}
    above = cluster_policy("p", tier="Admin", priority=1, subject={"namespaces": {}}, egress=[tier])
    snapshot = snapshot_of(
        [
            namespace("shop"),
            pod("shop/web", ["10.0.0.1"], app="web"),
            pod("shop/api", ["10.0.0.2"], app="api"),
            policy("shop/p", {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}),
            cilium_policy("shop/p", allowing),
            cilium_policy("p", allowing),
            above,
        ]
    )
    found = connections(snapshot)
    shown = page_of(list(found), found, [str(repository)])
    assert {one.kind for one in shown.policies} == {
        "ClusterNetworkPolicy",
        "CiliumNetworkPolicy",
        "CiliumClusterwideNetworkPolicy",
        "NetworkPolicy",
    }
