"""Builders and strategies: what they make is what the API server would take, and varied enough to test anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.model import Direction, NetworkPolicy, PodPeer, Snapshot
from outgate.packets import Protocol
from outgate.policy import Policies
from outgate.testing import (
    Manifest,
    blocks,
    clusters,
    ingress,
    labels,
    namespace,
    node,
    pod,
    policies,
    policy,
    port_numbers,
    random_cluster,
    selectors,
    service,
    snapshot_of,
)

CLUSTERS = 150


def test_builders_make_what_they_are_asked_for() -> None:
    """A builder that forgets a field makes every test that relies on it pass on less than it says."""
    snapshot = snapshot_of(
        [
            namespace("shop", team="red"),
            node("n1", ["192.168.50.11"], zone="a"),
            pod(
                "shop/web",
                ["10.1.0.10", "fd00:1::10"],
                on="n1",
                ports=[{"containerPort": 53, "protocol": "UDP", "name": "dns"}],
                host_network=True,
                phase="Failed",
                labels={"example.com/a": "b"},
                app="web",
            ),
            service("shop/web", "10.96.0.1", [{"port": 80, "targetPort": "dns"}], app="web"),
            policy("shop/p", {"policyTypes": ["Egress"]}),
            ingress("shop/in", ("web", 80), ("api", "http"), class_name="nginx"),
        ]
    )
    assert snapshot.namespace("shop").labels["team"] == "red"
    assert (snapshot.nodes["n1"].labels, str(snapshot.nodes["n1"].addresses[0])) == ({"zone": "a"}, "192.168.50.11")
    (web,) = snapshot.pods
    assert (web.labels, web.node, web.host_network, web.finished) == (
        {"example.com/a": "b", "app": "web"},
        "n1",
        True,
        True,
    )
    assert [str(one) for one in web.addresses] == ["10.1.0.10", "fd00:1::10"]
    assert [(one.port, one.protocol, one.name) for one in web.ports] == [(53, "UDP", "dns")]
    (front,) = snapshot.services
    assert (front.selector, front.ports[0].target, str(front.cluster_ips[0])) == ({"app": "web"}, "dns", "10.96.0.1")
    assert snapshot.policies[0].types == {Direction.EGRESS}
    (entrance,) = snapshot.ingresses
    assert (str(entrance), entrance.class_name) == ("shop/in", "nginx")
    assert entrance.backends == (("web", 80), ("api", "http"))


def test_path_without_a_namespace_is_the_default_one() -> None:
    """As kubectl has it."""
    snapshot = snapshot_of(
        [pod("web", ["10.1.0.10"]), policy("p", {}), service("web", "10.96.0.1", [{"port": 80}]), ingress("i")]
    )
    assert set(snapshot.namespaces) == {"default"}
    assert snapshot.services[0].selector is None


def test_bad_manifest_is_not_passed_over() -> None:
    """A test whose policy was refused would run against no policy, and pass."""
    with pytest.raises(ValueError, match=r"mine\.yaml: spec\.egress\[0\]\.to\[0\]: Required value"):
        snapshot_of([policy("shop/p", {"egress": [{"to": [{}]}]})], file="mine.yaml")


@settings(max_examples=30)
@given(clusters())
def test_drawn_cluster_is_one_that_the_server_takes(cluster: list[Manifest]) -> None:
    """A cluster that is refused tests the reader and nothing else."""
    snapshot = snapshot_of(cluster)
    assert 2 <= len(snapshot.pods) <= 6
    assert 1 <= len(snapshot.policies) <= 4


@given(st.fixed_dictionaries({"podSelector": selectors()}), labels(), blocks(), policies(), port_numbers())
def test_parts_of_a_cluster_are_accepted_by_themselves(
    spec: dict[str, Any], mine: dict[str, str], block: Manifest, made: Manifest, port: int
) -> None:
    """Each strategy is public: what it draws must fit where a user puts it."""
    rule = {"to": [{"ipBlock": block}], "ports": [{"port": port or 1}]}
    snapshot = snapshot_of([pod("alpha/web", labels=mine), made, policy("alpha/q", spec | {"egress": [rule]})])
    assert len(snapshot.policies) == 2


def test_a_seed_is_a_cluster() -> None:
    """A failure is repeated by its seed; two seeds that gave one cluster would halve the search."""
    many = [str(random_cluster(seed)) for seed in range(CLUSTERS)]
    assert many == [str(random_cluster(seed)) for seed in range(CLUSTERS)]
    assert len(set(many)) == CLUSTERS


def snapshots() -> Iterator[Snapshot]:
    """Random clusters, as the laws see them."""
    return (snapshot_of(random_cluster(seed)) for seed in range(CLUSTERS))


def traits(snapshot: Snapshot) -> Iterator[str]:
    """What a cluster has that some law needs."""
    for one in snapshot.pods:
        families = {address.version for address in one.addresses}
        yield "finished" if one.finished else "host network" if one.host_network else f"families {sorted(families)}"
        yield "addressed" if one.addressed else "without an address"
        yield from (f"port {port.protocol}" for port in one.ports)
    for made in snapshot.policies:
        yield from rule_traits(made)
    reading = Policies(snapshot)
    for one in snapshot.endpoints:
        for direction in Direction:
            decision = reading.decision(one, direction)
            yield f"{direction.value} {'free' if not decision.isolated else min(len(decision.parts), 3)}"
    if {one.name for one in snapshot.namespaces.values() if not one.declared}:
        yield "namespace only mentioned"
    if len(snapshot.nodes) < 2:
        yield "node only mentioned"


def rule_traits(made: NetworkPolicy) -> Iterator[str]:
    """The same, of a policy's rules."""
    for rule in (*made.egress, *made.ingress):
        yield from ("any peer" for _ in [0] if not rule.peers)
        yield from ("any port" for _ in [0] if not rule.ports)
        for peer in rule.peers:
            if isinstance(peer, PodPeer):
                yield f"peer {peer.namespaces is not None} {peer.pods is not None}"
            else:
                yield f"block IPv{peer.cidr.version}" + (" with exceptions" if peer.excepts else "")
        for port in rule.ports:
            kind = type(port.port).__name__ if port.end_port is None else "range"
            yield f"{port.protocol} {kind}"


def test_clusters_have_everything_in_them() -> None:
    """A law over clusters that all lack a thing says nothing of that thing: each must occur, and not as a rarity."""
    found = Counter(trait for snapshot in snapshots() for trait in set(traits(snapshot)))
    wanted = {
        *("finished", "host network", "families [4, 6]", "families [4]", "families [6]", "without an address"),
        *("port TCP", "port UDP", "port SCTP", "any peer", "any port", "peer True True", "peer True False"),
        *("peer False True", "block IPv4", "block IPv6", "block IPv4 with exceptions", "block IPv6 with exceptions"),
        *(f"{one.name} {kind}" for one in islice(Protocol, 1, 3) for kind in ("int", "str", "range", "NoneType")),
        *(f"{one.value} {what}" for one in Direction for what in ("free", 1, 2, 3)),
        *("namespace only mentioned", "node only mentioned"),
    }
    rare = {trait: found[trait] for trait in wanted if found[trait] < CLUSTERS // 50}
    assert rare == {}
