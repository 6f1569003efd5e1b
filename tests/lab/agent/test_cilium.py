"""Policies of Cilium's through the whole agent: from the API server to packets, live ones too (property 5)."""

from __future__ import annotations

import pytest

from outgate.testing import Manifest
from outgate.testing_cilium import cidr_group, cilium_policy
from tests.lab.agent.cast import CLUSTER, allow, exchange, relabelled
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.test_live_flows import is_cut, pod_named

pytestmark = pytest.mark.kernel

PORT = 7000
NAMESPACE = "k8s:io.kubernetes.pod.namespace"
THREE = {"matchLabels": {NAMESPACE: "b", "app": "three"}}


def of_a(name: str, **sections: object) -> Manifest:
    """A policy for the pods of namespace a."""
    return cilium_policy(f"a/{name}", {"endpointSelector": {}, **sections})


@pytest.mark.parametrize("family", [4, 6])
def test_05_allowances_and_denials_are_enforced(family: int) -> None:
    """A union with NetworkPolicies, and whatever is denied is denied; each change takes effect in its turn."""

    def check(farm: Farm) -> None:
        def passes() -> bool:
            return farm.settled().passes("a/one", "b/three", PORT, family)

        assert passes()
        farm.server.put(of_a("all", egress=[{}]))
        assert not passes()
        farm.server.put(of_a("some", egress=[{"toEndpoints": [THREE]}]))
        assert passes()
        ports = [{"ports": [{"port": str(PORT), "protocol": "ANY"}]}]
        farm.server.put(of_a("deny", egressDeny=[{"toEndpoints": [THREE], "toPorts": ports}]))
        assert not passes()
        farm.server.put(allow("a/p", None, PORT))
        assert not passes()
        farm.server.delete("CiliumNetworkPolicy", "a", "deny")
        assert passes()
        farm.server.delete("CiliumNetworkPolicy", "a", "some")
        assert passes()
        farm.server.delete("NetworkPolicy", "a", "p")
        assert not passes()
        farm.server.delete("CiliumNetworkPolicy", "a", "all")
        assert passes()

    grow(CLUSTER, check)


def test_05_a_block_is_outside_of_the_cluster() -> None:
    """What covers every address lets a pod talk to no other, and to no node; a group likewise."""
    everything = cidr_group("everything", "0.0.0.0/0", "::/0")
    world = of_a("world", egress=[{"toCIDR": ["0.0.0.0/0"]}, {"toCIDRSet": [{"cidrGroupRef": "everything"}]}])

    def check(farm: Farm) -> None:
        assert not farm.passes("a/one", "b/three", PORT)
        farm.server.put(of_a("open", egress=[{"toEntities": ["cluster"]}]))
        assert farm.settled().passes("a/one", "b/three", PORT)

    grow([*CLUSTER, everything, world], check, all_nodes=True)


def test_05_a_denial_cuts_what_lives_and_a_label_does() -> None:
    """A live connection, by a new policy and by a peer that comes under it."""
    bad = {"matchLabels": {NAMESPACE: "b", "bad": "yes"}}
    deny = of_a("deny", enableDefaultDeny={"egress": False}, egressDeny=[{"toEndpoints": [bad]}])

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as (client, server):
            farm.server.put(deny)
            farm.settle()
            exchange(client, server)
            farm.server.put(relabelled(pod_named("b/three"), app="three", bad="yes"))
            farm.settle()
            assert is_cut(farm, client, server)

    grow(CLUSTER, check)


def test_13_a_policy_that_is_broken_closes_its_subject_alone() -> None:
    """In the direction that it has."""
    broken = of_a("c", egress=[{"toEndpoints": [{}], "toCIDR": ["10.0.0.0/8"]}])

    def check(farm: Farm) -> None:
        farm.server.put(broken)
        assert not farm.settled().passes("a/one", "b/three", PORT)
        assert farm.passes("b/three", "a/two", PORT)
        farm.server.delete("CiliumNetworkPolicy", "a", "c")
        assert farm.settled().passes("a/one", "b/three", PORT)

    grow(CLUSTER, check)


def test_13_what_is_not_seen_closes() -> None:
    """Without all nodes it is not known what is outside; the status says so."""
    world = of_a("world", egress=[{"toEntities": ["world"]}])
    services = of_a("services", egressDeny=[{"toServices": [{"k8sService": {"serviceName": "x", "namespace": "b"}}]}])

    def check(farm: Farm) -> None:
        assert not farm.passes("a/one", "b/three", PORT)
        farm.server.put(services)
        farm.server.put(allow("a/p", None, PORT))
        assert not farm.settled().passes("a/one", "b/three", PORT)

    grow([*CLUSTER, world], check)
