"""Netlink's bytes: written and read are one, and nothing that is read makes the reader fall."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.host.netlink_format import (
    CAPPED,
    DONE,
    ERROR,
    NESTED,
    Failure,
    Message,
    attribute,
    attributes,
    each_attribute,
    failure,
    message,
    messages,
    text,
)

KINDS = st.integers(0, 0x3FFF)
SHORT = st.integers(0, 0xFFFF)


@given(st.lists(st.tuples(KINDS, st.booleans(), st.binary(max_size=40)), max_size=8))
def test_attributes_are_read_as_written(written: list[tuple[int, bool, bytes]]) -> None:
    """Whatever their lengths, each begins where the one before it was filled up to."""
    data = b"".join(attribute(kind | (NESTED if nested else 0), payload) for kind, nested, payload in written)
    assert len(data) % 4 == 0
    assert list(each_attribute(data)) == [(kind, payload) for kind, _, payload in written]
    assert attributes(b"1234" + data, 4) == {kind: payload for kind, _, payload in written}


@given(st.lists(st.tuples(SHORT, SHORT, st.integers(0, 0xFFFF_FFFF), st.binary(max_size=40)), max_size=8))
def test_messages_are_read_as_written(written: list[tuple[int, int, int, bytes]]) -> None:
    """A datagram of the kernel holds as many as fit."""
    data = b"".join(message(*one) for one in written)
    assert [(one.kind, one.flags, one.sequence, one.body) for one in messages(data)] == written


@given(st.binary(max_size=200), st.integers(0, 9))
def test_no_bytes_make_the_reader_fall(data: bytes, start: int) -> None:
    """A newer kernel may write anything."""
    attributes(data, start)
    for one in messages(data):
        failure(one)
    failure(Message(ERROR, 0x200, 1, 1, data))
    text(data)


def test_an_attribute_too_long_is_no_attribute() -> None:
    """Its length would wrap, and what follows it would be read as something else."""
    assert len(attribute(1, bytes(65_531))) == 65_536
    with pytest.raises(ValueError, match="65536"):
        attribute(1, bytes(65_532))


@pytest.mark.parametrize("whole", [False, True])
def test_the_words_of_the_kernel_are_found_behind_the_request(whole: bool) -> None:
    """With or without the request's own bytes in between."""
    request = message(5, 0, 9, b"body!")
    words = attribute(1, b"no such thing\0") + attribute(2, struct.pack("=I", 20))
    body = struct.pack("=i", -2) + (request if whole else request[:16]) + words
    said = failure(Message(ERROR, 0 if whole else CAPPED, 9, 1, body))
    assert said == Failure(2, "no such thing", 20)


def test_an_acknowledgement_is_no_failure() -> None:
    """And neither is the end of a dump, nor an error that is cut short."""
    assert failure(Message(ERROR, CAPPED, 9, 1, struct.pack("=i", 0) + message(5, 0, 9, b"x")[:16])).number == 0
    assert failure(Message(DONE, 0, 9, 1, struct.pack("=i", 0))).number == 0
    assert failure(Message(DONE, 0, 9, 1, struct.pack("=i", -4))).number == 4
    assert failure(Message(DONE, 0, 9, 1, b"")).number == 0


def test_text_ends_at_its_end() -> None:
    """A name is filled with NULs, and may be no UTF-8 at all."""
    assert text(b"eth0\0\0\0rest") == "eth0"
    assert text(b"\xff") == "�"
