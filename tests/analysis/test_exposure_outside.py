"""How much of a range is reached, and by which rules."""

from __future__ import annotations

import pytest

from outgate.analysis.exposure_outside import DNS_PORTS, Share, extent, within
from outgate.packets import AddressSet, PacketSet, Protocol, TransportSet
from outgate.packets.special import INTERNET_V4, RANGES
from tests.analysis.estate import allow, standing_of

WEB_PORT = TransportSet.ports(Protocol.TCP, 443)


def packets(*blocks: str) -> PacketSet:
    """TCP 443 to these blocks."""
    return PacketSet.cube(AddressSet.union_of(map(AddressSet.network, blocks)), WEB_PORT)


@pytest.mark.parametrize(
    ("blocks", "share"),
    [
        (("0.0.0.0/0",), Share.WHOLE),
        (("0.0.0.0/1", "128.0.0.0/1"), Share.WHOLE),
        (("0.0.0.0/1", "128.0.0.0/2"), Share.MOST),
        (("0.0.0.0/2",), Share.SOME),
        (("8.8.8.8/32",), Share.SOME),
        (("10.0.0.0/8", "169.254.0.0/16", "203.0.113.0/24"), Share.NONE),
        (("::/0",), Share.NONE),
    ],
)
def test_shares(blocks: tuple[str, ...], share: Share) -> None:
    """Split as one likes: what counts is the set."""
    found = extent(INTERNET_V4, packets(*blocks))
    assert found.share is share
    assert found.share.wide == (share in (Share.WHOLE, Share.MOST))
    assert found.addresses <= INTERNET_V4.addresses


def test_one_address_short_of_the_whole_is_not_the_whole() -> None:
    """Exact, not nearly."""
    hole = AddressSet.network("8.8.8.8/32")
    everything = PacketSet.cube(AddressSet.any() - hole, WEB_PORT)
    found = extent(INTERNET_V4, everything)
    assert found.share is Share.MOST
    assert INTERNET_V4.addresses - found.addresses == hole


def test_within_takes_out_ports_and_addresses_that_have_none_left() -> None:
    """An address with no port is not reached."""
    both = packets("1.0.0.0/8") | PacketSet.cube(AddressSet.network("2.0.0.0/8"), DNS_PORTS)
    assert within(both, DNS_PORTS).addresses() == AddressSet.network("2.0.0.0/8")
    assert within(both, TransportSet.governed() - DNS_PORTS) == packets("1.0.0.0/8")


def test_every_range_says_which_rules_open_it() -> None:
    """The rule for private networks is not to blame for the internet, nor a port name for anything outside."""
    standing = standing_of(
        allow(
            {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]},
            {"to": [{"ipBlock": {"cidr": "8.0.0.0/8"}}, {"podSelector": {}}], "ports": [{"port": 443}]},
            {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": "http"}]},
            {"to": [{"podSelector": {}}]},
        )
    )
    blamed = {one.range.name: [origin.rule for origin in one.origins] for one in standing.outside.ranges if one.parts}
    assert blamed == {"internet-v4": [1], "private": [0]}


def test_a_rule_without_peers_opens_both_families_and_every_range() -> None:
    """No `to` is everywhere, IPv6 and link-local addresses among it."""
    standing = standing_of(allow({"ports": [{"port": 443}]}))
    assert [one.share for one in standing.outside.ranges] == [Share.WHOLE] * len(RANGES)
    assert {origin.rule for one in standing.outside.ranges for origin in one.origins} == {0}


def test_dns_over_tls_is_told_apart_from_dns() -> None:
    """Port 853 is no plain DNS, and a way out all the same."""
    standing = standing_of(allow({"to": [{"ipBlock": {"cidr": "1.1.1.1/32"}}], "ports": [{"port": 853}]}))
    assert [one.share for one in standing.outside.resolvers] == [Share.NONE] * 3
    assert [one.share for one in standing.outside.resolvers_tls] == [Share.SOME, Share.NONE, Share.NONE]
