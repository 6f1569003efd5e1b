"""Rules for IPv4 alone where pods have IPv6."""

from __future__ import annotations

from outgate.checks import Severity
from outgate.testing import node, pod
from tests.checks.asking import ask, block, egress, one, to

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
