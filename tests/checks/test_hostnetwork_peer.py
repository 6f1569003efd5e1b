"""A selector of pods on the host network."""

from __future__ import annotations

from outgate.policy.profile import PROFILES
from outgate.testing import cluster_policy, pod
from tests.checks.asking import ask, cilium, egress, one, pods, to, within

RULE = "hostnetwork-peer"
EXPORTER = pod("monitoring/exporter", ["192.168.50.11"], host_network=True, app="exporter")
SELECTED = egress("shop/p", to(within("monitoring", app="exporter")))


def test_the_addresses_of_the_nodes_are_named() -> None:
    """Since a block is what would match."""
    found = one(RULE, SELECTED, EXPORTER, pod("shop/web", ["10.1.0.1"]))
    assert "selects monitoring/exporter, on the host network" in found.message
    assert "192.168.50.11" in found.help


def test_a_pod_of_its_own_beside_them_is_enough() -> None:
    """Then the selector has its use."""
    assert not ask(RULE, SELECTED, EXPORTER, pod("monitoring/other", ["10.1.0.9"], app="exporter"))


def test_selecting_everybody_means_nobody_in_particular() -> None:
    """A selector without requirements was not written for these."""
    assert not ask(RULE, egress("shop/p", to(within("monitoring")), to(pods())), EXPORTER)


def test_plugins_that_tell_them_apart() -> None:
    """Where selectors match such pods, all is well."""
    for profile in PROFILES.values():
        assert bool(ask(RULE, SELECTED, EXPORTER, profile=profile)) is not profile.host_network_selected


def test_policies_of_other_kinds_never_match_them() -> None:
    """Under whichever profile; each has another way to name the node."""
    labels = {"k8s:io.kubernetes.pod.namespace": "monitoring", "app": "exporter"}
    selected = cilium("shop/p", {"toEndpoints": [{"matchLabels": labels}]})
    peer = {"pods": {"podSelector": {"matchLabels": {"app": "exporter"}}}}
    tier = cluster_policy("p", egress=[{"action": "Accept", "to": [peer]}])
    for profile in PROFILES.values():
        found = one(RULE, selected, EXPORTER, profile=profile)
        assert "toEntities (host, remote-node)" in found.help
        assert found.place.path == "spec.egress[0].toEndpoints[0]"
        assert "name the nodes in `nodes`" in one(RULE, tier, EXPORTER, profile=profile).help
    assert not ask(RULE, selected, tier, EXPORTER, pod("monitoring/other", ["10.1.0.9"], app="exporter"))
    assert not ask(RULE, cilium("shop/p", {"toEndpoints": [{}]}), EXPORTER)
