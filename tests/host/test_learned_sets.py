"""What is in the kernel's sets of learned addresses."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.host import process
from outgate.host.learned_sets import learned
from tests.lab.alone import alone

pytestmark = pytest.mark.kernel

TABLE = """
table inet outgate {
    set f4_a { type ipv4_addr . ipv4_addr; flags timeout; elements = { 10.1.0.10 . 203.0.113.1 timeout 60s }; }
    set f6_a { type ipv6_addr . ipv6_addr; flags timeout; elements = { fd00::10 . 2001:db8::1 timeout 60s }; }
    set f4_b { type ipv4_addr . ipv4_addr; flags timeout; }
}
"""


@alone
def test_pairs_of_both_families() -> None:
    """And nothing of a set that is empty, or not there."""
    process.run(("nft", "-f", "-"), input=TABLE)
    found = [(one, str(pod), str(address)) for one, pod, address in learned(["a", "b", "c"])]
    assert found == [("a", "10.1.0.10", "203.0.113.1"), ("a", "fd00::10", "2001:db8::1")]
    assert all(isinstance(pod, ipaddress.IPv4Address | ipaddress.IPv6Address) for _, pod, _ in learned(["a"]))


@alone
def test_without_a_table() -> None:
    """There is nothing."""
    assert list(learned(["a"])) == []
