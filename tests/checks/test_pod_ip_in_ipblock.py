"""The addresses of pods in an address block."""

from __future__ import annotations

from outgate.testing import node, pod
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
