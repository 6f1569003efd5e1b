"""Packets made by hand, whole ones and broken ones, with the checksums that a kernel looks at.

Connection tracking calls a packet with a wrong checksum invalid, so what is to be odd in one way is right in every
other. Each packet carries a token, by which it is known wherever it comes out, in whatever it is wrapped.
"""

from __future__ import annotations

import ipaddress
import itertools
import struct
from collections.abc import Iterator

from outgate.lab.sctp import crc32c

__all__ = [
    "ICMP",
    "ICMPV6",
    "SCTP",
    "TCP",
    "UDP",
    "echo",
    "extension",
    "fragments",
    "frame",
    "icmp",
    "init",
    "ip",
    "packed",
    "segment",
    "tcp",
    "token",
    "tokens_in",
    "transport",
    "udp",
]

ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
_GATEWAY = bytes.fromhex("eeeeeeeeeeee")
"""The node's end of every pod's link in the lab (`outgate.lab.build`)."""
_MARK = b"\xf0Og"
_SIZE = len(_MARK) + 5
_NUMBERS = itertools.count(1)


def token() -> bytes:
    """Eight bytes that nothing else has."""
    return _MARK + next(_NUMBERS).to_bytes(5, "big")


def tokens_in(data: bytes) -> Iterator[bytes]:
    """The tokens anywhere in some bytes."""
    at = data.find(_MARK)
    while at >= 0:
        yield data[at : at + _SIZE]
        at = data.find(_MARK, at + 1)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address: str) -> bytes:
    """The bytes of an address."""
    return ipaddress.ip_address(address).packed


def version(address: str) -> int:
    """The family of an address."""
    return ipaddress.ip_address(address).version


def frame(packet: bytes, to: bytes = _GATEWAY) -> bytes:
    """An Ethernet frame from a pod to its node; the type is the packet's own."""
    return to + bytes.fromhex("020000000001") + (b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet


def ip(
    source: str,
    target: str,
    protocol: int,
    payload: bytes,
    *,
    options: bytes = b"",
    identity: int = 0,
    offset: int = 0,
    more: bool = False,
    whole: bool = False,
    hops: int = 64,
) -> bytes:
    """An IP packet. For IPv4 alone are `options`, `offset` in units of eight bytes, and `whole`: not to be cut."""
    ends = packed(source) + packed(target)
    if version(target) == 6:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops) + ends + payload
    options += bytes(-len(options) % 4)
    size = 20 + len(options)
    flags = whole << 14 | more << 13 | offset
    first = struct.pack("!BBHHHBB", 0x40 | size // 4, 0, size + len(payload), identity, flags, hops, protocol)
    total = checksum(first + bytes(2) + ends + options)
    return first + struct.pack("!H", total) + ends + options + payload


def extension(kind: int, following: int, body: bytes = b"") -> bytes:
    """An IPv6 extension header; `kind` is for the reader, and stands in the header before."""
    del kind
    body += bytes(-(len(body) + 2) % 8)
    return struct.pack("!BB", following, (len(body) + 2) // 8 - 1) + body


def _summed(source: str, target: str, protocol: int, segment: bytes, at: int) -> bytes:
    """A segment with its checksum, which stands at `at`, over the pseudo header of its family."""
    six = version(target) == 6
    tail = struct.pack("!II", len(segment), protocol) if six else struct.pack("!HH", protocol, len(segment))
    total = checksum(packed(source) + packed(target) + tail + segment)
    return segment[:at] + struct.pack("!H", total or 0xFFFF) + segment[at + 2 :]


def udp(source: str, target: str, ports: tuple[int, int], load: bytes) -> bytes:
    """A UDP datagram, without its IP header."""
    return _summed(source, target, UDP, struct.pack("!HHHH", *ports, 8 + len(load), 0) + load, 6)


def tcp(source: str, target: str, ports: tuple[int, int], load: bytes, flags: int = 0x02) -> bytes:
    """A TCP segment, without its IP header. `flags`: 2 is SYN, 4 RST, 16 ACK."""
    head = struct.pack("!HHIIBBHHH", *ports, 1000, 0 if flags == 2 else 2000, 5 << 4, flags, 1000, 0, 0)
    return _summed(source, target, TCP, head + load, 16)


def icmp(source: str, target: str, kind: int, code: int, body: bytes) -> bytes:
    """An ICMP message of the target's family, without its IP header."""
    message = struct.pack("!BBH", kind, code, 0) + body
    if version(target) == 6:
        return _summed(source, target, ICMPV6, message, 2)
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def echo(source: str, target: str, load: bytes, *, reply: bool = False, identity: int = 0x4F47) -> bytes:
    """A whole echo request, or an echo reply that nobody asked for."""
    six = version(target) == 6
    kind = (129 if reply else 128) if six else (0 if reply else 8)
    message = icmp(source, target, kind, 0, struct.pack("!HH", identity, 1) + load)
    return ip(source, target, ICMPV6 if six else ICMP, message)


def init(ports: tuple[int, int], load: bytes) -> bytes:
    """An SCTP packet that opens an association (RFC 9260, 3.3.2), with the load in a parameter that nobody knows."""
    parameter = struct.pack("!HH", 0xC0DE, 4 + len(load)) + load + bytes(-len(load) % 4)
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20 + len(parameter), 7, 1 << 16, 1, 1, 7) + parameter
    head = struct.pack("!HHI", *ports, 0)
    return head + crc32c(head + bytes(4) + chunk).to_bytes(4, "little") + chunk


def segment(protocol: int, source: str, target: str, ports: tuple[int, int], load: bytes) -> bytes:
    """The first segment of a connection; of a protocol without any, the load alone."""
    match protocol:
        case 6:
            return tcp(source, target, ports, load)
        case 17:
            return udp(source, target, ports, load)
        case 132:
            return init(ports, load)
        case _:
            return load


def transport(protocol: int, source: str, target: str, ports: tuple[int, int], load: bytes) -> bytes:
    """The first packet of a connection, whole. Of ICMP it is an echo request, with the first port for its identity."""
    if protocol in {ICMP, ICMPV6}:
        return echo(source, target, load, identity=ports[0])
    return ip(source, target, protocol, segment(protocol, source, target, ports, load))


def fragments(source: str, target: str, protocol: int, payload: bytes, *cuts: int, identity: int = 77) -> list[bytes]:
    """The packets of one payload cut at these places, all multiples of eight."""
    borders = [0, *cuts, len(payload)]
    made = []
    for low, high in itertools.pairwise(borders):
        more = high < len(payload)
        part = payload[low:high]
        if version(target) == 6:
            head = struct.pack("!BBHI", protocol, 0, low | more, identity)
            made.append(ip(source, target, 44, head + part))
        else:
            made.append(ip(source, target, protocol, part, identity=identity, offset=low // 8, more=more))
    return made
