"""Policies of one priority that say different things."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from outgate.checks import Finding, Survey, load
from outgate.model import Snapshot
from outgate.policy import Endpoint, Flow, Judge, Policies
from outgate.testing import (
    Manifest,
    cluster_policy,
    namespace,
    pod,
    random_cluster,
    random_cluster_policies,
    snapshot_of,
)
from tests.checks.asking import ask, egress, to

RULE = "priority-disputed"
SHOP: list[Manifest] = [
    namespace("shop"),
    pod("shop/web", ["10.0.0.1"], app="web"),
    pod("shop/db", ["10.0.0.2"], app="db"),
]
WIDE, NARROW, BESIDE = "203.0.113.0/24", "203.0.113.128/25", "203.0.113.0/25"
WEB = {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}}
DB = {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "db"}}}}


def net(action: str, block: str, *ports: int) -> dict[str, Any]:
    """A rule for a block outside."""
    protocols = [{"tcp": {"destinationPort": {"number": port}}} for port in ports]
    return {"action": action, "to": [{"networks": [block]}], **({"protocols": protocols} if ports else {})}


def named(name: str, *rules: dict[str, Any], **more: Any) -> Manifest:
    """A policy with these egress rules."""
    return cluster_policy(name, egress=rules, **more)


def find(*cluster: Manifest) -> list[Finding]:
    """What is found in the shop."""
    return ask(RULE, *SHOP, *cluster)


def test_two_policies_and_a_connection() -> None:
    """In the words of the judge, with both places and how the connection fares here."""
    (found,) = find(named("a", net("Accept", WIDE)), named("b", net("Deny", NARROW)))
    assert found.message == (
        "ClusterNetworkPolicy a egress[0], ClusterNetworkPolicy b egress[0] have the same tier and priority and say "
        "different things; the API does not say which counts, for what shop/db, shop/web send"
    )
    assert str(found.witness) == "shop/db -> 203.0.113.128:80/TCP is dropped"
    assert found.place.path == "spec.egress[0]"
    assert [one.words for one in found.related] == [
        "ClusterNetworkPolicy a egress[0] says Accept",
        "ClusterNetworkPolicy b egress[0] says Deny",
    ]


@pytest.mark.parametrize(
    "other",
    [
        named("b", net("Accept", NARROW)),
        named("b", net("Deny", NARROW), priority=11),
        named("b", net("Deny", NARROW), tier="Baseline"),
        named("b", net("Deny", "198.51.100.0/24")),
        named("b", net("Deny", NARROW, 81)),
        named("b", net("Deny", NARROW), subject=DB),
        named("b", net("Accept", WIDE), net("Deny", NARROW)),
    ],
    ids=["alike", "priority", "tier", "block", "port", "subject", "its own first rule"],
)
def test_what_is_no_dispute(other: Manifest) -> None:
    """They agree, they have an order, or they never meet."""
    assert find(named("a", net("Accept", WIDE, 80), subject=WEB), other) == []


def test_what_is_decided_before_is_no_dispute() -> None:
    """By the tier itself, and for the Baseline tier by whatever isolates."""
    two = [named("a", net("Accept", WIDE)), named("b", net("Deny", WIDE))]
    assert find(*two, named("first", net("Deny", WIDE), priority=1)) == []
    (found,) = find(*two, named("first", net("Deny", BESIDE), priority=1))
    assert "203.0.113.128" in str(found.witness)
    base = [named("a", net("Accept", WIDE), tier="Baseline"), named("b", net("Deny", WIDE), tier="Baseline")]
    assert len(find(*base)) == 1
    assert find(*base, egress("shop/p", to({"ipBlock": {"cidr": WIDE}}))) == []
    (found,) = find(*base, egress("shop/p", to({"ipBlock": {"cidr": WIDE}}), app="web"))
    assert found.message.endswith("for what shop/db sends")


def test_a_pass_is_something_else_too() -> None:
    """Whatever comes of it."""
    (found,) = find(named("a", net("Pass", WIDE)), named("b", net("Accept", WIDE)))
    assert str(found.witness).endswith("passes")


def test_between_pods_and_by_both_directions() -> None:
    """Peers by labels, and policies of ingress."""
    peer: list[dict[str, Any]] = [{"namespaces": {}}]
    (found,) = find(
        cluster_policy("a", subject=WEB, egress=[{"action": "Accept", "to": peer}]),
        cluster_policy("b", subject=WEB, egress=[{"action": "Deny", "to": peer}]),
    )
    assert str(found.witness) == "shop/web -> shop/db:80/TCP is dropped"
    (found,) = find(
        cluster_policy("a", subject=DB, ingress=[{"action": "Accept", "from": peer}]),
        cluster_policy("b", subject=DB, ingress=[{"action": "Deny", "from": peer}]),
    )
    assert str(found.witness) == "shop/web -> shop/db:80/TCP is dropped"
    assert found.message.endswith("for what shop/db is sent")


def test_a_pod_has_no_dispute_with_itself_nor_in_a_family_that_it_lacks() -> None:
    """No packet of these is asked about."""
    peer: list[dict[str, Any]] = [{"namespaces": {}}]
    two = [
        cluster_policy("a", subject=WEB, egress=[{"action": "Accept", "to": peer}, net("Accept", "2001:db8::/32")]),
        cluster_policy("b", subject=WEB, egress=[{"action": "Deny", "to": peer}, net("Deny", "2001:db8::/32")]),
    ]
    assert ask(RULE, *SHOP[:2], *two) == []
    assert ask(RULE, *SHOP[:2], pod("shop/six", ["fd00::1"]), *two) == []
    assert len(ask(RULE, *SHOP, *two)) == 1


def test_of_two_generations() -> None:
    """An AdminNetworkPolicy is of the Admin tier as well."""
    spec = {
        "priority": 10,
        "subject": {"namespaces": {}},
        "egress": [{"action": "Deny", "to": [{"networks": [NARROW]}]}],
    }
    version = "policy.networking.k8s.io/v1alpha1"
    old = {"apiVersion": version, "kind": "AdminNetworkPolicy", "metadata": {"name": "old"}, "spec": spec}
    (found,) = find(named("a", net("Accept", WIDE)), old)
    assert "AdminNetworkPolicy old egress[0]" in found.message


def connections(snapshot: Snapshot) -> Iterator[Flow]:
    """From every pod to every other, and to and from addresses outside, on a few ports."""
    outside = [ipaddress.ip_address(one) for one in ("8.8.8.8", "203.0.113.7", "10.9.0.1", "2001:db8::7")]
    for family in (4, 6):
        ends = [end for one in snapshot.endpoints if (end := Endpoint.of_pod(one, family)) is not None]
        far = [Endpoint.at(snapshot, one) for one in outside if one.version == family]
        for source, destination in itertools.permutations([*ends, *far], 2):
            if source.pod is not destination.pod and source.address != destination.address:
                yield from (Flow(source, destination, 6, port) for port in (53, 80, 443, 8080))


def of_one_priority(seed: int) -> list[Manifest]:
    """Drawn policies of the whole cluster, all of one priority, most of one tier."""
    drawn = random_cluster_policies(seed, 8)
    for one in drawn:
        if "priority" in one["spec"]:
            one["spec"]["priority"] = 10
        if "tier" in one["spec"] and seed % 3:
            one["spec"]["tier"] = "Admin" if seed % 3 == 1 else "Baseline"
    return drawn


@pytest.mark.parametrize("seed", range(24))
def test_all_that_the_judge_meets_is_found_and_is_shown(seed: int) -> None:
    """For drawn clusters: no dispute of any connection is left out, and each that is found has its connection."""
    snapshot = snapshot_of([*random_cluster(seed), *of_one_priority(seed)])
    judge = Judge(Policies(snapshot))
    found = list(load(RULE).find(Survey(snapshot)))
    pairs = {tuple(related.words.rpartition(" says ")[0] for related in one.related) for one in found}
    for flow in connections(snapshot):
        trace = judge.judge(flow)
        for side in (trace.egress, trace.ingress):
            said = side.outcome.disputed if side.outcome is not None else ()
            for one, other in itertools.combinations(said, 2):
                if one.action is not other.action:
                    mine = (str(one.origin), str(other.origin))
                    assert mine in pairs or mine[::-1] in pairs
    assert all(one.witness is not None for one in found)
