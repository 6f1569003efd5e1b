"""Headers of real, cut and lying packets: what the bytes say is read, and nothing else is."""

from __future__ import annotations

import ipaddress
import struct

from hypothesis import given
from hypothesis import strategies as st

from outgate.packets.headers import Headers, read_headers

PORTS = st.integers(0, 65535)
OCTETS = st.integers(0, 255)
# Next header, and the bytes that it has: a length of n words behind the first 8 bytes.
EXTENSIONS = st.lists(st.tuples(st.sampled_from([0, 43, 60, 135, 139, 140, 51]), st.integers(0, 4)), max_size=4)


def ipv4(protocol: int, rest: bytes, *, words: int = 5, fragment: int = 0) -> bytes:
    """An IPv4 packet from 10.0.0.1 to 203.0.113.5, with options up to so many words of header."""
    length = words * 4 + len(rest)
    head = struct.pack(">BBHHHBBH", 4 << 4 | words, 0, length, 7, fragment, 64, protocol, 0)
    addresses = ipaddress.IPv4Address("10.0.0.1").packed + ipaddress.IPv4Address("203.0.113.5").packed
    return head + addresses + bytes((words - 5) * 4) + rest


def ipv6(chain: list[tuple[int, int]], protocol: int, rest: bytes, *, offset: int | None = None) -> bytes:
    """An IPv6 packet from fd00::1 to 2001:db8::5; with `offset`, a fragment header comes last."""
    kinds = [kind for kind, _ in chain] + ([44] if offset is not None else []) + [protocol]
    body = b""
    for following, (kind, extra) in zip(kinds[1:], chain, strict=False):
        # The authentication header counts words of four bytes, and must fill eight (RFC 4302).
        size, length = (extra * 2, 8 + extra * 8) if kind == 51 else (extra, 8 + extra * 8)
        body += bytes((following, size)).ljust(length, b"\0")
    if offset is not None:
        body += struct.pack(">BBHI", protocol, 0, offset << 3 | 1, 9)
    body += rest
    addresses = ipaddress.IPv6Address("fd00::1").packed + ipaddress.IPv6Address("2001:db8::5").packed
    return struct.pack(">IHBB", 6 << 28, len(body), kinds[0], 64) + addresses + body


def ends(headers: Headers) -> tuple[str, str]:
    """The addresses as text."""
    return str(headers.source), str(headers.destination)


@given(st.sampled_from([6, 17, 132]), PORTS, PORTS, st.integers(5, 15))
def test_ports_are_read_behind_any_options(protocol: int, source: int, destination: int, words: int) -> None:
    """A reader that takes 20 bytes for granted logs options as ports."""
    found = read_headers(ipv4(protocol, struct.pack(">HHI", source, destination, 0), words=words))
    assert ends(found) == ("10.0.0.1", "203.0.113.5")
    assert (found.family, found.protocol, found.length) == (4, protocol, words * 4 + 8)
    assert (found.source_port, found.destination_port, found.icmp_type) == (source, destination, None)


@given(EXTENSIONS, PORTS, PORTS)
def test_ports_are_read_behind_any_chain(chain: list[tuple[int, int]], source: int, destination: int) -> None:
    """A packet that hides its ports behind extension headers is what an attacker sends."""
    found = read_headers(ipv6(chain, 6, struct.pack(">HH", source, destination)))
    assert ends(found) == ("fd00::1", "2001:db8::5")
    assert (found.family, found.protocol, found.fragment) == (6, 6, False)
    assert (found.source_port, found.destination_port) == (source, destination)


@given(OCTETS, OCTETS)
def test_icmp_has_a_type_in_its_own_family_alone(kind: int, code: int) -> None:
    """Protocol 58 in IPv4 is no ICMPv6, and 1 in IPv6 no ICMP."""
    for found, right in (
        (read_headers(ipv4(1, bytes((kind, code)))), True),
        (read_headers(ipv6([], 58, bytes((kind, code)))), True),
        (read_headers(ipv4(58, bytes((kind, code)))), False),
        (read_headers(ipv6([], 1, bytes((kind, code)))), False),
    ):
        assert (found.icmp_type, found.icmp_code) == ((kind, code) if right else (None, None))
        assert found.destination_port is None


@given(st.integers(1, 0x1FFF), EXTENSIONS)
def test_a_later_fragment_has_no_ports(offset: int, chain: list[tuple[int, int]]) -> None:
    """What stands there is data of the sender's choice."""
    rest = struct.pack(">HH", 80, 443)
    for found in (read_headers(ipv4(6, rest, fragment=offset)), read_headers(ipv6(chain, 6, rest, offset=offset))):
        assert found.fragment
        assert (found.protocol, found.source_port, found.destination_port) == (6, None, None)


def test_the_first_fragment_has_ports() -> None:
    """With "more fragments" set and no offset."""
    rest = struct.pack(">HH", 80, 443)
    for found in (read_headers(ipv4(6, rest, fragment=0x2000)), read_headers(ipv6([], 6, rest, offset=0))):
        assert (found.fragment, found.source_port, found.destination_port) == (False, 80, 443)


@given(EXTENSIONS, st.integers(0, 200))
def test_what_is_cut_off_is_unknown_and_never_invented(chain: list[tuple[int, int]], keep: int) -> None:
    """The log keeps so many bytes and no more."""
    whole = ipv6(chain, 17, struct.pack(">HH", 53, 5353))
    found, all_of_it = read_headers(whole[:keep]), read_headers(whole)
    for name in ("source", "destination", "source_port", "destination_port", "length"):
        assert getattr(found, name) in (None, getattr(all_of_it, name))


def test_what_is_no_packet_is_nothing() -> None:
    """An empty payload, another version, a header length that lies, a chain that hides its end."""
    assert read_headers(b"") == Headers()
    assert read_headers(b"\x20" * 60) == Headers()
    assert read_headers(b"\x45") == Headers(family=4)
    assert read_headers(b"\x60" * 39) == Headers(family=6)
    assert read_headers(ipv4(6, bytes(8))[:0] + b"\x41" + ipv4(6, b"\0P\1\xbb")[1:]).destination_port is None
    assert read_headers(ipv6([], 50, bytes(8))).protocol == 50
    assert read_headers(ipv6([], 59, bytes(8))).protocol == 59
    assert read_headers(ipv6([], 0, b"\6")).destination_port is None


@given(st.one_of(st.binary(max_size=120), st.binary(max_size=120).map(lambda rest: b"\x45" + rest)))
def test_no_bytes_make_the_reader_fall(payload: bytes) -> None:
    """They are a stranger's."""
    read_headers(payload)
    read_headers(b"\x60" + payload)
