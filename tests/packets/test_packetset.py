"""Sets of packets: the laws, one form for each set, and the sweep against the obvious reading of its cubes."""

from __future__ import annotations

import ipaddress
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.packets import Address, AddressSet, PacketSet, Protocol, TransportSet
from outgate.packets.packetset import Cube
from outgate.testing import address_sets, addresses, cubes, packet_sets, points
from tests.packets.algebra import LAWS, Algebra, broken

ANY = PacketSet.any()
NONE = PacketSet.none()


def borders(many: list[Cube]) -> list[Address]:
    """The addresses at, before and behind every border of the cubes: where a sweep goes wrong if it does."""
    found: list[Address] = []
    for owner, width, one in ((ipaddress.IPv4Address, 32, 4), (ipaddress.IPv6Address, 128, 6)):
        for block, _ in many:
            for low, high in block.family(one):
                for value in (low - 1, low, high, high + 1):
                    if 0 <= value < 1 << width:
                        found.append(owner(value))  # noqa: PERF401 - three loops read better than one line
    return found


@pytest.mark.parametrize("family", LAWS)
@given(sets=st.tuples(packet_sets(), packet_sets(), packet_sets()))
def test_laws_hold(family: str, sets: tuple[PacketSet, PacketSet, PacketSet]) -> None:
    """A set algebra in which one law fails gives an answer that depends on the order of the policies."""
    assert broken(family, Algebra(sets, ANY, NONE)) == []


@given(st.lists(cubes(), max_size=5), addresses(), points())
def test_sweep_is_membership_in_one_cube(many: list[Cube], address: Address, point: tuple[int, int]) -> None:
    """The sweep cuts and regroups; a packet is in the union exactly if it is in one of the cubes as given."""
    union = PacketSet.union_of(many)
    for one in (address, *borders(many)):
        naive = any(one in block and transports.contains(*point) for block, transports in many)
        assert union.contains(one, *point) == naive


@given(packet_sets(), packet_sets(), addresses(), points())
def test_membership_follows_the_operations(
    a: PacketSet, b: PacketSet, address: Address, point: tuple[int, int]
) -> None:
    """Asked for one packet, a compound set must answer as its parts do."""
    for one in (address, *borders([*a, *b])):
        in_a, in_b = a.contains(one, *point), b.contains(one, *point)
        assert (a | b).contains(one, *point) == (in_a or in_b)
        assert (a & b).contains(one, *point) == (in_a and in_b)
        assert (a - b).contains(one, *point) == (in_a and not in_b)
        assert (~a).contains(one, *point) == (not in_a)


@given(st.lists(cubes(), max_size=5), st.randoms(use_true_random=False))
def test_one_form_whatever_the_way(many: list[Cube], chance: random.Random) -> None:
    """The union by one sweep, by folding in any order, and of its own cut-up pieces must be one value."""
    swept = PacketSet.union_of(many)
    pieces = [PacketSet.cube(*cube) for cube in many]
    chance.shuffle(pieces)
    folded = NONE
    for piece in pieces:
        folded = folded | piece
    halves = [(addresses.only(family), transports) for addresses, transports in swept for family in (6, 4)]
    assert swept == folded == PacketSet.union_of(halves)
    assert hash(swept) == hash(folded)


@given(packet_sets(), packet_sets())
def test_every_result_is_canonical(a: PacketSet, b: PacketSet) -> None:
    """Cubes that share an address or a transport set, or are empty, are a second form of the same set."""
    for result in (a, a | b, a & b, a - b, ~a):
        listed = list(result)
        assert all(block and transports for block, transports in listed)
        assert len({transports for _, transports in listed}) == len(listed)
        assert [cube[1].sort_key() for cube in listed] == sorted(cube[1].sort_key() for cube in listed)
        seen = AddressSet()
        for block, _ in listed:
            assert seen.isdisjoint(block)
            seen = seen | block
        assert result.addresses() == seen


@given(packet_sets())
def test_witness_is_a_member(one: PacketSet) -> None:
    """A witness outside its set proves nothing; only the empty set has none."""
    witness = one.witness()
    assert (witness is None) == (not one)
    if witness is not None:
        assert one.contains(*witness)
        tcp = any(transports.of(Protocol.TCP) for _, transports in one)
        assert (witness[1] == Protocol.TCP) == tcp


@given(packet_sets(), address_sets())
def test_restriction_is_intersection(one: PacketSet, block: AddressSet) -> None:
    """Restricting to addresses is the intersection with all transports there, in canonical form too."""
    assert one.restrict(block) == one & PacketSet.cube(block, TransportSet.any())


@given(packet_sets(), addresses())
def test_transports_are_those_of_the_address(one: PacketSet, address: Address) -> None:
    """The answer for one address must hold every cube it is in, and nothing else."""
    expected = TransportSet()
    for block, transports in one:
        if address in block:
            expected = expected | transports
    assert one.transports(address) == expected


def test_empty_cube_is_the_empty_set() -> None:
    """A cube without addresses or without transports must not become a set that is true and has no member."""
    for empty in (
        PacketSet.cube(AddressSet(), TransportSet.any()),
        PacketSet.cube(AddressSet.any(), TransportSet()),
        PacketSet.union_of([(AddressSet(), TransportSet.any()), (AddressSet.any(), TransportSet())]),
        PacketSet.union_of([]),
    ):
        assert empty == NONE
        assert not empty
        assert empty.witness() is None


def test_all_cubes_together_are_everything() -> None:
    """The whole, cut by family and protocol and put together again, is one cube."""
    pieces = [(AddressSet.whole(family), TransportSet.protocol(number)) for family in (4, 6) for number in range(256)]
    assert PacketSet.union_of(pieces) == ANY
    assert len(PacketSet.union_of(pieces).cubes) == 1


def test_last_address_ends_the_sweep() -> None:
    """A cube that reaches the last address of a family has no border behind it."""
    top = AddressSet.network("255.255.255.255/32") | AddressSet.network("ffff::/16")
    one = PacketSet.union_of([(top, TransportSet.governed()), (AddressSet.any(), TransportSet.ports(Protocol.TCP, 1))])
    for text in ("255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff::"):
        assert one.contains(ipaddress.ip_address(text), Protocol.UDP, 65535)
    for text in ("255.255.255.254", "fffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0", "::"):
        assert one.contains(ipaddress.ip_address(text), Protocol.TCP, 1)
        assert not one.contains(ipaddress.ip_address(text), Protocol.UDP, 65535)


def test_witness_of_another_protocol() -> None:
    """A set of GRE packets alone has a witness too."""
    one = PacketSet.cube(AddressSet.network("10.0.0.0/8"), TransportSet.protocol(47))
    assert one.witness() == (ipaddress.ip_address("10.0.0.0"), 47, 0)
