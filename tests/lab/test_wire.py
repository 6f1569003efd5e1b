"""The bytes of probes: what comes back is what was sent, by somebody who says who he is."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.lab import wire
from outgate.lab.wire import Answer
from outgate.packets import Address

TOKENS = st.binary(min_size=8, max_size=8)
ADDRESSES: st.SearchStrategy[Address] = st.one_of(
    st.ip_addresses(v=4), st.ip_addresses(v=6).filter(lambda one: not str(one).startswith("::ffff:"))
)


@given(TOKENS, st.integers(0, 2**32 - 1), st.integers(0, 65535), ADDRESSES, st.integers(0, 65535))
def test_an_answer_is_read_back(token: bytes, box: int, port: int, seen: Address, seen_port: int) -> None:
    """An answer that names another box would be a disagreement that never happened, or hide one that did."""
    answer = Answer(token, box, port, seen, seen_port)
    assert Answer.unpacked(answer.packed()) == answer
    assert Answer.unpacked(answer.packed() + b"more") == answer
    assert len(answer.packed()) == wire.ANSWER_SIZE


@given(TOKENS)
def test_a_request_is_no_answer(token: bytes) -> None:
    """If a mirror that sends everything back passed for a server, any reflector would look like the right party."""
    request = wire.request(token)
    assert wire.token_of(request) == token
    assert Answer.unpacked(request.ljust(wire.ANSWER_SIZE, b"\0")) is None
    assert wire.token_of(Answer(token, 1, 2, ipaddress.IPv4Address(0)).packed()) is None


@given(st.binary(max_size=60))
def test_noise_is_neither(data: bytes) -> None:
    """A person's bytes on a probed port must not be taken for a probe."""
    if not data.startswith(b"OGL"):
        assert wire.token_of(data) is None
        assert Answer.unpacked(data) is None


@pytest.mark.parametrize("length", range(wire.REQUEST_SIZE))
def test_half_a_request_is_none_yet(length: int) -> None:
    """TCP may cut it anywhere."""
    half = wire.request(b"12345678")[:length]
    assert wire.token_of(half) is None
    assert wire.unfinished(half)
    assert not wire.unfinished(half + b"\n") or length > 3


@given(TOKENS)
def test_a_token_travels_as_a_name(token: bytes) -> None:
    """DNS compares without case, and some clients mix cases on purpose."""
    name = wire.as_name(token)
    assert wire.name_token(name) == wire.name_token(name.upper()) == token
    assert wire.name_token(f"x{name}") is None
    assert wire.name_token(name.replace("invalid", "example")) is None


@given(st.integers(0, 2**32 - 1), st.integers(0, 65535))
def test_who_answers_travels_as_an_address(box: int, port: int) -> None:
    """A real address in its place must not be read as a box."""
    assert wire.from_address(wire.as_address(box, port)) == (box, port)
    assert wire.from_address(ipaddress.ip_address("2001:db8::1")) is None
    assert wire.from_address(ipaddress.ip_address("192.0.2.1")) is None


@given(st.integers(0, 65535), TOKENS)
def test_the_checksum_of_an_echo_request_holds(number: int, token: bytes) -> None:
    """RFC 1071: with its checksum in place, the one's complement sum of a packet is all ones; else it is dropped."""
    packet = wire.echo_request(4, number, token)
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF
    assert (packet[0], struct.unpack_from("!H", packet, 4)[0], wire.token_of(packet[8:])) == (8, number, token)
    assert wire.echo_request(6, number, token)[0] == 128
