"""Sets in words: short, and never saying more or less than the set."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from outgate.analysis.spelling import spell_addresses, spell_protocol, spell_transports
from outgate.packets import AddressSet, IntervalSet, Protocol, TransportSet
from outgate.testing import transport_sets

TCP, UDP = Protocol.TCP, Protocol.UDP


@pytest.mark.parametrize(
    ("transports", "words"),
    [
        (TransportSet(), "no port"),
        (TransportSet.any(), "every port of every protocol"),
        (TransportSet.governed(), "every port of TCP, UDP and SCTP"),
        (TransportSet.ports(UDP, 53) | TransportSet.ports(TCP, 53), "TCP 53, UDP 53"),
        (TransportSet.ports(TCP, 80, 90) | TransportSet.protocol(17), "TCP 80-90, every UDP port"),
        (TransportSet.protocol(1) | TransportSet.protocol(58), "ICMP, ICMPv6"),
        (TransportSet.ports(TCP, 1) | TransportSet.protocol(47), "TCP 1, other protocols"),
    ],
)
def test_transports(transports: TransportSet, words: str) -> None:
    """Two sets that read alike would be taken for one."""
    assert spell_transports(transports) == words


@given(transport_sets())
def test_every_port_is_in_the_words(transports: TransportSet) -> None:
    """Read back, the words give the ports of the set."""
    words = spell_transports(transports, most=1000)
    for protocol in (TCP, UDP, Protocol.SCTP):
        whole = "every port of" in words or f"every {protocol.name} port" in words
        found = [(int(a), int(b or a)) for a, b in re.findall(rf"\b{protocol.name} (\d+)(?:-(\d+))?", words)]
        assert (IntervalSet.of((0, 65535)) if whole else IntervalSet.of(*found)) == transports.of(protocol)


def test_long_lists_say_what_is_left_out() -> None:
    """A list cut without a word is taken for the whole."""
    many = TransportSet.ports(TCP, IntervalSet.of(*((2 * n, 2 * n) for n in range(20))))
    assert spell_transports(many, most=3) == "TCP 0, TCP 2, TCP 4, and 17 more ranges"
    blocks = AddressSet.union_of(AddressSet.network(f"10.{2 * n}.0.0/16") for n in range(9))
    assert spell_addresses(blocks, most=2) == "10.0.0.0/16, 10.2.0.0/16 and 7 more blocks"


def test_addresses_take_the_shorter_way() -> None:
    """0.0.0.0/0 without one address is 32 blocks, which nobody recognises."""
    whole, hole = AddressSet.whole(4), AddressSet.network("169.254.169.254/32")
    assert spell_addresses(whole) == "0.0.0.0/0"
    assert spell_addresses(whole - hole) == "0.0.0.0/0 except 169.254.169.254/32"
    assert spell_addresses(AddressSet.any()) == "0.0.0.0/0, ::/0"
    assert spell_addresses(hole | AddressSet.network("2001:db8::/32")) == "169.254.169.254/32, 2001:db8::/32"
    assert spell_addresses(AddressSet()) == "no address"


def test_protocols() -> None:
    """Names as Kubernetes writes them; a number without a name stays one."""
    assert [spell_protocol(number) for number in (6, 17, 132, 1, 58, 47)] == [
        *("TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "protocol 47")
    ]
