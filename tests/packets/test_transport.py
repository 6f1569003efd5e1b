"""Sets of protocols and ports: the laws, and what each protocol number means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.packets import IntervalSet, Protocol, TransportSet
from outgate.packets.transport import PORTS
from outgate.testing import points, transport_sets
from tests.packets.algebra import LAWS, Algebra, broken

ANY = TransportSet.any()


@pytest.mark.parametrize("family", LAWS)
@given(sets=st.tuples(transport_sets(), transport_sets(), transport_sets()))
def test_laws_hold(family: str, sets: tuple[TransportSet, TransportSet, TransportSet]) -> None:
    """A set algebra in which one law fails gives an answer that depends on the order of the policies."""
    assert broken(family, Algebra(sets, ANY, TransportSet())) == []


@given(transport_sets(), transport_sets(), points())
def test_membership_follows_the_operations(a: TransportSet, b: TransportSet, point: tuple[int, int]) -> None:
    """Asked for one point, a compound set must answer as its parts do."""
    assert (a | b).contains(*point) == (a.contains(*point) or b.contains(*point))
    assert (a & b).contains(*point) == (a.contains(*point) and b.contains(*point))
    assert (a - b).contains(*point) == (a.contains(*point) and not b.contains(*point))
    assert (~a).contains(*point) == (not a.contains(*point))


@given(st.lists(transport_sets(), min_size=2, max_size=6))
def test_sort_key_tells_sets_apart(many: list[TransportSet]) -> None:
    """Canonical forms are sorted by it: two sets with one key would come out in the order of their making."""
    assert len({one.sort_key() for one in many}) == len(set(many))


@pytest.mark.parametrize("protocol", list(Protocol), ids=lambda one: one.name)
def test_protocols_do_not_share_points(protocol: Protocol) -> None:
    """UDP 53 in a set of TCP 53 is the oldest mistake in this trade (A24)."""
    one = TransportSet.ports(protocol, 53)
    assert [other for other in Protocol if one.contains(other, 53)] == [protocol]
    assert list(one.items()) == [(protocol, IntervalSet.single(53))]
    assert one.of(protocol) == IntervalSet.single(53)


@pytest.mark.parametrize("number", range(256))
def test_whole_protocol_is_all_of_it_and_nothing_else(number: int) -> None:
    """Every one of the 256 numbers has a place, exactly one, and a complement without it."""
    one = TransportSet.protocol(number)
    assert one.contains(number, 0)
    assert one.contains(number, 65535)
    assert [other for other in range(256) if one.contains(other, 7)] == [number]
    assert not (ANY - one).contains(number, 0)
    assert (ANY - one) | one == ANY


@pytest.mark.parametrize("port", [0, 1, 65535])
def test_edge_ports_are_members(port: int) -> None:
    """Port 0 and port 65535 exist in packets, whatever a manifest may name."""
    one = TransportSet.ports(Protocol.TCP, port)
    assert one.contains(Protocol.TCP, port)
    assert one <= TransportSet.governed()
    assert (TransportSet.ports(Protocol.TCP, PORTS) - one).of(Protocol.TCP).size() == 65535


def test_range_is_inclusive() -> None:
    """K/types: endPort is part of the range."""
    one = TransportSet.ports(Protocol.SCTP, 8000, 8010)
    assert [one.contains(Protocol.SCTP, port) for port in (7999, 8000, 8010, 8011)] == [False, True, True, False]
    assert TransportSet.ports(Protocol.SCTP, 80, 80) == TransportSet.ports(Protocol.SCTP, 80)


def test_governed_is_three_protocols() -> None:
    """types.go, NetworkPolicyPort: TCP, UDP and SCTP; ICMP is not among them (A7)."""
    governed = TransportSet.governed()
    assert [one for one in range(256) if governed.contains(one, 80)] == [Protocol.TCP, Protocol.UDP, Protocol.SCTP]
    assert [protocol for protocol in Protocol if protocol.has_ports] == [Protocol.TCP, Protocol.UDP, Protocol.SCTP]


def test_nothing_lies_outside_the_universe() -> None:
    """A port or a protocol number that no packet can carry must not make a set that no packet is in."""
    assert not TransportSet.protocol(256)
    assert not TransportSet.ports(Protocol.TCP, 65536, 70000)
    assert not ANY.contains(256)
    assert not ANY.contains(Protocol.TCP, 65536)
