"""Pods on a bridge: enforced where the bridge shows its packets, and said in words where it does not."""

from __future__ import annotations

import pytest

from tests.lab.agent.cast import CLUSTER, allow, deny, exchange
from tests.lab.agent.cni_bridge import BRIDGE, grow_bridged, needs_hooks
from tests.lab.agent.farm import Farm

pytestmark = pytest.mark.kernel

FAMILIES = pytest.mark.parametrize("family", [4, 6])
TWO = {"podSelector": {"matchLabels": {"app": "two"}}}


@needs_hooks
@FAMILIES
def test_01_pods_of_one_bridge_are_enforced_where_it_shows_its_packets(family: int) -> None:
    """Between neighbours on the bridge, to the other node, to their own, and to the world; a live connection is cut."""

    def check(farm: Farm) -> None:
        assert not farm.agents["n1"].told["hindrances"]
        assert farm.passes("a/one", "a/two", 7000, family)
        with farm.connection("a/one", "a/two", 7000, family) as (client, server):
            exchange(client, server)
            farm.server.put(deny())
            farm.settle()
            before = farm.dropped()
            server.sendall(b"more")
            farm.until(lambda: farm.dropped() > before)
        for target in ("a/two", "b/three", "n1", "203.0.113.5" if family == 4 else "2001:db8::5"):
            assert not farm.passes("a/one", target, 7000, family), target
            assert farm.passes("a/two", target, 7000, family) or target == "a/two"
        farm.server.put(allow("a/deny", TWO, 7000))
        farm.settle()
        assert farm.passes("a/one", "a/two", 7000, family)
        assert not farm.passes("a/one", "a/two", 7001, family)

    grow_bridged(CLUSTER, check, hooks=True)


@needs_hooks
def test_01_a_pod_of_a_bridge_that_nobody_knows_may_not_talk() -> None:
    """It comes in by the bridge, and that is the pods' alone."""

    def check(farm: Farm) -> None:
        farm.server.delete("Pod", "a", "two")
        farm.settle()
        assert not farm.passes("a/two", "a/one", 7000)
        assert not farm.passes("a/two", "b/three", 7000)

    grow_bridged(CLUSTER, check, hooks=True)


def test_01_a_bridge_that_hides_its_packets_is_said() -> None:
    """Neighbours reach each other past every rule: the agent says so, with what to do, and what it can do it does."""

    def check(farm: Farm) -> None:
        for name in farm.stage.nodes:
            (words,) = farm.agents[name].told["hindrances"]
            assert BRIDGE in words
            assert "IPv4 and IPv6" in words
            assert "br_netfilter" in words
        # That it is so, and no false alarm:
        with farm.connection("a/one", "a/two", 7000) as (client, server):
            exchange(client, server)
        assert not farm.passes("a/one", "b/three", 7000), "what is routed is enforced"

    grow_bridged([*CLUSTER, deny()], check, hooks=False)
