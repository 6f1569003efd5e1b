"""One packet: its family, and how it is written for people."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.packets import Packet, Protocol

V4, OTHER_V4 = ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("203.0.113.9")
V6, OTHER_V6 = ipaddress.ip_address("fd00::1"), ipaddress.ip_address("2001:db8::9")


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (Packet(V4, OTHER_V4, Protocol.TCP, 443), "10.0.0.1 → 203.0.113.9 TCP port 443"),
        (Packet(V4, OTHER_V4, Protocol.UDP, 0), "10.0.0.1 → 203.0.113.9 UDP port 0"),
        (Packet(V6, OTHER_V6, Protocol.SCTP, 9), "fd00::1 → 2001:db8::9 SCTP port 9"),
        (Packet(V4, OTHER_V4, Protocol.ICMP, 8 * 256), "10.0.0.1 → 203.0.113.9 ICMP"),
        (Packet(V6, OTHER_V6, 47), "fd00::1 → 2001:db8::9 protocol 47"),
    ],
    ids=["tcp", "port 0", "sctp", "icmp", "gre"],
)
def test_packet_is_written_for_people(packet: Packet, text: str) -> None:
    """A witness is read by a person: a port that ICMP does not have, or a missing protocol, misleads."""
    assert str(packet) == text


def test_family_is_that_of_the_addresses() -> None:
    """The family decides which half of every set is asked."""
    assert (Packet(V4, OTHER_V4, 6).family, Packet(V6, OTHER_V6, 6).family) == (4, 6)


def test_packets_are_values() -> None:
    """Observations are kept in dictionaries by packet: equal packets must be one key."""
    assert len({Packet(V4, OTHER_V4, 6, 80), Packet(V4, OTHER_V4, Protocol.TCP, 80)}) == 1
    assert Packet(V4, OTHER_V4, 6, 80) != Packet(V4, OTHER_V4, 6, 80, source_port=53)
