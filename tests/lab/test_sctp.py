"""SCTP packets made by hand are what a kernel takes for SCTP."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.lab import sctp
from outgate.lab.sctp import Init, InitAck

TOKENS = st.binary(min_size=8, max_size=8).filter(lambda token: token[:4] != bytes(4))
PORTS = st.integers(0, 65535)
INITS = st.builds(Init, PORTS, PORTS, TOKENS)


@pytest.mark.parametrize(
    ("data", "sum_"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"", 0),
    ],
    ids=["check", "zeroes", "ones", "up", "down", "empty"],
)
def test_crc32c_of_known_bytes(data: bytes, sum_: int) -> None:
    """The vectors of RFC 3720, B.4: with plain CRC-32 every packet would be thrown away in silence."""
    assert sctp.crc32c(data) == sum_


@given(INITS)
def test_an_init_is_read_back(init: Init) -> None:
    """A server must see the token and ports that were sent."""
    assert sctp.parse(init.packet()) == init


@given(INITS, st.binary(max_size=60))
def test_an_answer_is_read_back_with_its_cookie(init: Init, cookie: bytes) -> None:
    """Padding behind the cookie is not part of it."""
    answer = init.answered(cookie)
    assert sctp.parse(answer.packet()) == InitAck(init.port, init.source_port, init.token, cookie)
    assert len(answer.packet()) % 4 == 0


@given(INITS, st.data())
def test_a_flipped_bit_is_noticed(init: Init, data: st.DataObject) -> None:
    """A checksum that is not looked at would let damage pass for an answer."""
    packet = bytearray(init.answered(b"cookie").packet())
    at = data.draw(st.integers(0, len(packet) * 8 - 1))
    packet[at // 8] ^= 1 << at % 8
    assert sctp.parse(bytes(packet)) is None


@given(st.binary(max_size=80))
def test_noise_is_nothing(data: bytes) -> None:
    """Raw sockets see every packet of the protocol, whatever is in it."""
    assert sctp.parse(data) is None


def test_the_layout_is_that_of_the_rfc() -> None:
    """Conntrack reads the packet by offsets: a field in the wrong place makes it invalid."""
    packet = Init(10001, 5000, b"\0\0\0\1\0\0\0\2").packet()
    assert struct.unpack_from("!HHI", packet) == (10001, 5000, 0)
    assert int.from_bytes(packet[8:12], "little") == sctp.crc32c(packet[:8] + bytes(4) + packet[12:])
    assert struct.unpack_from("!BBHIIHHI", packet, 12) == (1, 0, 20, 1, 65536, 1, 1, 2)
    assert len(packet) == 32


def test_an_answer_carries_the_tag_of_the_init() -> None:
    """RFC 9260, 5.1: with another verification tag the answer belongs to another association."""
    answer = bytearray(Init(1, 2, b"\0\0\0\1\0\0\0\2").answered(b"").packet())
    assert answer[4:8] == b"\0\0\0\1"
    answer[4:8] = b"\0\0\0\7"
    answer[8:12] = sctp.crc32c(bytes(answer[:8]) + bytes(4) + bytes(answer[12:])).to_bytes(4, "little")
    assert sctp.parse(bytes(answer)) is None
