"""One rule of nft text as statements: a small recursive descent over the words of a line.

Every function raises ValueError for words that it does not know; the rule as a whole is `Opaque` then.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from outgate.nft.objects import (
    ChainRule,
    Compare,
    Counter,
    Dnat,
    Field,
    Judgement,
    Limit,
    Log,
    Lookup,
    MarkPacket,
    Reject,
    SetZone,
    SourcePorts,
    StampMark,
    Statement,
    Tproxy,
    VerdictMap,
)
from outgate.nft.spelling import FIELD_KIND, STATES, Kind, checked_name, read_value, unescape

__all__ = ["REJECT_CODES", "Word", "compared", "rule_of", "stamped", "verdict_of"]

_ALL = 0xFFFF_FFFF
_FIELDS = {tuple(field.value.split()): field for field in Field}
_FIELDS |= {("meta", "iifname"): Field.IIFNAME, ("meta", "oifname"): Field.OIFNAME}
# Commas are words of their own.
_FIELDS |= {("@th", ",", "64", ",", "128"): Field.ND_TARGET, ("icmpv6", "taddr"): Field.ND_TARGET}

REJECT_CODES = {"0": "no-route", "1": "port-unreachable", "2": "host-unreachable", "3": "admin-prohibited"}
"""Numeric listing of ``reject with icmpx``: NFT_REJECT_ICMPX_… of the kernel."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a rule; `quoted` for a string, which is never a keyword."""

    text: str
    quoted: bool = False


def rule_of(words: Sequence[Word]) -> ChainRule:
    """The rule that a line says. Raises ValueError for words without a meaning here."""
    return _Line(words).rule()


def verdict_of(words: Sequence[str]) -> Judgement:
    """``accept``, ``goto CHAIN`` and so on. Raises ValueError for anything else."""
    match list(words):
        case [("accept" | "drop" | "return") as act]:
            return Judgement(act)
        case [("jump" | "goto") as act, chain]:
            return Judgement(act, checked_name(chain))
    raise ValueError(f"no verdict: {words}")


def compared(field: Field, values: Sequence[str], *, negated: bool) -> Compare:
    """A field compared with the words of nft. Raises ValueError where they mean nothing for the field."""
    kind = FIELD_KIND[field]
    if kind is Kind.STATE:
        return Compare(field, mask=_states(values), negated=negated)
    if len(values) != 1:
        raise ValueError(f"one value is expected: {values}")
    if kind is Kind.MARK and "/" in values[0]:
        # A mask of leading ones is listed as if the mark were an address.
        word, _, length = values[0].partition("/")
        value = int(word, 0)
        return Compare(field, value, value, mask=_ALL << 32 - int(length) & _ALL, negated=negated)
    part = read_value(kind, values[0])
    if isinstance(part, str):
        return Compare(field, text=part, negated=negated)
    return Compare(field, part[0], part[1], negated=negated)


def _states(names: Sequence[str]) -> int:
    bits = 0
    for name in names:
        bit = STATES.get(name) or int(name, 0)
        if bit not in STATES.values():
            raise ValueError(f"no connection state: {name}")
        bits |= bit
    return bits


def stamped(keep: int, write: int) -> StampMark:
    """``ct mark set ct mark & keep | write``. The kernel adds the written bits to the kept ones when it lists."""
    mask = (keep ^ _ALL) | write
    if not mask or mask > _ALL:
        raise ValueError("a mark that is left as it is")
    return StampMark(mask, write)


_TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32}


def _flag(word: str) -> int:
    return _TCP_FLAGS.get(word) or int(word, 0)


class _Line:
    def __init__(self, words: Sequence[Word]) -> None:
        self.words = words
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        """A coming word; nothing where the line ends or a string stands."""
        index = self.at + ahead
        return self.words[index].text if index < len(self.words) and not self.words[index].quoted else ""

    def take(self, *wanted: str) -> bool:
        """Go past the words if they come next."""
        found = all(self.peek(index) == word for index, word in enumerate(wanted))
        self.at += len(wanted) if found else 0
        return found

    def word(self) -> str:
        text = self.peek()
        if not text:
            raise ValueError("the line ends too early")
        self.at += 1
        return text

    def string(self) -> str:
        if self.at >= len(self.words) or not self.words[self.at].quoted:
            raise ValueError("a string is expected")
        self.at += 1
        return self.words[self.at - 1].text

    def number(self) -> int:
        return int(self.word(), 0)

    def rule(self) -> ChainRule:
        statements: list[Statement] = []
        while self.at < len(self.words):
            if self.take("comment"):
                comment = self.string()
                if self.at < len(self.words):
                    raise ValueError("a comment ends a rule")
                return ChainRule(tuple(statements), unescape(comment))
            statements.append(self.statement())
        if not statements:
            raise ValueError("an empty rule")
        return ChainRule(tuple(statements))

    def statement(self) -> Statement:
        if self.take("counter"):
            return self.counter()
        if self.take("log", "prefix"):
            return self.log()
        if self.take("limit", "rate"):
            return self.limit()
        if self.take("reject"):
            return self.reject()
        if self.take("ct", "mark", "set"):
            return self.stamp("ct")
        if self.take("meta", "mark", "set"):
            one = self.stamp("meta")
            if one.mask == _ALL:
                raise ValueError("a whole mark, which is not ours")
            return MarkPacket(one.mask, one.value)
        if self.take("ct", "original", "zone", "set"):
            return SetZone(self.number())
        if self.take("tproxy"):
            return self.tproxy()
        if self.take("dnat"):
            return self.dnat()
        if self.take("snat"):
            return self.source_ports()
        if self.peek() in ("jump", "goto"):
            return verdict_of([self.word(), self.word()])
        if self.peek() in ("accept", "drop", "return"):
            return verdict_of([self.word()])
        return self.match()

    def counter(self) -> Counter:
        if not self.take("packets"):
            return Counter()
        packets = self.number()
        if not self.take("bytes"):
            raise ValueError("packets without bytes")
        return Counter(packets, self.number())

    def log(self) -> Log:
        prefix = self.string()
        if not self.take("group"):
            raise ValueError("a log without a group goes to the kernel's own log")
        group = self.number()
        return Log(prefix, group, self.number() if self.take("snaplen") else 0)

    def limit(self) -> Limit:
        rate, slash, unit = self.word().partition("/")
        if not slash or unit != "second":
            raise ValueError("a rate of another unit")
        burst = 5
        if self.take("burst"):
            burst = self.number()
            if not self.take("packets"):
                raise ValueError("a burst of another unit")
        return Limit(int(rate), burst)

    def reject(self) -> Reject:
        if not self.take("with"):
            return Reject("icmpx port-unreachable")
        if self.take("tcp", "reset"):
            return Reject("tcp reset")
        if not self.take("icmpx"):
            raise ValueError("a rejection of one family")
        self.take("type")
        code = self.word()
        code = REJECT_CODES.get(code, code)
        if code not in REJECT_CODES.values():
            raise ValueError(f"no rejection {code}")
        return Reject(f"icmpx {code}")

    def tproxy(self) -> Tproxy:
        family = 4 if self.take("ip") else 6
        if family == 6 and not self.take("ip6"):
            raise ValueError("a proxy of another family")
        host, colon, port = self.word().rpartition(":") if self.take("to") else ("", "", "")
        if not colon or host != {4: "127.0.0.1", 6: "[::1]"}[family]:
            raise ValueError("a proxy elsewhere")
        return Tproxy(family, int(port))

    def stamp(self, whose: str) -> StampMark:
        if not self.take(whose, "mark"):
            return StampMark(_ALL, self.number())
        keep = self.number() if self.take("&") else _ALL
        return stamped(keep, self.number() if self.take("|") else 0)

    def dnat(self) -> Dnat:
        family = self.word()
        if family not in ("ip", "ip6") or not self.take("to"):
            raise ValueError("a destination of no family")
        address, colon, port = self.word().rpartition(":")
        if not colon or address.startswith("[") != (family == "ip6"):
            raise ValueError("a destination without a port")
        return Dnat(ipaddress.ip_address(address.strip("[]")), int(port))

    def source_ports(self) -> SourcePorts:
        host, colon, ports = self.word().rpartition(":") if self.take("to") else ("", "", "")
        low, dash, high = ports.partition("-")
        if host or not colon or not dash:
            raise ValueError("another source than some ports")
        return SourcePorts(int(low), int(high))

    def match(self) -> Statement:
        fields = [self.field()]
        while self.take("."):
            fields.append(self.field())
        if self.take("vmap"):
            return VerdictMap(tuple(fields), self.set_name())
        if self.take("&"):
            return self.masked(fields)
        negated = self.peek() in ("!=", "!")
        if negated or self.peek() == "==":
            self.at += 1
        if self.peek().startswith("@"):
            return Lookup(tuple(fields), self.set_name(), negated)
        if len(fields) != 1:
            raise ValueError("a concatenation is only looked up")
        values = self.values()
        if fields[0] is Field.TCP_FLAGS and self.take("/"):
            value = sum(map(_flag, values))
            return Compare(fields[0], value, value, mask=sum(map(_flag, self.values())), negated=negated)
        if negated and len(values) > 1 and self.words[self.at - 2 * len(values)].text == "!=":
            raise ValueError("compares the whole word of bits, not any of them")
        return compared(fields[0], values, negated=negated)

    def field(self) -> Field:
        for length in (5, 3, 2, 1):
            found = _FIELDS.get(tuple(self.peek(index) for index in range(length)))
            if found is not None:
                self.at += length
                return found
        raise ValueError(f"no field {self.peek()!r}")

    def set_name(self) -> str:
        name = self.word()
        if not name.startswith("@"):
            raise ValueError(f"no set {name!r}")
        return checked_name(name[1:])

    def values(self) -> list[str]:
        first = self.words[self.at].text if self.at < len(self.words) else ""
        self.at += 1
        values = [first]
        while self.take(","):
            values.append(self.word())
        return values

    def masked(self, fields: Sequence[Field]) -> Compare:
        """``ct mark & M == V``, and ``ct state & (a|b) == 0`` for none of the states."""
        word, operator, value = self.word(), self.word(), self.number()
        if operator not in ("==", "!=") or len(fields) != 1:
            raise ValueError(f"no comparison {operator}")
        negated = operator == "!="
        if fields[0] is Field.CT_STATE and value == 0:
            return Compare(fields[0], mask=_states(word.strip("()").split("|")), negated=not negated)
        if fields[0] not in (Field.CT_MARK, Field.META_MARK, Field.TCP_FLAGS):
            raise ValueError(f"{fields[0].value} has no mask")
        return Compare(fields[0], value, value, mask=int(word, 0), negated=negated)
