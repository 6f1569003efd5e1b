"""Which addresses are exceptions of which block."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.recipes.metadata import BLOCKED, NEEDED, exceptions_within, single


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("169.254.169.254/32", []),
        ("169.254.169.0/24", ["169.254.169.254/32", "169.254.169.252/32"]),
        ("168.63.0.0/16", ["168.63.129.16/32"]),
        ("10.0.0.0/8", []),
        ("fe80::/10", ["fe80::a9fe:a9fe/128"]),
    ],
)
def test_within(block: str, expected: list[str]) -> None:
    """Those in it; an address that was named itself was meant."""
    assert exceptions_within(ipaddress.ip_network(block)) == expected


def test_what_workloads_need_is_not_blocked() -> None:
    """Their own credentials come from there."""
    assert [single(one) for one in NEEDED] == ["169.254.170.23/32", "fd00:ec2::23/128"]
    assert not set(NEEDED) & set(BLOCKED)
