"""The farm itself: agents program their kernels, and the packets that are counted are the ones that are sent."""

from __future__ import annotations

import pytest

from outgate.testing import Manifest, namespace, node, pod, policy
from tests.lab.agent.farm import Farm, grow

pytestmark = pytest.mark.kernel

CLUSTER: list[Manifest] = [
    node("n1", ["192.168.5.1", "fd00:5::1"]),
    node("n2", ["192.168.5.2", "fd00:5::2"]),
    namespace("a", team="red"),
    namespace("b", team="blue"),
    pod("a/one", ["10.1.0.10", "fd00:1::10"], on="n1", app="one"),
    pod("a/two", ["10.1.0.11", "fd00:1::11"], on="n1", app="two"),
    pod("b/three", ["10.1.1.10", "fd00:1:1::10"], on="n2", app="three"),
]
DENY = policy("a/deny", {"podSelector": {"matchLabels": {"app": "one"}}, "policyTypes": ["Egress"]})


def test_a_policy_reaches_the_kernel_of_the_node() -> None:
    """What the API server is told is what the network does, on the node of the pod and for that pod alone."""

    def check(farm: Farm) -> None:
        assert farm.passes("a/one", "b/three", 7000)
        farm.server.put(DENY)
        farm.settle()
        assert not farm.passes("a/one", "b/three", 7000)
        assert not farm.passes("a/one", "a/two", 7000, family=6)
        assert not farm.passes("a/one", "203.0.113.5", 7000)
        assert farm.passes("a/two", "b/three", 7000)
        assert farm.passes("b/three", "a/one", 7000)
        farm.server.delete("NetworkPolicy", "a", "deny")
        farm.settle()
        assert farm.passes("a/one", "b/three", 7000)

    grow(CLUSTER, check)
