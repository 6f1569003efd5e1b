"""The headers of a packet as it was on the wire, or of as much of it as was kept.

A log keeps the first 96 bytes or so of packets that somebody else made, perhaps in order to confuse the reader: short,
cut off, with lengths that lie. So nothing here is believed that the bytes do not bear out, and nothing is an error:
what cannot be read is None. IPv4 is RFC 791, IPv6 with its chain of extension headers RFC 8200.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from outgate.packets.addresses import Address
from outgate.packets.transport import Protocol

__all__ = ["Headers", "read_headers"]


@dataclass(frozen=True, slots=True)
class Headers:
    """What the first bytes of a packet say; None for what they do not."""

    family: int | None = None
    """4 or 6."""
    source: Address | None = None
    destination: Address | None = None
    protocol: int | None = None
    """Behind all extension headers that could be read."""
    source_port: int | None = None
    destination_port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    fragment: bool = False
    """Whether this is a fragment behind the first: it has no ports, whatever stands where they would be."""
    length: int | None = None
    """Bytes of the whole packet, as its header says."""


_NOTHING = Headers()
_IPV4 = struct.Struct(">BxH2xHxB2x4s4s")
_IPV6 = struct.Struct(">4xHBx16s16s")

_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION = 0, 43, 44, 51
_EXTENSIONS = frozenset((_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, 60, 135, 139, 140))
"""RFC 7045: the extension headers that can be skipped; ESP (50) hides what follows, 59 says that nothing does."""
_WITH_PORTS = frozenset((Protocol.TCP, Protocol.UDP, Protocol.SCTP, 33, 136))
"""The five whose header begins with two ports: 33 is DCCP, 136 UDP-Lite."""


def read_headers(payload: bytes) -> Headers:
    """The headers of an IP packet that begins at the first byte. No bytes are an error."""
    version = payload[0] >> 4 if payload else 0
    if version == 4 and len(payload) >= _IPV4.size:
        return _ipv4(payload)
    if version == 6 and len(payload) >= _IPV6.size:
        return _ipv6(payload)
    return Headers(family=version) if version in (4, 6) else _NOTHING


def _ipv4(payload: bytes) -> Headers:
    first, length, fragment, protocol, source, destination = _IPV4.unpack_from(payload)
    header = (first & 15) * 4
    behind = bool(fragment & 0x1FFF)
    # RFC 791, 3.1: "Note that the minimum value for a correct header is 5."
    at = header if header >= 20 and not behind else None
    return _transport(
        payload, 4, ipaddress.IPv4Address(source), ipaddress.IPv4Address(destination), protocol, at, behind, length
    )


def _ipv6(payload: bytes) -> Headers:
    length, protocol, source, destination = _IPV6.unpack_from(payload)
    at: int | None = 40
    behind = False
    while protocol in _EXTENSIONS and at is not None and not behind:
        if at + 8 > len(payload):
            at = None
            break
        following, size = payload[at], payload[at + 1]
        if protocol == _FRAGMENT:
            (offset,) = struct.unpack_from(">H", payload, at + 2)
            behind = offset >> 3 != 0
            at += 8
        else:
            # RFC 4302: the authentication header counts in words of 4 bytes less two, all others in 8 less one.
            at += (size + 2) * 4 if protocol == _AUTHENTICATION else (size + 1) * 8
        protocol = following
    return _transport(
        payload,
        6,
        ipaddress.IPv6Address(source),
        ipaddress.IPv6Address(destination),
        protocol,
        None if behind else at,
        behind,
        length + 40,
    )


def _transport(
    payload: bytes,
    family: int,
    source: Address,
    destination: Address,
    protocol: int,
    at: int | None,
    fragment: bool,
    length: int,
) -> Headers:
    """With what begins at byte `at`; None where that is not known."""
    ports: tuple[int | None, int | None] = (None, None)
    message: tuple[int | None, int | None] = (None, None)
    if at is not None and protocol in _WITH_PORTS and len(payload) >= at + 4:
        ports = struct.unpack_from(">HH", payload, at)
    elif at is not None and protocol == (Protocol.ICMP if family == 4 else Protocol.ICMPV6) and len(payload) >= at + 2:
        message = payload[at], payload[at + 1]
    return Headers(family, source, destination, protocol, *ports, *message, fragment=fragment, length=length)
