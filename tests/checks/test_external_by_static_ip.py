"""A service of the internet by its address."""

from __future__ import annotations

from outgate.testing import cluster_policy
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import ask, block, egress, one, to

RULE = "external-by-static-ip"


def test_single_public_addresses() -> None:
    """Of either family, several in one finding."""
    found = one(RULE, egress("shop/p", to(block("151.101.1.1/32"), block("2a04:4e42::1/128"))))
    assert found.message == "shop/p egress[0] names 151.101.1.1, 2a04:4e42::1, public addresses of somebody else"


def test_private_ones_and_ranges() -> None:
    """One's own machines, examples of documents, and blocks."""
    for cidr in ("10.1.2.3/32", "203.0.113.10/32", "151.101.0.0/16", "169.254.169.254/32"):
        assert not ask(RULE, egress("shop/p", to(block(cidr)))), cidr


def test_policies_of_other_kinds() -> None:
    """What they allow; a list of addresses that are denied is meant so."""
    rule = {"toCIDR": ["151.101.1.1/32"]}
    found = one(RULE, cilium_policy("shop/p", {"endpointSelector": {}, "egress": [rule]}))
    assert found.message == "shop/p egress[0] names 151.101.1.1, a public address of somebody else"
    assert found.help.startswith("toFQDNs and")
    assert not ask(RULE, cilium_policy("shop/p", {"endpointSelector": {}, "egressDeny": [rule]}))
    for action, count in (("Accept", 1), ("Deny", 0), ("Pass", 0)):
        tier = cluster_policy("a", egress=[{"action": action, "to": [{"networks": ["151.101.1.1/32"]}]}])
        assert len(ask(RULE, tier)) == count
