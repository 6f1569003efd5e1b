"""Changes of elements and of the epoch as nf_tables messages, and elements read back: bytes alone, no socket.

What moves in our table are elements of hash sets and verdict maps, and the rules of the chains `est` and `stamp`; only
that is spelt here, beside `nft.text`, and a transaction of anything else is left to nft(8). A set with intervals is
refused: its elements are pairs of borders, deleting from it takes time for every element, and none of ours changes.

    NEWSETELEM   table, set, elements: { { key: { value }, data: { verdict: { code, chain } } } ... }
    DELSETELEM   the same without data. Without elements it would empty the set, so it is never sent so
    DELRULE      table, chain: all rules of the chain
    NEWRULE      table, chain, expressions: { { name, data: { ... } } ... }

The parts of a key stand one behind the other, each filled up to four bytes where there are several
(NFT_REG32_SIZE); numbers are in network order, as packets have them. A mark is in the order of the machine.
Numbers of attributes are those of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from outgate.host.netlink_format import HEADER_LENGTH, NESTED, attribute, attributes, each_attribute, text
from outgate.nft.epoch import EST, STAMP
from outgate.nft.objects import (
    ACCEPT,
    DROP,
    RETURN,
    ChainRule,
    Compare,
    Field,
    Judgement,
    KeyPart,
    KeyType,
    NftSet,
    Ruleset,
    SetKey,
    StampMark,
    Statement,
    goto,
    jump,
)
from outgate.nft.spelling import checked_interface, checked_name
from outgate.nft.transaction import AddElements, AddRules, Command, DeleteElements, FlushChain, Transaction

__all__ = [
    "Generation",
    "Piece",
    "batch_header",
    "blamed",
    "can_carry",
    "encode",
    "generation_header",
    "read_elements",
    "read_generation",
    "set_request",
]

FAMILIES = {"inet": 1, "bridge": 7}
"""NFPROTO_INET and NFPROTO_BRIDGE, the families of our tables."""
SUBSYSTEM = 10
"""NFNL_SUBSYS_NFTABLES: the upper byte of every kind of message."""
NEWRULE, DELRULE, NEWSETELEM, GETSETELEM, DELSETELEM, NEWGEN, GETGEN = (
    SUBSYSTEM << 8 | kind for kind in (6, 8, 12, 13, 14, 15, 16)
)
BATCH_BEGIN, BATCH_END = 0x10, 0x11
_CREATE, _APPEND = 0x400, 0x800

_GENMSG = struct.Struct(">BBH")
GENMSG_LENGTH = _GENMSG.size
_ROOM = 60_000
"""Bytes of elements in one message: an attribute holds 65 531. What is longer goes on in the next message."""
_ALL = 0xFFFF_FFFF

_CODES = {"drop": 0, "accept": 1, "jump": -3, "goto": -4, "return": -5}
_SIMPLE = {0: DROP, 1: ACCEPT, -5: RETURN}
_WIDTHS = {
    KeyType.IPV4_ADDR: 4,
    KeyType.IPV6_ADDR: 16,
    KeyType.INET_PROTO: 1,
    KeyType.INET_SERVICE: 2,
    KeyType.IFNAME: 16,
    KeyType.ETHER_ADDR: 6,
    KeyType.CLASSID: 4,
}


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of a batch, without its header, and what it says, for the error that may come."""

    kind: int
    flags: int
    body: bytes
    command: Command
    keys: Sequence[SetKey] = ()
    """The elements that it holds, in their order."""


def can_carry(transaction: Transaction) -> bool:
    """Whether a transaction consists of what is spelt here alone."""
    return all(map(_carried, transaction.commands))


def _carried(command: Command) -> bool:
    match command:
        case AddElements(part) | DeleteElements(part):
            return not part.interval
        case FlushChain(name):
            return name in (EST, STAMP)
        case AddRules(name, rules):
            return name in (EST, STAMP) and all(map(_rule_is_carried, rules))
        case _:
            return False


def _rule_is_carried(rule: ChainRule) -> bool:
    return not rule.comment and bool(rule.statements) and all(map(_statement_is_carried, rule.statements))


def _statement_is_carried(statement: Statement) -> bool:
    match statement:
        case Compare(field=Field.CT_MARK, low=low, high=high, text=""):
            return low == high
        case StampMark() | Judgement():
            return True
        case _:
            return False


def encode(transaction: Transaction) -> Iterator[Piece]:
    """The messages of a transaction that can be carried, in its order.

    Raises ValueError for a value, a name or a rule that means nothing, as `nft.text` does.
    """
    ours = _OURS[transaction.family]
    for command in transaction.commands:
        match command:
            case AddElements(part):
                yield from _elements(command, part, NEWSETELEM, _CREATE, ours)
            case DeleteElements(part):
                yield from _elements(command, part, DELSETELEM, 0, ours)
            case FlushChain(name):
                yield Piece(DELRULE, 0, ours + _named(2, name), command)
            case AddRules(name, rules):
                chain = ours + _named(2, name)
                for rule in rules:
                    yield Piece(NEWRULE, _CREATE | _APPEND, chain + _rule(rule), command)
            case _:
                raise ValueError(f"nft(8) has to do this: {command}")


def generation_header() -> bytes:
    """The header of a message that is about no table."""
    return _GENMSG.pack(0, 0, 0)


class Generation(NamedTuple):
    """A state of a namespace's nftables, and who made it."""

    number: int
    process: int
    """The thread that asked for it, as the first process namespace of the machine counts: 0 where that is not told."""
    name: str
    """What that thread calls itself; anybody can call himself anything."""


def read_generation(body: bytes) -> Generation:
    """What an NFT_MSG_NEWGEN says."""
    found = attributes(body, GENMSG_LENGTH)
    number, process = (int.from_bytes(found.get(kind, b""), "big") for kind in (1, 2))
    return Generation(number, process, text(found.get(3, b"")))


def batch_header() -> bytes:
    """The header of a batch's begin and end; nfnetlink.h: its res_id is the subsystem."""
    return _GENMSG.pack(0, 0, SUBSYSTEM)


def set_request(name: str, family: str = "inet") -> bytes:
    """The body of a GETSETELEM for one of our sets."""
    return _OURS[family] + _named(2, name)


def blamed(piece: Piece, offset: int) -> SetKey | None:
    """The element of a message in which the attribute at fault stands, `offset` bytes from its header's begin.

    None where the kernel did not say, or meant the set and no element of it.
    """
    if len(piece.keys) < 2:
        return piece.keys[0] if piece.keys else None
    inside = offset - HEADER_LENGTH
    at = len(set_request(_set_of(piece))) + 4
    if inside < at:
        return None
    for key in piece.keys:
        (length,) = struct.unpack_from("=H", piece.body, at)
        at += (length + 3) & ~3
        if inside < at:
            return key
    return None


def _set_of(piece: Piece) -> str:
    command = piece.command
    return command.part.name if isinstance(command, AddElements | DeleteElements) else ""


# ---------------------------------------------------------------------------------------------------------------------
# Elements.


def _elements(command: Command, part: NftSet, kind: int, flags: int, ours: bytes) -> Iterator[Piece]:
    begin = ours + _named(2, part.name)
    with_data = kind == NEWSETELEM
    packed: list[bytes] = []
    keys: list[SetKey] = []
    size = 0
    for key, value in part.elements.items():
        one = _element(_key(part.key, key), value, part, with_data=with_data)
        if size + len(one) > _ROOM:
            yield Piece(kind, flags, begin + attribute(3 | NESTED, b"".join(packed)), command, keys)
            packed, keys, size = [], [], 0
        packed.append(one)
        keys.append(key)
        size += len(one)
    if packed:
        yield Piece(kind, flags, begin + attribute(3 | NESTED, b"".join(packed)), command, keys)


def _element(key: bytes, value: Judgement | None, part: NftSet, *, with_data: bool) -> bytes:
    if (value is not None) != part.is_map:
        raise ValueError(f"element of {part.name}: only maps have verdicts, and theirs always")
    data = _data(value) if with_data and value is not None else b""
    return _frame(len(key), len(data)) + key + bytes(-len(key) % 4) + data


@lru_cache(maxsize=64)
def _frame(key: int, data: int) -> bytes:
    """The three headers before a key: element { key { value; they hold lengths and nothing else that changes."""
    filled = (key + 3) & ~3
    return struct.pack("=6H", 12 + filled + data, 1 | NESTED, 8 + filled, 1 | NESTED, 4 + key, 1)


@lru_cache(maxsize=4096)
def _data(value: Judgement) -> bytes:
    """NFTA_SET_ELEM_DATA."""
    return attribute(2 | NESTED, _verdict(value))


def _key(kinds: Sequence[KeyType], key: SetKey) -> bytes:
    if len(key) != len(kinds):
        raise ValueError(f"a key of {len(key)} parts for {len(kinds)} types")
    if len(key) == 1:
        return _part(kinds[0], key[0])
    parts = [_part(kind, part) for kind, part in zip(kinds, key, strict=True)]
    return b"".join(part + bytes(-len(part) % 4) for part in parts)


def _part(kind: KeyType, part: KeyPart) -> bytes:
    width = _WIDTHS[kind]
    if isinstance(part, str):
        name = checked_interface(part)
        # IFNAMSIZ is 16 and counts the NUL; a star would be a range of names.
        if kind is not KeyType.IFNAME or name.endswith("*"):
            raise ValueError(f"{part!r} is no single value of type {kind.value}")
        return name.encode().ljust(width, b"\0")
    low, high = part
    if kind is KeyType.IFNAME or low != high or low < 0 or low >> 8 * width:
        raise ValueError(f"{low}-{high} is no single value of type {kind.value}")
    # A traffic class is the one number here that the kernel keeps in the order of the machine (nft: BYTEORDER_HOST).
    return low.to_bytes(width, sys.byteorder if kind is KeyType.CLASSID else "big")


@lru_cache(maxsize=4096)
def _verdict(value: Judgement) -> bytes:
    """NFTA_DATA_VERDICT."""
    code = _CODES.get(value.act)
    if code is None or (code in (-3, -4)) != bool(value.chain):
        raise ValueError(f"no verdict {value}")
    packed = attribute(1, struct.pack(">i", code))
    if value.chain:
        packed += _named(2, value.chain)
    return attribute(2 | NESTED, packed)


@lru_cache(maxsize=4096)
def _named(kind: int, name: str) -> bytes:
    return attribute(kind, checked_name(name).encode() + b"\0")


_OURS = {name: _GENMSG.pack(number, 0, 0) + _named(1, Ruleset().table) for name, number in FAMILIES.items()}


def read_elements(body: bytes, declaration: NftSet) -> Iterator[tuple[SetKey, Judgement | None]]:
    """The elements that an answer to `set_request` holds. Raises ValueError where they are not as declared."""
    widths = [_WIDTHS[one] for one in declaration.key]
    expected = widths[0] if len(widths) == 1 else sum((width + 3) & ~3 for width in widths)
    places: list[tuple[int, int, KeyType]] = []
    at = 0
    for one, width in zip(declaration.key, widths, strict=True):
        places.append((at, at + width, one))
        at += (width + 3) & ~3
    # How the kernel has been seen to begin an element: its key, whose value comes first. All else is looked through.
    usual = struct.pack("=4H", 8 + (expected + 3 & ~3), 1, 4 + expected, 1)
    for kind, payload in each_attribute(attributes(body, GENMSG_LENGTH).get(3, b"")):
        if kind != 1:
            continue
        found = None if payload.startswith(usual) and not declaration.is_map else attributes(payload)
        raw = payload[8 : 8 + expected] if found is None else attributes(found.get(1, b"")).get(1, b"")
        if len(raw) != expected:
            raise ValueError(f"a key of {len(raw)} bytes, where {expected} were declared")
        key: list[KeyPart] = []
        for begin, end, one in places:
            part = raw[begin:end]
            number = int.from_bytes(part, sys.byteorder if one is KeyType.CLASSID else "big")
            key.append(text(part) if one is KeyType.IFNAME else (number, number))
        yield tuple(key), None if found is None or not declaration.is_map else _read_verdict(found)


def _read_verdict(element: dict[int, bytes]) -> Judgement:
    return _judgement(attributes(element.get(2, b"")).get(2, b""))


@lru_cache(maxsize=4096)
def _judgement(raw: bytes) -> Judgement:
    """NFTA_DATA_VERDICT. Raises ValueError for one that no map of ours has."""
    found = attributes(raw)
    code = int.from_bytes(found[1], "big", signed=True) if 1 in found else None
    if code is not None and code in _SIMPLE:
        return _SIMPLE[code]
    if code not in (-3, -4):
        raise ValueError(f"no verdict of a map: {code}")
    return (jump if code == -3 else goto)(text(found.get(2, b"")))


# ---------------------------------------------------------------------------------------------------------------------
# Rules of the epoch. Register 1 holds the mark, register 0 the verdict.


def _rule(rule: ChainRule) -> bytes:
    if not _rule_is_carried(rule):
        raise ValueError(f"nft(8) has to write this rule: {rule}")
    steps = b"".join(step for statement in rule.statements for step in _steps(statement))
    return attribute(4 | NESTED, steps)


def _steps(statement: Statement) -> Iterator[bytes]:
    match statement:
        case Compare(low=value, mask=mask, negated=negated):
            if value & ~(mask or _ALL) or not 0 <= mask <= _ALL:
                raise ValueError(f"no packet can be compared so: {statement}")
            yield _LOAD_MARK
            if mask:
                yield _bitwise(mask, 0)
            operator = _number(2, 1 if negated else 0)
            yield _expression("cmp", _number(1, 1) + operator + attribute(3 | NESTED, attribute(1, _mark(value))))
        case StampMark(mask, value):
            if not 0 < mask <= _ALL or value & ~mask:
                raise ValueError(f"{statement} writes beyond its mask")
            if mask == _ALL:
                yield _expression("immediate", _number(1, 1) + attribute(2 | NESTED, attribute(1, _mark(value))))
            else:
                yield _LOAD_MARK
                yield _bitwise(mask ^ _ALL, value)
            yield _expression("ct", _number(2, _CT_MARK) + _number(4, 1))
        case Judgement():
            yield _expression("immediate", _number(1, 0) + attribute(2 | NESTED, _verdict(statement)))


def _bitwise(mask: int, xor: int) -> bytes:
    """Register 1 becomes (register 1 & mask) ^ xor."""
    parts = _number(1, 1) + _number(2, 1) + _number(3, 4)
    for kind, value in ((4, mask), (5, xor)):
        parts += attribute(kind | NESTED, attribute(1, _mark(value)))
    return _expression("bitwise", parts)


def _expression(name: str, data: bytes) -> bytes:
    return attribute(1 | NESTED, attribute(1, name.encode() + b"\0") + attribute(2 | NESTED, data))


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value))


def _mark(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)


_CT_MARK = 3
_LOAD_MARK = _expression("ct", _number(1, 1) + _number(2, _CT_MARK))
