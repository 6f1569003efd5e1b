"""A policy that is too large."""

from __future__ import annotations

from outgate.checks.policy_too_large import MOST_ENTRIES
from tests.checks.asking import ask, block, cilium, egress, one, to

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


def test_policies_of_ciliums() -> None:
    """Their ports stand in several entries, and count together; denials do, too."""
    blocks = {"toCIDR": [f"11.{n >> 8}.{n & 255}.0/24" for n in range(MOST_ENTRIES + 1)]}
    assert "1001 peers and ports" in one(RULE, cilium("shop/p", blocks)).message
    assert ask(RULE, cilium("shop/p", denied=(blocks,)))
    ports = [{"ports": [{"port": str(one), "protocol": "TCP"} for one in range(n, n + 40)]} for n in (1, 41, 81)]
    assert "12000 pairs" in one(RULE, cilium("shop/p", {"toCIDR": blocks["toCIDR"][:100], "toPorts": ports})).message
