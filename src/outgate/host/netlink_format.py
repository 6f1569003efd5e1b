"""Netlink as bytes: messages, attributes and errors, packed and read. No socket is touched here.

A datagram holds messages, a message a fixed header of its kind and then attributes, an attribute bytes or further
attributes. Everything begins at a multiple of four bytes (``NLMSG_ALIGNTO``, ``NLA_ALIGNTO``), and lengths do not
count the padding. Netlink itself is in the byte order of the machine; nf_tables puts its own numbers into network
order, and what a packet is compared with is in the order of the packet.

Reading is tolerant: a length that points beyond the end ends the reading. Only the kernel writes what is read, and
a newer one may have put anything there; unknown attributes are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

__all__ = [
    "ACK",
    "DONE",
    "DUMP",
    "ERROR",
    "NESTED",
    "REQUEST",
    "Failure",
    "Message",
    "attribute",
    "attributes",
    "each_attribute",
    "failure",
    "message",
    "messages",
    "text",
]

REQUEST = 0x1
ACK = 0x4
DUMP = 0x300
DUMP_INTERRUPTED = 0x10
"""``NLM_F_DUMP_INTR``: the thing changed while it was read, so the dump is of no single moment."""
CAPPED = 0x100
"""``NLM_F_CAPPED``: an error without the bytes of the message that it is about."""

ERROR = 2
DONE = 3
OVERRUN = 4

NESTED = 0x8000
"""``NLA_F_NESTED``: the attribute holds attributes."""
_KIND = 0x3FFF

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
HEADER_LENGTH = _HEADER.size
_LONGEST_ATTRIBUTE = 0xFFFF

_ERROR_WORDS = 1
_ERROR_OFFSET = 2


class Message(NamedTuple):
    """One message: its kind and flags, the number of the request it belongs to, its sender's port, and the rest."""

    kind: int
    flags: int
    sequence: int
    port: int
    body: bytes


class Failure(NamedTuple):
    """What an error message says: `number` is an errno, 0 for an acknowledgement."""

    number: int
    words: str
    """The kernel's own words (``NLMSGERR_ATTR_MSG``), empty where it gives none."""
    offset: int
    """Where in the request the attribute at fault begins, from its first byte; 0 where that is not said."""


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """A message, padded. Its port is 0: netlink(7), the kernel takes the socket's own."""
    return _HEADER.pack(HEADER_LENGTH + len(body), kind, flags, sequence, 0) + body + bytes(-len(body) % 4)


def messages(data: bytes) -> Iterator[Message]:
    """The messages of a datagram."""
    at, end = 0, len(data)
    while at + HEADER_LENGTH <= end:
        length, kind, flags, sequence, port = _HEADER.unpack_from(data, at)
        if length < HEADER_LENGTH or at + length > end:
            return
        yield Message(kind, flags, sequence, port, data[at + HEADER_LENGTH : at + length])
        at += (length + 3) & ~3


def attribute(kind: int, payload: bytes) -> bytes:
    """An attribute, padded. Raises ValueError for more than 65 531 bytes: its length has 16 bits."""
    length = 4 + len(payload)
    if length > _LONGEST_ATTRIBUTE:
        raise ValueError(f"an attribute of {length} bytes")
    return _ATTRIBUTE.pack(length, kind) + payload + bytes(-length % 4)


def each_attribute(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Kind and payload of each attribute from `start` on. The marks for nesting and byte order are taken off."""
    at, end = start, len(data)
    while at + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < 4 or at + length > end:
            return
        yield kind & _KIND, data[at + 4 : at + length]
        at += (length + 3) & ~3


def attributes(data: bytes, start: int = 0) -> dict[int, bytes]:
    """The attributes by kind; of several of a kind, the last."""
    return dict(each_attribute(data, start))


def text(payload: bytes) -> str:
    """A string attribute; it ends at its first NUL, and a byte that is no UTF-8 is shown as a mark."""
    return payload.partition(b"\0")[0].decode(errors="replace")


def failure(one: Message) -> Failure:
    """What a message of kind ERROR, or DONE, says.

    netlink(7): the error is followed by the header of the request, and by its body too unless NLM_F_CAPPED; then,
    with NETLINK_EXT_ACK, attributes. A dump that fails in its middle puts the error into DONE.
    """
    if len(one.body) < 4:
        return Failure(0, "", 0)
    number = -struct.unpack_from("=i", one.body)[0]
    after = 4
    if one.kind == ERROR and len(one.body) >= 4 + HEADER_LENGTH:
        (length,) = struct.unpack_from("=I", one.body, 4)
        whole = number != 0 and not one.flags & CAPPED
        after = 4 + (max(HEADER_LENGTH, (length + 3) & ~3) if whole else HEADER_LENGTH)
    found = attributes(one.body, after)
    offset = found.get(_ERROR_OFFSET, b"")
    return Failure(
        number, text(found.get(_ERROR_WORDS, b"")), struct.unpack("=I", offset)[0] if len(offset) == 4 else 0
    )
