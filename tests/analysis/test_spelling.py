"""Sets in words: short, and never saying more or less than the set."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.spelling import exceptions, spell_addresses, spell_protocol, spell_transports
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
    assert spell_addresses(whole - hole) == "every IPv4 address except 169.254.169.254/32"
    six = AddressSet.network("fd00:ec2::254/128")
    assert (
        spell_addresses(AddressSet.any() - hole - six) == "every address except 169.254.169.254/32, fd00:ec2::254/128"
    )
    assert spell_addresses(AddressSet.any() - hole) == "every address except 169.254.169.254/32"
    # A block behind the exceptions would be read as one more of them.
    mixed = (whole - hole) | AddressSet.network("2001:db8::/32")
    assert spell_addresses(mixed) == "2001:db8::/32, every IPv4 address except 169.254.169.254/32"
    mixed = (AddressSet.whole(6) - six) | AddressSet.network("10.0.0.0/8")
    assert spell_addresses(mixed) == "10.0.0.0/8, every IPv6 address except fd00:ec2::254/128"
    many = AddressSet.union_of(AddressSet.network(f"10.0.{2 * number}.0/24") for number in range(6))
    assert spell_addresses(whole - many, 2) == "every IPv4 address except 10.0.0.0/24, 10.0.2.0/24 and 4 more blocks"
    assert spell_addresses(AddressSet.any()) == "0.0.0.0/0, ::/0"
    assert spell_addresses(hole | AddressSet.network("2001:db8::/32")) == "169.254.169.254/32, 2001:db8::/32"
    assert spell_addresses(AddressSet()) == "no address"


@given(st.lists(st.tuples(st.sampled_from([4, 6]), st.integers(0, 31), st.integers(0, 3)), max_size=4))
def test_exceptions_are_what_is_missing(holes: list[tuple[int, int, int]]) -> None:
    """Whatever is said to be excepted, with what is there it is every address of the families that are there."""
    missing = AddressSet.union_of(
        AddressSet.network(f"{net << 3}.0.0.0/{5 + more}" if family == 4 else f"{net << 11:x}::/{5 + more}")
        for family, net, more in holes
    )
    rest = AddressSet.any() - missing
    excepted = exceptions(rest)
    assert AddressSet.union_of(map(AddressSet.network, excepted)) == (missing if excepted else AddressSet())
    if excepted:
        assert len(excepted) < len(rest.cidrs())


def test_protocols() -> None:
    """Names as Kubernetes writes them; a number without a name stays one."""
    assert [spell_protocol(number) for number in (6, 17, 132, 1, 58, 47)] == [
        *("TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "protocol 47")
    ]


def test_some_types_of_icmp() -> None:
    """That ping passes must not be read as that every type does."""
    echo = TransportSet.icmp_types(Protocol.ICMP, 8)
    assert spell_transports(echo) == "ICMP type 8"
    six = TransportSet.icmp_types(Protocol.ICMPV6, 1, 2, 3, 128, 129)
    assert spell_transports(echo | six) == "ICMP type 8, ICMPv6 types 1, 2, 3, 128 and 1 more types"
    assert spell_transports(TransportSet.protocol(1)) == "ICMP"
