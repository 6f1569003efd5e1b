"""The addresses of pods in an address block."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.testing import Manifest, cluster_policy, node, pod
from outgate.testing_cilium import cidr_group, cilium_policy
from tests.checks.asking import ask, block, deny, egress, one, to

RULE = "pod-ip-in-ipblock"
DB = pod("shop/db", ["10.1.0.2"], app="db")


def test_the_address_of_a_pod() -> None:
    """It is the pod's until it restarts."""
    assert (
        "names 10.1.0.2/32, the address of shop/db" in one(RULE, egress("shop/p", to(block("10.1.0.2/32"))), DB).message
    )


def test_a_network_of_pods() -> None:
    """As a node has it; wider blocks are for more than pods."""
    machine = node("n", ["192.168.50.1"]) | {"spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"]}}
    assert "within a network of pods" in one(RULE, egress("shop/p", to(block("10.1.0.0/25"))), DB, machine).message
    assert not ask(RULE, egress("shop/p", to(block("10.0.0.0/8"))), DB, machine)


def test_addresses_of_nodes_and_stand_ins() -> None:
    """A host-network pod has its node's; an address that Outgate made up is nobody's."""
    host = pod("shop/agent", ["192.168.50.1"], host_network=True)
    assert not ask(RULE, egress("shop/p", to(block("192.168.50.1/32"))), host)
    assert not ask(RULE, egress("shop/p", to(block("240.0.0.1/32"))), pod("shop/pending"))
    assert not ask(RULE, deny(), DB)


NODE = node("n", ["192.168.50.1"]) | {"spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"]}}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"egress": [{"toCIDR": ["10.1.0.2/32"]}]}, "egress[0] names 10.1.0.2/32, the address of shop/db: Cilium "),
        (
            {"egress": [{"toCIDRSet": [{"cidr": "10.1.0.0/25"}]}]},
            "names 10.1.0.0/25, within a network of pods",
        ),
        ({"egress": [{"toCIDRSet": [{"cidrGroupRef": "g"}]}]}, "egress[0] names 10.1.0.2/32, the address of shop/db"),
        ({"ingress": [{"fromCIDR": ["10.1.0.2/32"]}]}, "ingress[0] names 10.1.0.2/32"),
        ({"egressDeny": [{"toCIDR": ["10.1.0.2/32"]}]}, "egressDeny[0] names 10.1.0.2/32"),
    ],
    ids=["a pod", "a network", "a group", "ingress", "a denial"],
)
def test_blocks_of_cilium_match_no_pod(rule: dict[str, Any], words: str) -> None:
    """Neither to allow nor to deny, which is said; the judge agrees."""
    group = cidr_group("g", "10.1.0.2/32", "203.0.113.0/24")
    made = cilium_policy("shop/p", {"endpointSelector": {}} | rule)
    found = one(RULE, made, group, DB, NODE)
    assert words in found.message
    assert ("so this denies none of them" in found.message) == ("egressDeny" in rule)
    assert found.help == f"select pods by label, in {'from' if 'ingress' in rule else 'to'}Endpoints"
    assert found.place.path.startswith("spec.")


def test_blocks_of_cilium_that_are_for_something_else() -> None:
    """Wider ones, those of nodes and of nobody, and a policy of hosts."""
    for cidr in ("10.0.0.0/8", "192.168.50.1/32", "203.0.113.7/32", "0.0.0.0/0"):
        made = cilium_policy("shop/p", {"endpointSelector": {}, "egress": [{"toCIDR": [cidr]}]})
        assert not ask(RULE, made, DB, NODE)
    hosts = cilium_policy("p", {"nodeSelector": {}, "egress": [{"toCIDR": ["10.1.0.2/32"]}]})
    assert not ask(RULE, hosts, DB, NODE)


def test_networks_of_the_whole_cluster_match_pods() -> None:
    """So a network of pods may be meant, and only the address of one of them is a mistake, whatever the action."""

    def to_networks(action: str, cidr: str) -> Manifest:
        return cluster_policy("a", egress=[{"action": action, "to": [{"networks": [cidr]}]}])

    for action in ("Accept", "Deny", "Pass"):
        found = one(RULE, to_networks(action, "10.1.0.2/32"), DB, NODE)
        assert found.message == "ClusterNetworkPolicy a egress[0] names 10.1.0.2/32, the address of shop/db"
        assert "until it restarts" in found.help
        assert not ask(RULE, to_networks(action, "10.1.0.0/24"), DB, NODE)
