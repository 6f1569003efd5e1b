"""The list by hand: what is on it, in which order, and what is not. That it is right is a law (`tests/laws`)."""

from __future__ import annotations

from outgate.analysis.connections import Connections, connections
from outgate.model import Direction
from outgate.packets import TransportSet
from outgate.policy import Profile
from outgate.policy.profile import KUBE_ROUTER
from outgate.testing import Manifest, namespace, pod, policy, snapshot_of
from tests.analysis.lists import words
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, owned, snapshot

EGRESS: Manifest = {"policyTypes": ["Egress"]}


def listed(*cluster: Manifest) -> list[str]:
    """The list of a cluster in words."""
    return words(connections(snapshot_of(cluster)))


def test_the_shop() -> None:
    """Both ends, ranges that meet, a template, a host-network pod, an exception, and nothing for a finished pod."""
    found = connections(snapshot(EGRESS_TO_DB, INGRESS_OF_DB))
    web = [one for one in words(found) if one.startswith("shop/ReplicaSet/web →")]
    assert web == [
        "shop/ReplicaSet/web → data/db: TCP 5432, TCP 8050-8100",
        "shop/ReplicaSet/web → data/lone: TCP 5432, TCP 8000-8100",
        "shop/ReplicaSet/web → 203.0.113.0/25: TCP 443",
    ]
    to_db = [one for one in words(found) if "→ data/db:" in one]
    assert to_db == ["shop/ReplicaSet/web → data/db: TCP 5432, TCP 8050-8100"]
    assert "shop/Deployment/planned → data/agent: every port of every protocol" in words(found)
    assert not [one for one in words(found) if "done" in one]


def test_pings_alone_are_no_connection() -> None:
    """Where a plugin lets them pass whatever the policies say, every pair would be on the list for them."""
    cluster = [pod("n/a", ["10.0.0.1"], app="a"), pod("n/b", ["10.0.0.2"], app="b"), policy("n/p", EGRESS)]
    found = [one for one in words(connections(snapshot_of(cluster), KUBE_ROUTER)) if one.startswith("n/")]
    assert found == []


def test_order_and_ends() -> None:
    """Groups by name, then addresses; sources outside come last. A workload is not listed with itself."""
    web = [owned(pod(f"n/web-{i}"), "Deployment", "web") for i in (1, 2)]
    assert listed(*web, pod("n/alone")) == [
        "n/alone → n/Deployment/web: every port of every protocol",
        "n/alone → 0.0.0.0/0, ::/0: every port of every protocol",
        "n/Deployment/web → n/alone: every port of every protocol",
        "n/Deployment/web → 0.0.0.0/0, ::/0: every port of every protocol",
        "0.0.0.0/0, ::/0 → n/alone: every port of every protocol",
        "0.0.0.0/0, ::/0 → n/Deployment/web: every port of every protocol",
    ]


def test_parts_of_one_workload_are_not_listed_with_each_other() -> None:
    """They are one workload, whatever its pods are called."""
    web = [owned(pod(f"n/web-{i}", version=str(i)), "Deployment", "web") for i in (1, 2)]
    rule = policy("n/p", {"podSelector": {"matchLabels": {"version": "1"}}, "ingress": [{}]})
    assert not [one for one in listed(*web, rule) if one.count("Deployment/web") == 2]


def test_outside_is_in_the_coarsest_parts() -> None:
    """Blocks that meet are one part, a block that another rule swallows makes none, and the rest is denied."""
    peers = [{"ipBlock": {"cidr": one}} for one in ("10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "192.0.2.0/24")]
    rules = [{"to": peers, "ports": [{"port": 443}]}, {"to": [{"ipBlock": {"cidr": "192.0.2.0/25"}}]}]
    assert listed(pod("n/a", ["172.16.0.1"]), policy("n/p", EGRESS | {"egress": rules}))[:2] == [
        "n/a → 10.0.0.0/8, 192.0.2.128/25: TCP 443",
        "n/a → 192.0.2.0/25: every port of every protocol",
    ]


def test_families_that_differ_are_told_apart() -> None:
    """The classic leak, or outage: a rule for IPv4 says nothing about IPv6."""
    everybody = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 80}]}
    cluster = [pod(f"{name}/p", [f"10.0.0.{i}", f"fd00::{i}"]) for i, name in enumerate("ab", start=1)]
    found = listed(*cluster, policy("a/p", EGRESS | {"egress": [everybody]}))
    assert found[:2] == ["a/p → b/p: 4: TCP 80; 6: no port", "a/p → 0.0.0.0/0: TCP 80"]


def test_other_protocols_alone_make_no_connection() -> None:
    """ICMP is not governed; a pod that could only be pinged cannot be connected to."""
    found = connections(snapshot_of([pod("n/a"), pod("m/b"), policy("n/p", EGRESS)]))
    assert not [one for one in words(found) if one.startswith("n/a")]
    assert all(one.transports & TransportSet.governed() for one in found)


def test_the_profile_is_asked() -> None:
    """Whether a block covers a pod is one of the points that the API leaves open."""
    cluster = snapshot_of(
        [
            pod("a/p", ["10.0.0.1"]),
            pod("b/p", ["10.0.0.2"]),
            policy("a/p", EGRESS | {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}]}]}),
        ]
    )
    assert "a/p → b/p: every port of every protocol" in words(connections(cluster))
    apart = connections(cluster, Profile("apart", blocks_match_pods=False))
    assert [one for one in words(apart) if one.startswith("a/p")] == ["a/p → 10.0.0.0/24: every port of every protocol"]


def test_one_pair_and_one_part() -> None:
    """The questions behind the list, asked one at a time."""
    found: Connections = connections(snapshot(EGRESS_TO_DB, INGRESS_OF_DB))
    (web,), (db,) = found.group("ReplicaSet", "shop", "web"), found.group("Pod", "data", "db")
    assert found.of_pods([("shop", "web-2")]) == (web,)
    assert found.group("Job", "shop", "web") == ()
    assert found.by_family(web, db) == ((4, found.between(web, db)), (6, found.between(web, db)))
    assert found.between(db, db) == TransportSet()
    assert [str(part) for part, _ in found.outside(web, Direction.EGRESS)] == ["203.0.113.0/25"]


def test_nobody_is_an_empty_list() -> None:
    """No pods, no connections, no failure."""
    assert listed() == []
    assert listed(namespace("n"), policy("n/p", {})) == []
