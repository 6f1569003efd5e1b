"""The internet and what is set aside: a partition of the address space, held against the standard library's table."""

from __future__ import annotations

import ipaddress
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.packets import AddressSet
from outgate.packets.special import INTERNET, INTERNET_V4, INTERNET_V6, RANGES, SET_ASIDE, AddressRange

EVERY = tuple({one.name: one for one in (*RANGES, *SET_ASIDE)}.values())


def test_ranges_are_every_address_once() -> None:
    """An address in no range would be reached and not be in the report; in two, it would be counted twice."""
    assert AddressSet.union_of(one.addresses for one in RANGES) == AddressSet.any()
    assert sum(one.addresses.size() for one in RANGES) == AddressSet.any().size()


def test_nothing_that_is_set_aside_overlaps() -> None:
    """One address, one reason."""
    for one, other in combinations(SET_ASIDE, 2):
        assert one.addresses.isdisjoint(other.addresses), (one.name, other.name)


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.name)
def test_a_range_is_of_one_family_and_has_a_source(one: AddressRange) -> None:
    """Families are told apart everywhere; a range of both would be shown as one of them."""
    assert one.addresses == one.addresses.only(one.family)
    assert one.source.startswith("RFC ")
    assert str(one) == one.words


@pytest.mark.parametrize("one", SET_ASIDE, ids=lambda one: one.name)
def test_the_internet_has_nothing_that_is_set_aside(one: AddressRange) -> None:
    """A packet to such an address never gets there."""
    assert one.addresses.isdisjoint(INTERNET_V4.addresses | INTERNET_V6.addresses)


@pytest.mark.parametrize(
    "text",
    [
        *("1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "168.63.129.16"),
        *("169.253.255.255", "172.15.255.255", "172.32.0.0", "223.255.255.255", "2000::", "2606:4700::1111"),
        *("3ffe:ffff::", "2001:db9::", "64:ff9b::101:101"),
    ],
)
def test_on_the_internet(text: str) -> None:
    """The neighbours of what is set aside are not."""
    address = ipaddress.ip_address(text)
    assert any(address in one.addresses for one in INTERNET)


@pytest.mark.parametrize(
    "text",
    [
        *("0.0.0.0", "10.0.0.0", "100.64.0.0", "100.127.255.255", "127.0.0.1", "169.254.169.254"),
        *("172.31.255.255", "192.168.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "100::1", "fc00::", "fd00:ec2::254", "fe80::1", "ff02::1", "2001:db8::1"),
        *("3fff::1", "4000::"),
    ],
)
def test_not_on_the_internet(text: str) -> None:
    """Each border of the table, from inside."""
    address = ipaddress.ip_address(text)
    assert not any(address in one.addresses for one in INTERNET)


@given(st.ip_addresses(v=4))
def test_ipv4_agrees_with_the_standard_library(address: ipaddress.IPv4Address) -> None:
    """`is_global` is its reading of the same IANA table; it knows multicast apart, and a few anycast addresses more."""
    if address not in ipaddress.ip_network("192.0.0.0/24"):
        assert (address in INTERNET_V4.addresses) == (address.is_global and not address.is_multicast)


@given(st.ip_addresses(v=6))
def test_ipv6_is_never_wider_than_the_standard_library(address: ipaddress.IPv6Address) -> None:
    """Outside 2000::/3 nothing has been given out; the newest documentation block is not in every Python's table."""
    if address in INTERNET_V6.addresses and address not in ipaddress.ip_network("2002::/16"):
        assert address.is_global
