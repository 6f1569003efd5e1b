"""SCTP associations, their first two packets, made by hand (RFC 9260, sections 3.1 to 3.3.3).

Many kernels have no SCTP sockets, but every one forwards, tracks and filters SCTP. So a probe sends an
INIT chunk through a raw socket, and the other side answers with an INIT ACK: the exchange that policy
decides about. The token of the probe travels as initiate tag and initial TSN, and comes back, with what
the server wants to say, in the state cookie.

Checksums are CRC32c (Castagnoli) over the packet with a checksum of zero, stored with its low byte
first (RFC 9260, appendix A); a packet with a wrong one is nothing at all, to conntrack as to us.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = ["NUMBER", "TOKEN_SIZE", "Init", "InitAck", "crc32c", "parse"]

NUMBER = 132
"""The IP protocol number."""

TOKEN_SIZE = 8

_COMMON = struct.Struct("!HHI")
_CHUNK = struct.Struct("!BBH")
_INIT = struct.Struct("!IIHHI")
_PARAMETER = struct.Struct("!HH")
_CHUNK_AT = 12
_PARAMETERS_AT = _CHUNK_AT + _CHUNK.size + _INIT.size
_TYPE_INIT, _TYPE_INIT_ACK = 1, 2
_STATE_COOKIE = 7
_WINDOW, _STREAMS = 1 << 16, 1


def _table() -> tuple[int, ...]:
    made = []
    for index in range(256):
        value = index
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        made.append(value)
    return tuple(made)


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """The CRC32c of some bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    value, table = 0xFFFFFFFF, _TABLE
    for octet in data:
        value = value >> 8 ^ table[(value ^ octet) & 0xFF]
    return value ^ 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Init:
    """The packet that opens an association. `token` has 8 bytes, the first four not all zero (the tag may not be 0)."""

    source_port: int
    port: int
    token: bytes

    def packet(self) -> bytes:
        """The SCTP packet, from its common header on."""
        tag, tsn = struct.unpack("!II", self.token)
        # RFC 9260, 8.5.1: a packet with an INIT chunk has a verification tag of 0 and no other chunk.
        return _packet(self.source_port, self.port, 0, _TYPE_INIT, _INIT.pack(tag, _WINDOW, _STREAMS, _STREAMS, tsn))

    def answered(self, cookie: bytes) -> InitAck:
        """The INIT ACK to this."""
        return InitAck(self.port, self.source_port, self.token, cookie)


@dataclass(frozen=True, slots=True)
class InitAck:
    """The answer to an INIT. `token` is the INIT's own; `cookie` is the server's to choose."""

    source_port: int
    port: int
    token: bytes
    cookie: bytes

    def packet(self) -> bytes:
        """The SCTP packet, from its common header on."""
        tag, tsn = struct.unpack("!II", self.token)
        value = _INIT.pack(tag, _WINDOW, _STREAMS, _STREAMS, tsn)
        value += _PARAMETER.pack(_STATE_COOKIE, _PARAMETER.size + len(self.cookie)) + self.cookie
        return _packet(self.source_port, self.port, tag, _TYPE_INIT_ACK, value)


def parse(packet: bytes) -> Init | InitAck | None:
    """The INIT or INIT ACK in a packet; None for any other packet, or a broken one."""
    if len(packet) < _PARAMETERS_AT:
        return None
    source_port, port, tag = _COMMON.unpack_from(packet)
    stored = int.from_bytes(packet[8:12], "little")
    if stored != crc32c(packet[:8] + bytes(4) + packet[12:]):
        return None
    kind, _, length = _CHUNK.unpack_from(packet, _CHUNK_AT)
    token = packet[_CHUNK_AT + 4 : _CHUNK_AT + 8] + packet[_CHUNK_AT + 16 : _CHUNK_AT + 20]
    if length < _CHUNK.size + _INIT.size or _CHUNK_AT + length > len(packet):
        return None
    if kind == _TYPE_INIT:
        return Init(source_port, port, token) if tag == 0 else None
    # RFC 9260, 5.1: the verification tag of an INIT ACK is the initiate tag of the INIT.
    if kind != _TYPE_INIT_ACK or packet[4:8] != token[:4]:
        return None
    return InitAck(source_port, port, token, _cookie(packet[_PARAMETERS_AT : _CHUNK_AT + length]))


def _cookie(parameters: bytes) -> bytes:
    if len(parameters) < _PARAMETER.size:
        return b""
    kind, length = _PARAMETER.unpack_from(parameters)
    return parameters[_PARAMETER.size : length] if kind == _STATE_COOKIE else b""


def _packet(source_port: int, port: int, tag: int, kind: int, value: bytes) -> bytes:
    head = _COMMON.pack(source_port, port, tag)
    # RFC 9260, 3.2: the length of a chunk leaves out the padding behind its last parameter.
    chunk = _CHUNK.pack(kind, 0, _CHUNK.size + len(value)) + value + bytes(-len(value) % 4)
    return head + crc32c(head + bytes(4) + chunk).to_bytes(4, "little") + chunk
