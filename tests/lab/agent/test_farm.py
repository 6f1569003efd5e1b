"""The farm itself: agents program their kernels, and the packets that are counted are the ones that are sent."""

from __future__ import annotations

import pytest

from tests.lab.agent.cast import CLUSTER, deny
from tests.lab.agent.farm import Farm, grow

pytestmark = pytest.mark.kernel


def test_a_policy_reaches_the_kernel_of_the_node() -> None:
    """What the API server is told is what the network does, on the node of the pod and for that pod alone."""

    def check(farm: Farm) -> None:
        assert farm.passes("a/one", "b/three", 7000)
        farm.server.put(deny())
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
