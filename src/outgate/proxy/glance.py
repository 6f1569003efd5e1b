"""What the proxy needs of a message, read in one pass over its bytes: who asks for what, and what an answer teaches.

`dns` reads messages whole and makes values of everything; that costs several times as much as carrying the message.
Here a question is its name and type, and an answer is the addresses that it gives to the name that was *asked*:

    asked ─CNAME─► ... ─CNAME─► last name ─► A, AAAA, and the address hints of SVCB and HTTPS

Only records that this chain leads to teach anything; whatever else stands in an answer belongs to no question. What
comes from the network is hostile: nothing is raised, nothing read twice, and a name follows a bounded number of
pointers, which lead backwards only. The bytes themselves are passed on as they came.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from outgate.proxy import dns
from outgate.proxy.dns import RecordType, ResponseCode

__all__ = ["Asked", "Taught", "answers", "glance_answer", "glance_question", "refusal", "with_number"]

_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")
_FIRST = _HEADER.size
_RESPONSE, _OPCODE, _CODE = 0x8000, 0x7800, 0x000F
_KEPT_OF_A_QUESTION = 0x7910
"""Opcode, RD and CD: what an answer repeats of its question's flags (RFC 1035, 4.1.1; RFC 4035, 3.2.2)."""
_POINTER = 0xC0
_MOST_HOPS = 32
"""Pointers that one name may follow. A writer needs one, and none needs more than a name has labels."""
_LONGEST_CHAIN = 16
_LONGEST_NAME = 255
"""Octets, the root among them (RFC 1035, 2.3.4)."""
_NAMES = 4096
"""Octets of names that are read of one answer, beside twice its own length. Each of thousands of records can point into
a name of 250 octets: nobody writes so, and to read it takes seconds in which no other question is answered."""
_MOST_ADDRESSES = 1000
"""Addresses that one answer gives, as many as are remembered of a name (`learned.Limits`). A record of hints has room
for sixteen thousand, and each would go to the kernel."""
_A, _CNAME, _AAAA = int(RecordType.A), int(RecordType.CNAME), int(RecordType.AAAA)
_BINDINGS = (int(RecordType.SVCB), int(RecordType.HTTPS))
_SIZES = {_A: 4, _AAAA: 16}

_TEXT = bytes(octet for octet in range(0x21, 0x7F) if octet != 0x2E)
"""What a label may consist of: printable, and no dot, or it would look like two (`dns`)."""


class Asked(NamedTuple):
    """A question that may be passed on."""

    name: str
    """In lower case, without the last dot."""
    type: int
    internet: bool
    """Of the class IN."""
    section: bytes
    """The question section with its name in lower case: what an answer has to repeat."""


class Taught(NamedTuple):
    """What an answer says about the name that was asked."""

    addresses: tuple[bytes, ...]
    """Of four or sixteen octets, each once: the first ones, where there are very many."""
    ttl: int
    """Seconds: the lowest of the chain and of the addresses."""


NOTHING = Taught((), 0)


class _Known(dict[int, bytes]):
    """Names that have been read, by where they begin."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left
        """Octets that may still be read."""


def glance_question(data: bytes) -> Asked | ResponseCode:
    """The question of a query, or the code that it is answered with instead.

    One question of any type and class, opcode QUERY, and no answer; what else a message may be is not implemented.
    """
    if len(data) < _FIRST:
        return ResponseCode.FORMAT_ERROR
    _, flags, questions, answered, authorities, _ = _HEADER.unpack_from(data)
    if flags & _RESPONSE:
        return ResponseCode.FORMAT_ERROR
    if flags & _OPCODE:
        return ResponseCode.NOT_IMPLEMENTED
    if questions != 1 or answered or authorities:
        return ResponseCode.FORMAT_ERROR
    labels = []
    at = _FIRST
    try:
        while length := data[at]:
            if length > 63:
                return ResponseCode.FORMAT_ERROR
            labels.append(data[at + 1 : at + 1 + length])
            at += length + 1
    except IndexError:
        return ResponseCode.FORMAT_ERROR
    end = at + 5
    plain = b"".join(labels)
    if end > len(data) or at >= _FIRST + _LONGEST_NAME or plain.translate(None, _TEXT):
        return ResponseCode.FORMAT_ERROR
    name = b".".join(labels).lower().decode("ascii")
    # The name alone is put in lower case: 65, HTTPS, is a capital letter too.
    section = data[_FIRST:at].lower() + data[at:end]
    return Asked(name, data[at + 1] << 8 | data[at + 2], data[at + 3 : end] == b"\0\1", section)


def answers(data: bytes, asked: Asked) -> bool:
    """Whether a message is a response that repeats exactly this question, in whatever case."""
    section = asked.section
    end = _FIRST + len(section)
    # In the third octet QR and the opcode, which is QUERY; then how many questions there are.
    if len(data) < end or data[2] & 0xF8 != 0x80 or data[4] or data[5] != 1:
        return False
    if data.startswith(section, _FIRST):
        return True
    said = data[_FIRST:end]
    return said[:-4].lower() == section[:-4] and said[-4:] == section[-4:]


def glance_answer(data: bytes, asked: Asked) -> Taught | None:
    """What a response to a question teaches; None where it cannot be read. `answers` has been asked before.

    A response with an error, or without an address at the end of the chain, teaches nothing.
    """
    _, flags, _, count, _, _ = _HEADER.unpack_from(data)
    if flags & _CODE or not asked.internet:
        return NOTHING
    aliases: dict[bytes, tuple[bytes, int]] = {}
    given: dict[bytes, list[tuple[int, bytes, int]]] = {}
    first = asked.section[:-5]
    known = _Known(_NAMES + 2 * len(data))
    known[_FIRST] = first
    at = _FIRST + len(asked.section)
    try:
        for _ in range(count):
            owner, at = _name(data, at, known)
            kind, klass, ttl, length = _RECORD.unpack_from(data, at)
            at += 10
            end = at + length
            if end > len(data) or (kind in _SIZES and klass == 1 and length != _SIZES[kind]):
                return None
            # RFC 2181, 8: "a TTL value received with the most significant bit set" is to be treated as zero.
            ttl = 0 if ttl & 0x8000_0000 else ttl
            if klass == 1 and kind == _CNAME:
                aliases[owner] = _name(data, at, known)[0], ttl
            elif klass == 1 and (kind in _SIZES or kind in _BINDINGS):
                given.setdefault(owner, []).append((kind, data[at:end], ttl))
            at = end
        return _follow(first, aliases, given)
    except (IndexError, struct.error, dns.Malformed):
        return None


def _follow(
    name: bytes, aliases: dict[bytes, tuple[bytes, int]], given: dict[bytes, list[tuple[int, bytes, int]]]
) -> Taught:
    """What stands at the end of a chain. One that is longer than any is a circle, and has no end."""
    ttls: list[int] = []
    while name in aliases:
        if len(ttls) == _LONGEST_CHAIN:
            return NOTHING
        name, ttl = aliases[name]
        ttls.append(ttl)
    found: dict[bytes, None] = {}
    for kind, data, ttl in given.get(name, ()):
        if len(found) >= _MOST_ADDRESSES:
            break
        ttls.append(ttl)
        if kind in _SIZES:
            found[data] = None
        else:
            found.update(dict.fromkeys(dns.address_hints(data)))
    return Taught(tuple(found)[:_MOST_ADDRESSES], min(ttls)) if found else NOTHING


def _name(data: bytes, at: int, known: _Known) -> tuple[bytes, int]:
    """A name as it is written without pointers, in lower case and without the root, and the offset behind it.

    Lengths are at most 63 and so no letters. Labels may have any bytes: no rule is asked about these names, they are
    only compared with each other. Raises `Malformed`, IndexError.
    """
    begin = at
    if data[at] >= _POINTER:
        found = known.get((data[at] & 0x3F) << 8 | data[at + 1])
        if found is not None:
            return found, at + 2
    written = b""
    behind, lowest, hops = -1, at, 0
    while length := data[at]:
        if length < 64:
            written += data[at : at + 1 + length]
            at += length + 1
            if at >= len(data) or len(written) >= _LONGEST_NAME:
                raise dns.Malformed("a name is cut or too long")
            continue
        target = (length & 0x3F) << 8 | data[at + 1]
        behind = at + 2 if behind < 0 else behind
        hops += 1
        if length < _POINTER or not _FIRST <= target < lowest or hops > _MOST_HOPS:
            raise dns.Malformed("a pointer that does not lead backwards, or one of too many")
        at = lowest = target
    known.left -= len(written) + hops
    if known.left < 0:
        raise dns.Malformed("names without end")
    name = known[begin] = written.lower()
    return name, (at + 1 if behind < 0 else behind)


def with_number(data: bytes, number: int) -> bytes:
    """The same message under another id."""
    return number.to_bytes(2, "big") + data[2:]


def refusal(query: bytes, code: ResponseCode, asked: Asked | None = None) -> bytes:
    """The answer to a query that is not passed on: its header and, where it could be read, its question."""
    number, flags = struct.unpack_from("!HH", query.ljust(4, b"\0"))
    question = query[_FIRST : _FIRST + len(asked.section)] if asked is not None else b""
    head = _HEADER.pack(number, _RESPONSE | flags & _KEPT_OF_A_QUESTION | code, 1 if question else 0, 0, 0, 0)
    return head + question
