"""DNS without the cache on the node."""

from __future__ import annotations

from outgate.testing import pod
from tests.checks.asking import COREDNS, KUBE_DNS, TO_DNS, ask, block, deny, egress, one, to

WEB = pod("shop/web", ["10.244.1.1"], app="web")
CACHE = pod("kube-system/node-local-dns-x", ["192.168.50.11"], host_network=True, labels={"k8s-app": "node-local-dns"})
RULE = "dns-link-local-unmatched"


def test_the_cache_is_asked_at_its_own_address() -> None:
    """And both of its addresses are offered."""
    found = one(RULE, WEB, egress("shop/dns", TO_DNS), KUBE_DNS, COREDNS, CACHE)
    assert str(found.witness) == "shop/web -> 169.254.20.10:53/UDP is dropped"
    assert [edit.value for edit in found.fix] == [block("169.254.20.10/32"), block("10.96.0.10/32")]


def test_without_a_cache_or_with_a_rule_for_it_all_is_well() -> None:
    """As it is for those who are cut off altogether: that is another finding."""
    also = to(block("169.254.0.0/16"), ports=TO_DNS["ports"])  # type: ignore[arg-type]  # a list
    assert not ask(RULE, WEB, egress("shop/dns", TO_DNS), KUBE_DNS, COREDNS)
    assert not ask(RULE, WEB, egress("shop/dns", TO_DNS, also), KUBE_DNS, COREDNS, CACHE)
    assert not ask(RULE, WEB, deny(), KUBE_DNS, COREDNS, CACHE)
