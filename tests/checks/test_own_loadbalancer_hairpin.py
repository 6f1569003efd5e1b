"""The address of one's own load balancer in an address block."""

from __future__ import annotations

from outgate.testing import cluster_policy, pod, service
from tests.checks.asking import ask, block, cilium, egress, net, one, to

RULE = "own-loadbalancer-hairpin"
DB = pod("shop/db", ["10.1.0.2"], app="db")
ENTRANCE = service("shop/entrance", "10.96.0.9", [{"port": 80}], app="db") | {
    "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.80"}]}}
}


def test_the_pods_behind_it_are_named() -> None:
    """For they are what is to be selected."""
    found = one(RULE, egress("shop/p", to(block("203.0.113.80/32"))), DB, ENTRANCE)
    assert found.related[0].words == "Service shop/entrance leads to shop/db"


def test_other_addresses() -> None:
    """Of somebody else, or in a block that was not written for this one."""
    assert not ask(RULE, egress("shop/p", to(block("203.0.113.81/32"))), DB, ENTRANCE)
    assert not ask(RULE, egress("shop/p", to(block("203.0.113.0/24"))), DB, ENTRANCE)


def test_rules_of_other_kinds() -> None:
    """The address is translated for all of them."""
    assert ask(RULE, cilium("shop/p", {"toCIDR": ["203.0.113.80/32"]}), DB, ENTRANCE)
    assert ask(RULE, cluster_policy("p", egress=[net("Deny", "203.0.113.80/32")]), DB, ENTRANCE)
    assert not ask(RULE, cilium("shop/p", {"toCIDR": ["203.0.113.0/24"]}), DB, ENTRANCE)
