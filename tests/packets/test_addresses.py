"""Sets of addresses: the laws over both families, which never mix, and the way to CIDR blocks and back."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outgate.packets import Address, AddressSet, IntervalSet
from outgate.packets.addresses import address_of
from outgate.testing import address_sets, addresses, networks
from tests.packets.algebra import LAWS, Algebra, broken

ANY = AddressSet.any()
EDGES = [
    ipaddress.ip_address(text)
    for text in ("0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:10.0.0.1")
]


@pytest.mark.parametrize("family", LAWS)
@given(sets=st.tuples(address_sets(), address_sets(), address_sets()))
def test_laws_hold(family: str, sets: tuple[AddressSet, AddressSet, AddressSet]) -> None:
    """A set algebra in which one law fails gives an answer that depends on the order of the policies."""
    assert broken(family, Algebra(sets, ANY, AddressSet())) == []


@given(address_sets(), address_sets(), addresses())
def test_membership_follows_the_operations(a: AddressSet, b: AddressSet, address: Address) -> None:
    """Asked for one address, a compound set must answer as its parts do."""
    assert (address in a | b) == (address in a or address in b)
    assert (address in a & b) == (address in a and address in b)
    assert (address in a - b) == (address in a and address not in b)
    assert (address in ~a) == (address not in a)
    assert (a >= b) == (b <= a)
    assert a.isdisjoint(b) == (not a & b)


@given(st.lists(networks(), max_size=5), addresses())
def test_union_of_networks_is_membership_in_one(many: list[ipaddress.IPv4Network], address: Address) -> None:
    """The standard library decides membership of a block on its own; the union must agree."""
    union = AddressSet.union_of(AddressSet.network(one) for one in many)
    assert (address in union) == any(address in one for one in many)


@given(address_sets())
def test_blocks_make_up_the_set(one: AddressSet) -> None:
    """The CIDR blocks are what people and the kernel see: one too many opens a hole, one too few closes a door."""
    blocks = list(one.networks())
    assert AddressSet.union_of(AddressSet.network(block) for block in blocks) == one
    assert sum(block.num_addresses for block in blocks) == one.size()
    assert one.cidrs() == tuple(map(str, blocks))


@given(st.sampled_from((32, 128)).flatmap(lambda bits: st.tuples(st.just(bits), *[st.integers(0, 2**bits - 1)] * 2)))
@example((32, 0, 2**32 - 1))
@example((128, 0, 2**128 - 1))
@example((128, 1, 2**128 - 2))
def test_blocks_are_those_of_the_standard_library(span: tuple[int, int, int]) -> None:
    """Between any two addresses, however far apart."""
    bits, *ends = span
    low, high = (address_of(4 if bits == 32 else 6, one) for one in sorted(ends))
    one = AddressSet.of_family(low.version, IntervalSet.of((int(low), int(high))))
    blocks = list(ipaddress.summarize_address_range(low, high))
    assert list(one.networks()) == blocks
    assert one.cidrs() == tuple(map(str, blocks))


@given(address_sets())
def test_lowest_is_a_member(one: AddressSet) -> None:
    """A witness outside its set proves nothing."""
    if one:
        assert one.lowest() in one
    else:
        with pytest.raises(ValueError, match="empty"):
            one.lowest()


@given(address_sets())
def test_families_split_the_set(one: AddressSet) -> None:
    """Each half keeps its family and only that."""
    assert one.only(4) | one.only(6) == one
    assert not one.only(4).v6
    assert not one.only(6).v4
    assert AddressSet.of_family(4, one.family(4)) == one.only(4)
    assert AddressSet.of_family(6, one.family(6)) == one.only(6)


@pytest.mark.parametrize("address", EDGES, ids=str)
def test_edge_is_one_address(address: Address) -> None:
    """The first and the last address of a family are members like any other, and have no neighbour beyond."""
    one = AddressSet.of([address])
    assert one.size() == 1
    assert address in one
    assert one.lowest() == address
    assert one.cidrs() == (f"{address}/{address.max_prefixlen}",)
    assert (ANY - one).size() == ANY.size() - 1
    assert (ANY - one) | one == ANY
    assert address_of(address.version, int(address)) == address


def test_ipv4_block_says_nothing_about_ipv6() -> None:
    """A5: 0.0.0.0/0 never matches IPv6, nor ::/0 IPv4; an IPv4-mapped address is IPv6."""
    v4, v6 = AddressSet.network("0.0.0.0/0"), AddressSet.network("::/0")
    assert v4.isdisjoint(v6)
    assert v4 | v6 == ANY
    assert v4 == AddressSet.whole(4)
    assert ipaddress.ip_address("::ffff:10.0.0.1") not in v4
    assert ipaddress.ip_address("::a00:1") not in AddressSet.network("10.0.0.1/32")


def test_adjoining_blocks_are_one() -> None:
    """Two halves written as two blocks are the block: equality is of sets, not of spellings."""
    halves = AddressSet.network("10.0.0.0/9") | AddressSet.network("10.128.0.0/9")
    assert halves == AddressSet.network("10.0.0.0/8")
    assert hash(halves) == hash(AddressSet.network("10.0.0.0/8"))


def test_host_bits_are_masked() -> None:
    """Older servers stored 10.0.0.5/24; it always meant 10.0.0.0/24."""
    assert AddressSet.network("10.0.0.5/24") == AddressSet.network("10.0.0.0/24")
    assert AddressSet.network(ipaddress.ip_network("2001:db8::/32")) == AddressSet.network("2001:db8::5/32")


def test_bad_block_is_refused() -> None:
    """A typing mistake must not become some other block."""
    for text in ("10.0.0.0/33", "not a block", "10.0.0/8", ""):
        with pytest.raises(ValueError, match="does not appear to be"):
            AddressSet.network(text)


def test_families_do_not_share_integers() -> None:
    """The integer 1 is 0.0.0.1 in one family and ::1 in the other."""
    one = AddressSet(v4=IntervalSet.single(1))
    assert ipaddress.ip_address("0.0.0.1") in one
    assert ipaddress.ip_address("::1") not in one
