"""Rules for IPv4 alone where pods have IPv6."""

from __future__ import annotations

from outgate.checks import Severity
from outgate.testing import cluster_policy, node, pod
from tests.checks.asking import ask, block, cilium, deny, egress, entry, net, one, to

RULE = "ipv6-forgotten"
ALL4 = egress("shop/p", to(block("0.0.0.0/0")))


def test_who_has_ipv6_is_named() -> None:
    """A pod, or a node."""
    found = one(RULE, ALL4, pod("shop/web", ["10.1.0.1", "fd00:1::1"]))
    assert (found.severity, found.message) == (
        Severity.WARNING,
        "shop/p egress[0] is for all of IPv4, no rule of shop/p is for IPv6, and shop/web has IPv6",
    )
    assert "node n has IPv6" in one(RULE, ALL4, node("n", ["fd00::1"])).message


def test_without_any_address_it_is_a_note() -> None:
    """Manifests do not say which families the cluster has."""
    assert one(RULE, ALL4, pod("shop/web")).severity is Severity.INFO


def test_where_there_is_only_ipv4() -> None:
    """Nothing is forgotten."""
    assert not ask(RULE, ALL4, pod("shop/web", ["10.1.0.1"]), node("n", ["192.168.50.1"]))


def test_a_rule_for_the_other_family_anywhere_in_the_policy() -> None:
    """In the same rule or another; the global unicast block is all of the internet; a smaller one is not."""
    web = pod("shop/web", ["10.1.0.1", "fd00:1::1"])
    assert not ask(RULE, egress("shop/p", to(block("0.0.0.0/0"), block("::/0"))), web)
    assert not ask(RULE, egress("shop/p", to(block("0.0.0.0/0")), to(block("2000::/3"))), web)
    assert ask(RULE, egress("shop/p", to(block("0.0.0.0/0")), to(block("fd00::/8"))), web)
    assert not ask(RULE, egress("shop/p", to(block("10.0.0.0/8"))), web)


DUAL = pod("shop/web", ["10.1.0.1", "fd00:1::1"], app="web")


def test_rules_of_other_kinds_that_accept() -> None:
    """An entity is for both families."""
    four = {"toCIDR": ["0.0.0.0/0"]}
    found = one(RULE, DUAL, cilium("shop/p", four))
    assert found.message.startswith("shop/p egress[0] is for all of IPv4, no rule of shop/p is for IPv6")
    for other in ({"toEntities": ["world"]}, {"toCIDR": ["::/0"]}, {"toEntities": ["all"]}):
        assert not ask(RULE, DUAL, cilium("shop/p", four, other))
    assert ask(RULE, DUAL, cilium("shop/p", four, entry(53, "UDP")))
    assert (
        "no rule of ClusterNetworkPolicy p"
        in one(RULE, DUAL, cluster_policy("p", egress=[net("Accept", "0.0.0.0/0")])).message
    )
    assert not ask(RULE, DUAL, cluster_policy("p", egress=[net("Accept", "0.0.0.0/0"), net("Accept", "::/0")]))
    assert not ask(RULE, DUAL, cilium("shop/p", four | {"icmps": [{"fields": [{"type": 8}]}]}))


def test_what_is_denied_for_one_family_and_open_for_the_other() -> None:
    """Only where pods get out: where something else closes IPv6, nothing was forgotten."""
    closing = cluster_policy("p", egress=[net("Deny", "0.0.0.0/0")])
    found = one(RULE, DUAL, closing)
    assert found.message.startswith(
        "ClusterNetworkPolicy p egress[0] denies all of IPv4, and shop/web may leave by IPv6"
    )
    assert found.help == "deny ::/0 as well"
    assert not ask(RULE, DUAL, closing, deny())
    assert not ask(RULE, DUAL, cluster_policy("p", egress=[net("Deny", "0.0.0.0/0"), net("Deny", "::/0")]))
    assert not ask(RULE, DUAL, cluster_policy("p", egress=[net("Pass", "0.0.0.0/0")]))
    assert not ask(RULE, closing)
    four = {"toCIDR": ["0.0.0.0/0"]}
    assert not ask(RULE, DUAL, cilium("shop/p", denied=(four,)))
    assert "denies all of IPv4" in one(RULE, DUAL, cilium("shop/p", {"toEntities": ["world"]}, denied=(four,))).message
