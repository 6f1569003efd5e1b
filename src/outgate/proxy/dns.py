"""DNS messages, read strictly and written plainly (RFC 1035, section 4).

A message from the network is hostile until it is read: every length is checked against what is there,
a compression pointer may only lead backwards (so reading ends), and a name that does not fit the 255
octets of section 2.3.4 is refused. What cannot be read raises `Malformed`; nothing else is ever raised.

Names are text without the last dot, in the case in which they came: a client that mixes cases to make
forgery harder wants its own spelling back. A label with a dot or a byte that is not printable ASCII is
refused: as text it would look like another name, and a rule about names would be fooled.
"""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
import struct
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "INTERNET",
    "LARGEST_UDP",
    "Malformed",
    "Message",
    "Question",
    "Record",
    "RecordType",
    "ResponseCode",
    "address_hints",
    "answer",
    "decode",
    "encode",
    "frame",
    "query",
    "unframe",
]

INTERNET = 1
"""The class IN; no other is spoken here."""

LARGEST_UDP = 512
"""Octets of a message over UDP without EDNS (RFC 1035, 2.3.4); a longer answer is cut and marked so."""

_HEADER = struct.Struct("!HHHHHH")
_AFTER_NAME = struct.Struct("!HHIH")
_TYPE_AND_CLASS = struct.Struct("!HH")
_LONGEST_NAME = 255
_LONGEST_LABEL = 63
_POINTER = 0xC0

_HINTS = {4: 4, 6: 16}
"""The keys ``ipv4hint`` and ``ipv6hint``, and the octets of one address."""

_RESPONSE, _AUTHORITATIVE, _TRUNCATED = 0x8000, 0x0400, 0x0200
_RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x0100, 0x0080


class Malformed(ValueError):
    """Bytes that are not a DNS message, or a message that cannot be written."""


class RecordType(enum.IntEnum):
    """The record types that have a meaning here. All but A, AAAA and CNAME are carried as bytes."""

    A = 1
    CNAME = 5
    AAAA = 28
    OPT = 41
    """Not a record: what a side can do (RFC 6891)."""
    SVCB = 64
    HTTPS = 65


_UNDERSTOOD = (RecordType.A, RecordType.AAAA, RecordType.CNAME)


class ResponseCode(enum.IntEnum):
    """RFC 1035, 4.1.1, RCODE."""

    NO_ERROR = 0
    FORMAT_ERROR = 1
    SERVER_FAILURE = 2
    NAME_ERROR = 3
    NOT_IMPLEMENTED = 4
    REFUSED = 5


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `type` and `klass` are numbers, because a client may ask for anything."""

    name: str
    type: int
    klass: int = INTERNET


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record. `data` is an address for A and AAAA, a name for CNAME, and bytes for all else."""

    name: str
    type: int
    data: ipaddress.IPv4Address | ipaddress.IPv6Address | str | bytes
    ttl: int = 5
    klass: int = INTERNET


@dataclass(frozen=True, slots=True)
class Message:
    """A query or a response. Of what was read the authority section is not kept."""

    id: int
    response: bool = False
    opcode: int = 0
    authoritative: bool = False
    truncated: bool = False
    recursion_desired: bool = True
    recursion_available: bool = False
    code: int = 0
    questions: tuple[Question, ...] = ()
    answers: tuple[Record, ...] = ()
    extras: tuple[Record, ...] = ()
    """The additional section."""

    @property
    def udp_limit(self) -> int:
        """Octets of an answer over UDP that its sender takes. RFC 6891, 6.2.3: below 512 means 512."""
        sizes = (one.klass for one in self.extras if one.type == RecordType.OPT and not one.name)
        return max(LARGEST_UDP, next(sizes, LARGEST_UDP))

    @property
    def addresses(self) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...]:
        """The addresses of all A and AAAA answers, in their order."""
        return tuple(one.data for one in self.answers if not isinstance(one.data, str | bytes))


def query(number: int, name: str, kind: RecordType) -> bytes:
    """A question for one name. Raises `Malformed` for a name that cannot be written."""
    return encode(Message(number, questions=(Question(name, kind),)))


def answer(
    asked: Message, answers: Iterable[Record], code: ResponseCode = ResponseCode.NO_ERROR, *, limit: int = 65535
) -> bytes:
    """The response to a query. One that is longer than `limit` octets loses its answers and is marked truncated."""
    response = Message(
        asked.id,
        response=True,
        opcode=asked.opcode,
        authoritative=True,
        recursion_desired=asked.recursion_desired,
        code=code,
        questions=asked.questions,
        answers=tuple(answers),
    )
    written = encode(response)
    if len(written) <= limit:
        return written
    # RFC 2181, 9: a client that sees TC "should ignore that response, and query again, using [...] TCP".
    return encode(dataclasses.replace(response, truncated=True, answers=()))


def decode(data: bytes) -> Message:
    """Reads one message, to its last octet.

    Raises:
        Malformed: the bytes are not exactly one DNS message.
    """
    try:
        number, flags, questions, answers, authorities, extras = _HEADER.unpack_from(data)
    except struct.error as error:
        raise Malformed("shorter than a header") from error
    at = _HEADER.size
    asked: list[Question] = []
    for _ in range(questions):
        name, at = _read_name(data, at)
        kind, klass = _unpack(_TYPE_AND_CLASS, data, at)
        at += _TYPE_AND_CLASS.size
        asked.append(Question(name, kind, klass))
    found: list[Record] = []
    for _ in range(answers + authorities + extras):
        record, at = _read_record(data, at)
        found.append(record)
    if at != len(data):
        raise Malformed(f"{len(data) - at} octets behind the message")
    return Message(
        number,
        response=bool(flags & _RESPONSE),
        opcode=flags >> 11 & 15,
        authoritative=bool(flags & _AUTHORITATIVE),
        truncated=bool(flags & _TRUNCATED),
        recursion_desired=bool(flags & _RECURSION_DESIRED),
        recursion_available=bool(flags & _RECURSION_AVAILABLE),
        code=flags & 15,
        questions=tuple(asked),
        answers=tuple(found[:answers]),
        extras=tuple(found[answers + authorities :]),
    )


def encode(message: Message) -> bytes:
    """Writes a message without compression.

    Raises:
        Malformed: a name or a number does not fit.
    """
    flags = (
        (_RESPONSE if message.response else 0)
        | message.opcode << 11
        | (_AUTHORITATIVE if message.authoritative else 0)
        | (_TRUNCATED if message.truncated else 0)
        | (_RECURSION_DESIRED if message.recursion_desired else 0)
        | (_RECURSION_AVAILABLE if message.recursion_available else 0)
        | message.code
    )
    try:
        parts = [_HEADER.pack(message.id, flags, *map(len, (message.questions, message.answers, (), message.extras)))]
        for question in message.questions:
            parts += [_written(question.name), _TYPE_AND_CLASS.pack(question.type, question.klass)]
        for record in (*message.answers, *message.extras):
            data = _record_data(record)
            parts += [_written(record.name), _AFTER_NAME.pack(record.type, record.klass, record.ttl, len(data)), data]
    except struct.error as error:
        raise Malformed(str(error)) from error
    return b"".join(parts)


def address_hints(data: bytes) -> tuple[bytes, ...]:
    """The addresses in a record of type SVCB or HTTPS, as octets (RFC 9460, 7.3: ``ipv4hint``, ``ipv6hint``).

    None in alias mode. Raises `Malformed`; 2.2 asks that a record be refused whose keys do not rise.
    """
    priority = int.from_bytes(data[:2], "big")
    _, at = _read_name(bytes(_HEADER.size) + data, _HEADER.size + 2)
    at -= _HEADER.size
    found: list[bytes] = []
    last = -1
    while at < len(data):
        key, length = _unpack(_TYPE_AND_CLASS, data, at)
        value = data[at + 4 : at + 4 + length]
        at += 4 + length
        if key <= last or at > len(data):
            raise Malformed("parameters that are cut or not in their order")
        last = key
        if size := _HINTS.get(key):
            if not value or len(value) % size:
                raise Malformed("a hint that is no list of addresses")
            found += (value[begin : begin + size] for begin in range(0, len(value), size))
    return tuple(found) if priority else ()


def frame(message: bytes) -> bytes:
    """A message for TCP, its length in front (RFC 1035, 4.2.2)."""
    return struct.pack("!H", len(message)) + message


def unframe(received: bytes) -> tuple[bytes | None, bytes]:
    """The first whole message of a TCP stream, or None while it is not complete, and what follows it."""
    if len(received) < 2:
        return None, received
    end = 2 + int.from_bytes(received[:2], "big")
    return (received[2:end], received[end:]) if len(received) >= end else (None, received)


def _unpack(form: struct.Struct, data: bytes, at: int) -> tuple[int, ...]:
    try:
        return form.unpack_from(data, at)
    except struct.error as error:
        raise Malformed("ends too early") from error


def _read_record(data: bytes, at: int) -> tuple[Record, int]:
    name, at = _read_name(data, at)
    kind, klass, ttl, length = _unpack(_AFTER_NAME, data, at)
    at += _AFTER_NAME.size
    end = at + length
    if end > len(data):
        raise Malformed("a record is longer than the message")
    raw = data[at:end]
    if klass != INTERNET or kind not in _UNDERSTOOD:
        return Record(name, kind, raw, ttl, klass), end
    if kind == RecordType.CNAME:
        target, used = _read_name(data, at)
        if used != end:
            raise Malformed("a CNAME is not exactly one name")
        return Record(name, kind, target, ttl), end
    family: type[ipaddress.IPv4Address | ipaddress.IPv6Address]
    family, size = (ipaddress.IPv4Address, 4) if kind == RecordType.A else (ipaddress.IPv6Address, 16)
    if length != size:
        raise Malformed(f"an address of {length} octets")
    return Record(name, kind, family(raw), ttl), end


def _read_name(data: bytes, at: int) -> tuple[str, int]:
    """A name, and the offset behind it where it was written (not where its pointers led)."""
    labels: list[str] = []
    behind, earliest, size = -1, at, 1
    while True:
        if at >= len(data):
            raise Malformed("a name ends too early")
        length = data[at]
        if length & _POINTER == _POINTER:
            if at + 2 > len(data):
                raise Malformed("a pointer ends too early")
            behind = at + 2 if behind < 0 else behind
            target = int.from_bytes(data[at : at + 2], "big") & 0x3FFF
            # RFC 1035, 4.1.4: a pointer leads to "a prior occurance" of a name; this also makes every chain end.
            if target >= earliest or target < _HEADER.size:
                raise Malformed("a pointer does not lead backwards")
            at = earliest = target
            continue
        if length & _POINTER:
            raise Malformed("a label of a reserved kind")
        at += 1
        if not length:
            return ".".join(labels), at if behind < 0 else behind
        label = data[at : at + length]
        size += length + 1
        if len(label) != length or size > _LONGEST_NAME:
            raise Malformed("a name is cut or too long")
        labels.append(_label_text(label))
        at += length


def _label_text(label: bytes) -> str:
    if not all(0x21 <= octet <= 0x7E and octet != 0x2E for octet in label):
        raise Malformed("a label that is not plain text")
    return label.decode("ascii")


def _written(name: str) -> bytes:
    if not name:
        return b"\0"
    parts = []
    for text in name.split("."):
        try:
            label = text.encode("ascii")
        except UnicodeEncodeError as error:
            raise Malformed(f"not ASCII: {name!r}") from error
        if not 0 < len(label) <= _LONGEST_LABEL:
            raise Malformed(f"a label is empty or too long: {name!r}")
        _label_text(label)
        parts.append(bytes((len(label),)) + label)
    written = b"".join(parts) + b"\0"
    if len(written) > _LONGEST_NAME:
        raise Malformed(f"longer than 255 octets: {name!r}")
    return written


def _record_data(record: Record) -> bytes:
    if isinstance(record.data, str):
        return _written(record.data)
    return record.data if isinstance(record.data, bytes) else record.data.packed
