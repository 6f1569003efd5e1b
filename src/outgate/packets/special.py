"""Which addresses are the internet, and which are set aside for something else.

The internet is what is left of the address space when everything is taken out that no router of the internet forwards:
the table below, after the IANA registries of special-purpose addresses (RFC 6890). Blocks of protocol assignments are
taken out whole, though a few single addresses in them (anycast of PCP and TURN) are routed. What is only deprecated
(192.88.99.0/24, 2002::/16) stays in: somebody may still route it, and an answer about exposure must not forget it.

    IPv4   0.0.0.0/0 less the table
    IPv6   2000::/3 less the table: all that IANA has given out as global unicast (RFC 3513, RFC 4291, 2.4)
"""

from __future__ import annotations

from outgate.packets.addresses import AddressSet, Family
from outgate.packets.intervals import IntervalSet
from outgate.records import dataclass

__all__ = ["INTERNET", "INTERNET_V4", "INTERNET_V6", "NEVER_NAMED", "RANGES", "SET_ASIDE", "AddressRange"]


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Addresses of one family with a use of their own. `source` is the RFC that says so."""

    name: str
    family: Family
    addresses: AddressSet
    source: str
    words: str

    def __str__(self) -> str:
        return self.words


def _range(name: str, source: str, words: str, *blocks: str) -> AddressRange:
    addresses = AddressSet.union_of(map(AddressSet.network, blocks))
    return AddressRange(name, addresses.lowest().version, addresses, source, words)


PRIVATE = _range("private", "RFC 1918", "private IPv4 networks", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
SHARED = _range("shared", "RFC 6598", "the shared range of carriers (CGNAT)", "100.64.0.0/10")
LINK_LOCAL_V4 = _range("link-local-v4", "RFC 3927", "IPv4 link-local addresses", "169.254.0.0/16")
UNIQUE_LOCAL = _range("unique-local", "RFC 4193", "private IPv6 networks (ULA)", "fc00::/7")
LINK_LOCAL_V6 = _range("link-local-v6", "RFC 4291", "IPv6 link-local addresses", "fe80::/10")
NAT64 = _range("nat64", "RFC 6052", "the IPv4 internet through NAT64", "64:ff9b::/96")

SET_ASIDE: tuple[AddressRange, ...] = (
    PRIVATE,
    SHARED,
    LINK_LOCAL_V4,
    _range("this-network", "RFC 1122", "this host on this network", "0.0.0.0/8"),
    _range("loopback-v4", "RFC 1122", "IPv4 loopback", "127.0.0.0/8"),
    _range("protocol-v4", "RFC 6890", "IETF protocol assignments", "192.0.0.0/24"),
    _range(
        *("documentation-v4", "RFC 5737", "IPv4 documentation"),
        *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
    ),
    _range("benchmarking-v4", "RFC 2544", "benchmarks of IPv4 devices", "198.18.0.0/15"),
    _range("multicast-v4", "RFC 5771", "IPv4 multicast", "224.0.0.0/4"),
    _range("reserved-v4", "RFC 1112", "reserved, and broadcast", "240.0.0.0/4"),
    UNIQUE_LOCAL,
    LINK_LOCAL_V6,
    NAT64,
    _range("loopback-v6", "RFC 4291", "IPv6 loopback and the unspecified address", "::/127"),
    _range("discard-v6", "RFC 6666", "discard-only", "100::/64"),
    _range("protocol-v6", "RFC 2928", "IETF protocol assignments", "2001::/23"),
    _range("documentation-v6", "RFC 3849, RFC 9637", "IPv6 documentation", "2001:db8::/32", "3fff::/20"),
    _range("multicast-v6", "RFC 4291", "IPv6 multicast", "ff00::/8"),
)
"""Everything that is not the internet and has a name. No two overlap."""

_TAKEN = AddressSet.union_of(one.addresses for one in SET_ASIDE)

INTERNET_V4 = AddressRange("internet-v4", 4, AddressSet.whole(4) - _TAKEN, "RFC 6890", "the IPv4 internet")
INTERNET_V6 = AddressRange("internet-v6", 6, AddressSet.network("2000::/3") - _TAKEN, "RFC 4291", "the IPv6 internet")

INTERNET: tuple[AddressRange, ...] = (INTERNET_V4, INTERNET_V6, NAT64)
"""Ways to the internet. The well-known prefix of NAT64 is one: behind a gateway it is the IPv4 internet again, and
"MUST NOT be used to represent non-global IPv4 addresses" (RFC 6052, 3.1)."""

_OF_NOBODY = (
    *("link-local-v4", "link-local-v6", "this-network", "loopback-v4", "loopback-v6"),
    *("multicast-v4", "multicast-v6", "reserved-v4", "protocol-v4", "discard-v6"),
)
_METADATA = (
    "fd00:ec2::/32",  # AWS: metadata and DNS over IPv6
    "100.100.100.200/32",  # Alibaba Cloud
    "168.63.129.16/32",  # Azure WireServer
    "192.0.0.192/32",  # Oracle Cloud, classic
    "fd20:ce::254/128",  # Google Cloud over IPv6
)
_CLOSED = AddressSet.union_of(one.addresses for one in SET_ASIDE if one.name in _OF_NOBODY) | AddressSet.union_of(
    map(AddressSet.network, _METADATA)
)


def _behind_nat64(addresses: AddressSet) -> AddressSet:
    """The IPv6 addresses by which a gateway of NAT64 is asked for IPv4 ones (RFC 6052, 2.2: the last 32 bits)."""
    prefix = int(NAT64.addresses.lowest())
    return AddressSet(v6=IntervalSet.of(*((prefix + low, prefix + high) for low, high in addresses.v4)))


NEVER_NAMED = _CLOSED | AddressSet.network("::ffff:0:0/96") | _behind_nat64(_CLOSED)
"""What no DNS name opens, whatever its owner lets it resolve to: the node's own, what no router passes on, metadata;
and IPv6 addresses that are IPv4 ones in disguise: mapped ones, and of NAT64 those that lead to such a place."""

_TOLD_APART = (*INTERNET, PRIVATE, SHARED, UNIQUE_LOCAL, LINK_LOCAL_V4, LINK_LOCAL_V6)


def _rest(family: Family) -> AddressRange:
    named = AddressSet.union_of(one.addresses for one in _TOLD_APART)
    words = f"other IPv{family} addresses (reserved, documentation, multicast, ...)"
    return AddressRange(f"other-v{family}", family, AddressSet.whole(family) - named, "RFC 6890", words)


RANGES: tuple[AddressRange, ...] = (*_TOLD_APART, _rest(4), _rest(6))
"""What is told apart in an answer about exposure: the internet, what else leads beyond the cluster, and the rest.
Together they are every address, each once."""
