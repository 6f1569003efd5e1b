"""An address block of which nothing is left."""

from __future__ import annotations

from tests.checks.asking import ask, block, cilium, egress, one, to

RULE = "empty-block"


def test_exceptions_that_add_up() -> None:
    """Each is smaller than the block, and together they are all of it."""
    found = one(RULE, egress("shop/p", to(block("10.0.0.0/30", "10.0.0.0/31", "10.0.0.2/32", "10.0.0.3/32"))))
    assert found.place.path == "spec.egress[0].to[0].ipBlock.except"


def test_one_address_is_something() -> None:
    """Exact to the last."""
    assert not ask(RULE, egress("shop/p", to(block("10.0.0.0/30", "10.0.0.0/31", "10.0.0.2/32"))))
    assert not ask(RULE, egress("shop/p", to(block("10.0.0.0/30"))))


def test_blocks_of_ciliums() -> None:
    """Their exceptions may be as wide as the block itself."""
    found = one(RULE, cilium("shop/p", {"toCIDRSet": [{"cidr": "10.0.0.0/30", "except": ["10.0.0.0/30"]}]}))
    assert found.place.path == "spec.egress[0].toCIDRSet[0].except"
    assert not ask(RULE, cilium("shop/p", {"toCIDRSet": [{"cidr": "10.0.0.0/30", "except": ["10.0.0.0/31"]}]}))
