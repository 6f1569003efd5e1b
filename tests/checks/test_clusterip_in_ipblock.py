"""The address of a Service in an address block."""

from __future__ import annotations

from outgate.policy.profile import AWS_VPC_CNI
from outgate.testing import cluster_policy, node, pod, service
from tests.checks.asking import COREDNS, KUBE_DNS, ask, block, cilium, egress, net, one, to

RULE = "clusterip-in-ipblock"
DB = pod("shop/db", ["10.1.0.2"], app="db")
SERVICE = service("shop/db", "10.96.0.9", [{"port": 80}], app="db")


def test_single_addresses_and_ranges_of_services() -> None:
    """As long as nobody else is in it."""
    for cidr in ("10.96.0.9/32", "10.96.0.0/12"):
        found = one(RULE, egress("shop/p", to(block(cidr))), DB, SERVICE)
        assert f"names {cidr}, where Service shop/db has its address, which no policy sees" in found.message
        assert found.related[0].words == "Service shop/db leads to shop/db"


def test_blocks_that_were_written_for_more() -> None:
    """With a pod or a node in it, or the whole address space."""
    assert not ask(RULE, egress("shop/p", to(block("10.0.0.0/8"))), DB, SERVICE)
    assert not ask(RULE, egress("shop/p", to(block("10.96.0.0/12"))), SERVICE, node("n", ["10.97.0.1"]))
    assert not ask(RULE, egress("shop/p", to(block("0.0.0.0/0"))), SERVICE)
    assert not ask(RULE, egress("shop/p", to(block("10.97.0.0/16"))), SERVICE)


def test_the_cache_of_dns_has_the_address_itself() -> None:
    """Nothing is translated there, so the block is the right way."""
    cache = pod("kube-system/cache", ["192.168.50.1"], host_network=True, labels={"k8s-app": "node-local-dns"})
    made = egress("shop/p", to(block("10.96.0.10/32")))
    assert ask(RULE, made, KUBE_DNS, COREDNS)
    assert not ask(RULE, made, KUBE_DNS, COREDNS, cache)


def test_a_plugin_that_sees_the_address() -> None:
    """There the rule works."""
    assert not ask(RULE, egress("shop/p", to(block("10.96.0.9/32"))), DB, SERVICE, profile=AWS_VPC_CNI)


def test_rules_of_other_kinds() -> None:
    """None of them sees the address, to allow it or to deny it."""
    rule = {"toCIDR": ["10.96.0.9/32"]}
    for made in (cilium("shop/p", rule), cilium("shop/p", denied=(rule,))):
        assert "which no policy sees" in one(RULE, made, DB, SERVICE).message
    for action in ("Accept", "Deny"):
        assert ask(RULE, cluster_policy("p", egress=[net(action, "10.96.0.9/32")]), DB, SERVICE)
    assert not ask(RULE, cilium("shop/p", {"toEntities": ["world"]}, {"toCIDR": ["0.0.0.0/0"]}), DB, SERVICE)
