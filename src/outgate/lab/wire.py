"""The bytes of a probe, and what comes back.

A request is a mark and a token that no other probe of the run has. The answer repeats the token and adds
who gives it: the number of the box, the port that was asked, and the source address that the server saw.
So an answer proves that bytes went both ways, that they met the party that was meant, and under which
address the client was known there.

The same bytes travel over TCP and UDP, as the payload of an ICMP echo and as the state cookie of an SCTP
INIT ACK. Where a DNS server listens, the token is asked for as a name instead (`as_name`), and the answer
is an address record of sixteen bytes that are no address.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from outgate.packets import Address

__all__ = [
    "ANSWER_SIZE",
    "REQUEST_SIZE",
    "TOKEN_SIZE",
    "Answer",
    "as_address",
    "as_name",
    "echo_request",
    "from_address",
    "name_token",
    "plain",
    "request",
    "token_of",
    "unfinished",
]

TOKEN_SIZE = 8
_ASK, _TELL = b"OGL?", b"OGL!"
_BODY = struct.Struct("!IH16sH")
REQUEST_SIZE = len(_ASK) + TOKEN_SIZE
ANSWER_SIZE = len(_TELL) + TOKEN_SIZE + _BODY.size

_ZONE = ".who.outgate.invalid"
"""RFC 2606, 2: names under ``.invalid`` exist nowhere."""

_AS_ADDRESS = struct.Struct("!4sIH6x")


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answers: the number of a box, the port that was asked there, and the client as it was seen."""

    token: bytes
    box: int
    port: int
    seen: Address
    seen_port: int = 0

    def packed(self) -> bytes:
        """The bytes that travel."""
        whole = self.seen if self.seen.version == 6 else ipaddress.IPv6Address(0xFFFF << 32 | int(self.seen))
        return _TELL + self.token + _BODY.pack(self.box, self.port, whole.packed, self.seen_port)

    @classmethod
    def unpacked(cls, data: bytes) -> Answer | None:
        """The answer at the beginning of some bytes; None where there is none."""
        if len(data) < ANSWER_SIZE or not data.startswith(_TELL):
            return None
        box, port, address, seen_port = _BODY.unpack_from(data, REQUEST_SIZE)
        return cls(data[len(_TELL) : REQUEST_SIZE], box, port, plain(ipaddress.IPv6Address(address)), seen_port)


def plain(address: ipaddress.IPv6Address) -> Address:
    """The IPv4 address behind a mapped one, as a socket of both families gives it; else the address itself."""
    return address.ipv4_mapped or address


def request(token: bytes) -> bytes:
    """The bytes that ask for an answer."""
    return _ASK + token


def token_of(data: bytes) -> bytes | None:
    """The token of a request; None where the bytes are no request."""
    return data[len(_ASK) : REQUEST_SIZE] if len(data) >= REQUEST_SIZE and data.startswith(_ASK) else None


def unfinished(data: bytes) -> bool:
    """Whether the bytes may still become a request: TCP may cut it anywhere."""
    return len(data) < REQUEST_SIZE and data[: len(_ASK)] == _ASK[: len(data)]


def as_name(token: bytes) -> str:
    """The name by which a DNS server is asked who it is."""
    return token.hex() + _ZONE


def name_token(name: str) -> bytes | None:
    """The token in such a name; None for any other name."""
    head, found, rest = name.lower().partition(".")
    if not found or f".{rest}" != _ZONE or len(head) != 2 * TOKEN_SIZE:
        return None
    try:
        return bytes.fromhex(head)
    except ValueError:
        return None


def as_address(box: int, port: int) -> ipaddress.IPv6Address:
    """Who answers, in the sixteen bytes of an AAAA record."""
    return ipaddress.IPv6Address(_AS_ADDRESS.pack(_TELL, box, port))


def from_address(address: Address) -> tuple[int, int] | None:
    """The box and port in such a record; None for a real address."""
    if address.version != 6 or not address.packed.startswith(_TELL):
        return None
    _, box, port = _AS_ADDRESS.unpack(address.packed)
    return box, port


def echo_request(family: int, number: int, token: bytes) -> bytes:
    """An ICMP or ICMPv6 echo request with the token as payload.

    `number` is its identifier, 0 to 65535. The checksum of ICMPv6 covers addresses and is left to the kernel.
    """
    kind = 8 if family == 4 else 128
    packet = struct.pack("!BBHHH", kind, 0, 0, number, 1) + request(token)
    return packet if family == 6 else packet[:2] + _checksum(packet) + packet[4:]


def _checksum(packet: bytes) -> bytes:
    """RFC 1071: the complement of the one's complement sum of all 16-bit words."""
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", total ^ 0xFFFF)
