"""Policies of the whole cluster through the whole agent: from the API server to packets, live ones too (property 5)."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.testing import Manifest, cluster_policy
from tests.lab.agent.cast import CLUSTER, allow, deny, exchange, relabelled
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.test_live_flows import is_cut, pod_named

pytestmark = pytest.mark.kernel

RED = {"namespaces": {"matchLabels": {"team": "red"}}}
BLUE = {"namespaces": {"matchLabels": {"team": "blue"}}}
PORT = 7000


def rule(action: str, *to: dict[str, Any]) -> dict[str, Any]:
    """A rule for any protocol and port."""
    return {"action": action, "to": list(to)}


def above(name: str, *rules: dict[str, Any], tier: str = "Admin", priority: int = 10) -> Manifest:
    """A policy for the pods of the red team."""
    return cluster_policy(name, tier=tier, priority=priority, subject=RED, egress=list(rules))


@pytest.mark.parametrize("family", [4, 6])
def test_05_every_tier_is_enforced(family: int) -> None:
    """Admin before NetworkPolicy, which is before Baseline; each change takes effect in its turn."""

    def check(farm: Farm) -> None:
        def passes() -> bool:
            return farm.settled().passes("a/one", "b/three", PORT, family)

        assert passes()
        farm.server.put(above("base", rule("Deny", BLUE), tier="Baseline"))
        assert not passes()
        farm.server.put(allow("a/p", None, PORT))
        assert passes()
        farm.server.put(above("low", rule("Deny", BLUE), priority=20))
        assert not passes()
        farm.server.put(above("high", rule("Pass", BLUE), priority=1))
        assert passes()
        farm.server.put(deny("a/p"))
        assert not passes()
        farm.server.put(above("high", rule("Accept", BLUE), priority=1))
        assert passes()
        farm.server.delete("ClusterNetworkPolicy", "", "high")
        assert not passes()

    grow(CLUSTER, check)


def test_05_a_live_connection_is_cut_by_a_policy_of_the_cluster() -> None:
    """And goes on when that is gone: it was dropped, not killed."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as (client, server):
            exchange(client, server)
            farm.server.put(above("c", rule("Deny", BLUE)))
            farm.settle()
            assert is_cut(farm, client, server)
            farm.server.delete("ClusterNetworkPolicy", "", "c")
            farm.settle()
            assert server.recv(16) == b"more"
            assert client.recv(16) == b"more"

    grow(CLUSTER, check)


def test_05_a_peer_that_becomes_denied_cuts_what_lives() -> None:
    """A remote pod gets a label that a rule denies: it comes into a set, and nothing is lost from any."""
    bad = {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"bad": "yes"}}}}

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as (client, server):
            exchange(client, server)
            farm.server.put(relabelled(pod_named("b/three"), app="three", bad="yes"))
            farm.settle()
            assert is_cut(farm, client, server)

    grow([*CLUSTER, above("c", rule("Deny", bad))], check)


def test_05_another_order_of_tiers_cuts_what_lives() -> None:
    """No rule is another, and no policy: the one that denies comes first now."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as (client, server):
            exchange(client, server)
            farm.server.put(above("strict", rule("Deny", BLUE), priority=1))
            farm.settle()
            assert is_cut(farm, client, server)

    grow([*CLUSTER, above("strict", rule("Deny", BLUE), priority=20), above("mild", rule("Accept", BLUE))], check)


def test_13_a_policy_of_the_cluster_that_is_broken_closes_its_subject_alone() -> None:
    """Its Deny is read as far as it goes; pods that are not its subject do not notice."""
    broken = above("c", {"action": "Refuse", "to": [BLUE]})

    def check(farm: Farm) -> None:
        farm.server.put(broken)
        assert not farm.settled().passes("a/one", "b/three", PORT)
        assert farm.passes("b/three", "a/two", PORT)
        farm.server.delete("ClusterNetworkPolicy", "", "c")
        assert farm.settled().passes("a/one", "b/three", PORT)

    grow(CLUSTER, check)
