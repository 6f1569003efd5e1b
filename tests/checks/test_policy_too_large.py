"""A policy that is too large."""

from __future__ import annotations

from outgate.checks.policy_too_large import MOST_ENTRIES
from tests.checks.asking import ask, block, egress, one, to

RULE = "policy-too-large"


def test_entries_and_pairs() -> None:
    """Either is enough."""
    blocks = [block(f"11.{n >> 8}.{n & 255}.0/24") for n in range(MOST_ENTRIES + 1)]
    assert "1001 peers and ports" in one(RULE, egress("shop/p", to(*blocks))).message
    ports = [{"port": n} for n in range(1, 102)]
    assert "10100 pairs" in one(RULE, egress("shop/p", to(*blocks[:100], ports=ports))).message


def test_up_to_the_limit() -> None:
    """Nothing is said."""
    blocks = [block(f"11.{n >> 8}.{n & 255}.0/24") for n in range(MOST_ENTRIES)]
    assert not ask(RULE, egress("shop/p", to(*blocks)))
