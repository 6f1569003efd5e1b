"""What the kernel makes of a packet: an interpreter of the rules, the proof partner of `compile`.

Written from the behaviour of nf_tables, not from ours: a base chain is asked after the other in order of priority,
`accept` ends only the one it stands in, `drop` ends all; `goto` forgets the chain it leaves, `jump` comes
back behind its rule; `return` in a base chain is its policy; a rule ends, without a verdict, at the first
expression that does not hold or has nothing to look at (NFT_BREAK), so ``tcp dport != 80`` is false for UDP and
for a negated lookup of an address of the other family too.

A packet's rate, and what a log or counter does with it, change no verdict: `Limit` is taken as not exceeded.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from outgate.nft.canonical import IMPLIED_FAMILY, IMPLIED_PROTOCOL
from outgate.nft.icmp_lines import answer_type
from outgate.nft.objects import (
    LOCAL,
    Chain,
    ChainRule,
    Compare,
    CtState,
    Dnat,
    Field,
    Judgement,
    KeyPart,
    Lookup,
    MarkPacket,
    NftSet,
    Opaque,
    Reject,
    Ruleset,
    SetKey,
    StampMark,
    Statement,
    Tproxy,
    VerdictMap,
)
from outgate.packets import Packet, Protocol

__all__ = ["CtDirection", "Evaluator", "Fate", "Header", "Outcome", "Step", "evaluate"]

_NFPROTO = {4: 2, 6: 10}
_UNICAST = 1
_ALL = 0xFFFF_FFFF
_OF_CONNECTIONS = (Field.CT_DIRECTION, Field.CT_MARK, Field.CT_STATUS, Field.ORIGINAL_ZONE)
_DEEPEST = 16
"""NFT_JUMP_STACK_SIZE: the kernel refuses rulesets that jump deeper."""


class Fate(enum.Enum):
    """What becomes of a packet."""

    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"


class CtDirection(enum.IntEnum):
    """Which side of its connection a packet comes from (IP_CT_DIR_ORIGINAL, IP_CT_DIR_REPLY)."""

    ORIGINAL = 0
    REPLY = 1


@dataclass(frozen=True, slots=True)
class Header:
    """What a packet shows to the rules.

    `sport` and `dport` are the first and second 16 bits behind the IP header, whatever the protocol makes of
    them; None where the packet is shorter. The kernel's ``th dport`` reads those bits of any protocol: of
    ICMP, the checksum. No rule may depend on them, so `of` fills in what the caller likes.
    """

    family: int
    saddr: int
    daddr: int
    protocol: int
    sport: int | None = None
    dport: int | None = None
    icmp_type: int | None = None
    iifname: str = ""
    oifname: str = ""
    state: CtState = CtState.NEW
    direction: CtDirection = CtDirection.ORIGINAL
    mark: int = 0
    """The connection's mark, not the packet's."""
    hop_limit: int = 64
    packet_mark: int = 0
    tcp_flags: int = 0x02
    """Of a TCP packet: the flags byte; the first of a connection has SYN alone."""
    transparent: bool = False
    """Whether a transparent socket of this node has the connection."""
    ether_daddr: int = 0x0200_0000_0001
    ether_saddr: int = 0x0200_0000_0002
    """The link-layer address it is sent to: by default somebody's."""
    status: int = 0
    """What connection tracking knows of it (IPS_DST_NAT is 32)."""
    zone: int = 0
    """Of connection tracking, in which the first packet of its connection was."""
    priority: int = 0
    """The traffic class that its socket gave it (SO_PRIORITY)."""

    @classmethod
    def of(cls, packet: Packet, *, noise: int | None = None) -> Header:
        """The first packet of a connection. `noise` stands where a protocol without ports has other bits."""
        ports = packet.protocol in (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
        icmp = packet.protocol in (Protocol.ICMP, Protocol.ICMPV6)
        first = packet.coordinate if icmp else noise
        return cls(
            family=packet.family,
            saddr=int(packet.source),
            daddr=int(packet.destination),
            protocol=packet.protocol,
            sport=packet.source_port if ports else first,
            dport=packet.coordinate if ports else noise,
            icmp_type=packet.coordinate >> 8 if icmp else None,
        )

    def reply(self) -> Header:
        """A packet of the other side: addresses, ports and interfaces swapped, the connection established.

        Of ICMP the type is that of the answer, where the message has one.
        """
        return replace(
            self,
            icmp_type=answer_type(self.protocol, self.icmp_type),
            saddr=self.daddr,
            daddr=self.saddr,
            sport=self.dport,
            dport=self.sport,
            iifname=self.oifname,
            oifname=self.iifname,
            state=CtState.ESTABLISHED,
            direction=CtDirection.REPLY,
        )

    @property
    def tracked(self) -> bool:
        """Whether the packet belongs to a connection that the kernel knows."""
        return self.state not in (CtState.INVALID, CtState.UNTRACKED)


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that matched to its end and gave a verdict."""

    chain: str
    index: int
    comment: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fate of a packet, the connection mark it leaves behind, and the rules that decided, in order."""

    fate: Fate
    mark: int
    path: tuple[Step, ...] = ()
    packet_mark: int = 0
    proxied: bool = False
    """Whether it was given to the proxy's own socket."""
    led: tuple[int, int] | None = None
    """The address and port to which its connection is led instead."""


def evaluate(ruleset: Ruleset, hook: str, header: Header) -> Outcome:
    """One packet at one hook. For many packets make one `Evaluator`."""
    return Evaluator(ruleset).run(hook, header)


class Evaluator:
    """A ruleset made ready for many packets."""

    def __init__(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset
        self._sets = {name: _Index(one) for name, one in ruleset.sets.items()}

    def run(self, hook: str, header: Header) -> Outcome:
        """The outcome at one hook (prerouting, input, forward, output, postrouting): its base chains, by priority.

        Raises ValueError for a rule that is `Opaque` or refers to nothing.
        """
        # There is no outgoing device before routing, and no incoming one for the node's own packets; nor behind a
        # bridge's decision (net/bridge/br_forward.c, `br_forward_finish`: "net, sk, skb, NULL, skb->dev").
        if hook in ("prerouting", "input"):
            header = replace(header, oifname="")
        elif hook in ("output", "postrouting"):
            header = replace(header, iifname="")
        walk = _Walk(self.ruleset.chains, self._sets, header)
        # What comes to be delivered here is for one of this node's addresses, and what begins here is from one.
        walk.local = {Field.DADDR_TYPE: hook == "input", Field.SADDR_TYPE: hook == "output"}
        base = [chain for chain in self.ruleset.chains.values() if chain.hook and chain.hook.hook == hook]
        for chain in sorted(base, key=lambda chain: chain.hook.priority if chain.hook else 0):
            fate = walk.base_chain(chain)
            if fate is not Fate.ACCEPT:
                return walk.outcome(fate)
        return walk.outcome(Fate.ACCEPT)


class _Break(Exception):
    """The rule ends here: NFT_BREAK."""


class _Walk:
    """One packet on its way."""

    def __init__(self, chains: Mapping[str, Chain], sets: Mapping[str, _Index], header: Header) -> None:
        self.chains = chains
        self.sets = sets
        self.header = header
        self.mark, self.packet_mark = header.mark, header.packet_mark
        self.proxied = False
        self.local: Mapping[Field, bool] = {}
        self.path: list[Step] = []
        self.led: tuple[int, int] | None = None

    def outcome(self, fate: Fate) -> Outcome:
        """What has become of the packet."""
        return Outcome(fate, self.mark, tuple(self.path), self.packet_mark, self.proxied, self.led)

    def base_chain(self, chain: Chain) -> Fate:
        """nft_do_chain(): the verdict of a base chain and everything called from it."""
        stack: list[tuple[Chain, int]] = []
        index = 0
        while True:
            if index == len(chain.rules):
                if not stack:
                    return Fate.ACCEPT
                chain, index = stack.pop()
                continue
            verdict = self._rule(chain, index)
            index += 1
            match verdict:
                case None:
                    continue
                case Fate():
                    return verdict
                case Judgement("return"):
                    index = len(chain.rules)
                case Judgement("jump", name):
                    stack.append((chain, index))
                    chain, index = self._chain(name), 0
                case Judgement("goto", name):
                    chain, index = self._chain(name), 0
            if len(stack) >= _DEEPEST:
                raise ValueError(f"jumps deeper than {_DEEPEST}, at {chain.name}")

    def _chain(self, name: str) -> Chain:
        chain = self.chains.get(name)
        if chain is None:
            raise ValueError(f"no chain {name}")
        return chain

    def _rule(self, chain: Chain, index: int) -> Judgement | Fate | None:
        rule = chain.rules[index]
        try:
            verdict = self._statements(rule)
        except _Break:
            return None
        if verdict is not None:
            written = verdict.value if isinstance(verdict, Fate) else str(verdict)
            self.path.append(Step(chain.name, index, rule.comment, written))
        return _FATES.get(verdict, verdict) if isinstance(verdict, Judgement) else verdict

    def _statements(self, rule: ChainRule) -> Judgement | Fate | None:
        for statement in rule.statements:
            verdict = self._statement(statement)
            if verdict is not None:
                return verdict
        return None

    def _statement(self, statement: Statement) -> Judgement | Fate | None:
        match statement:
            case Compare():
                if not self._holds(statement):
                    raise _Break
            case Lookup(fields, name, negated):
                if (self._index(name).find(self._key(fields)) is None) != negated:
                    raise _Break
            case VerdictMap(fields, name):
                found = self._index(name).find(self._key(fields))
                if not isinstance(found, Judgement):
                    raise _Break
                return found
            case StampMark():
                self._stamp(statement)
            case Dnat(address, port):
                self.led = int(address), port
                return Fate.ACCEPT
            case MarkPacket(mask, value):
                self.packet_mark = (self.packet_mark & ~mask & _ALL) | value
            case Tproxy():
                self.proxied = True
            case Judgement():
                return statement
            case Reject():
                return Fate.REJECT
            case Opaque(text):
                raise ValueError(f"cannot evaluate {text}")
            case _:
                pass
        return None

    def _index(self, name: str) -> _Index:
        index = self.sets.get(name)
        if index is None:
            raise ValueError(f"no set {name}")
        return index

    def _key(self, fields: Sequence[Field]) -> tuple[int | str, ...]:
        return tuple(self._load(field) for field in fields)

    def _holds(self, compare: Compare) -> bool:
        value = self._load(compare.field)
        if isinstance(value, str):
            prefix = compare.text.endswith("*")
            found = value.startswith(compare.text[:-1]) if prefix else value == compare.text
        elif compare.field is Field.CT_STATE:
            found = bool(value & compare.mask)
        elif compare.field is Field.CT_STATUS:
            found = bool(value & compare.low)
        else:
            found = compare.low <= (value & compare.mask if compare.mask else value) <= compare.high
        return found != compare.negated

    def _load(self, field: Field) -> int | str:
        """The value of a field; breaks where the packet has none."""
        header = self.header
        if IMPLIED_FAMILY.get(field, _NFPROTO[header.family]) != _NFPROTO[header.family]:
            raise _Break
        if IMPLIED_PROTOCOL.get(field, header.protocol) != header.protocol:
            raise _Break
        if field in _OF_CONNECTIONS and not header.tracked:
            raise _Break
        value = self._read(field)
        if value is None:
            raise _Break
        return value

    def _read(self, field: Field) -> int | str | None:
        header = self.header
        match field:
            case Field.IP_SADDR | Field.IP6_SADDR:
                return header.saddr
            case Field.IP_DADDR | Field.IP6_DADDR:
                return header.daddr
            case Field.NFPROTO:
                return _NFPROTO[header.family]
            case Field.L4PROTO:
                return header.protocol
            case Field.TH_SPORT | Field.TCP_SPORT | Field.UDP_SPORT | Field.SCTP_SPORT:
                return header.sport
            case Field.TH_DPORT | Field.TCP_DPORT | Field.UDP_DPORT | Field.SCTP_DPORT:
                return header.dport
            case Field.ICMP_TYPE | Field.ICMPV6_TYPE:
                return header.icmp_type
            case Field.IP6_HOPLIMIT:
                return header.hop_limit
            case Field.IIFNAME:
                return header.iifname
            case Field.OIFNAME:
                return header.oifname
            case Field.CT_STATE:
                return int(header.state)
            case Field.CT_DIRECTION:
                return int(header.direction)
            case Field.CT_MARK:
                return self.mark
            case Field.CT_STATUS:
                return header.status
            case Field.ORIGINAL_ZONE:
                return header.zone
            case Field.PRIORITY:
                return header.priority
            case Field.META_MARK:
                return self.packet_mark
            case Field.TCP_FLAGS:
                return header.tcp_flags
            case Field.SOCKET_TRANSPARENT:
                return int(header.transparent)
            case Field.SADDR_TYPE | Field.DADDR_TYPE:
                return LOCAL if self.local[field] else _UNICAST
            case Field.ETHER_DADDR:
                return header.ether_daddr
            case Field.ETHER_SADDR:
                return header.ether_saddr
            case Field.ARP_SADDR | Field.ARP_DADDR | Field.ND_TARGET:
                return None  # a header is one of IP, and of ICMPv6 it has the type alone

    def _stamp(self, stamp: StampMark) -> None:
        # Written whole, the mark is set without being read; in part, it is read first, which breaks without one.
        if self.header.tracked:
            self.mark = (self.mark & ~stamp.mask & _ALL) | stamp.value
        elif stamp.mask != _ALL:
            raise _Break


_FATES: dict[Judgement | None, Judgement | Fate] = {
    Judgement("accept"): Fate.ACCEPT,
    Judgement("drop"): Fate.DROP,
}


class _Index:
    """Lookups in one set: exact keys by hash, ranges by a scan of those that begin low enough.

    Elements are disjoint, so at most one is found, and the order of the scan does not matter.
    """

    def __init__(self, one: NftSet) -> None:
        self.one = one

    @cached_property
    def _ranges(self) -> list[SetKey]:
        return [key for key in self.one.elements if any(isinstance(part, tuple) and part[0] != part[1] for part in key)]

    def find(self, key: tuple[int | str, ...]) -> Judgement | bool | None:
        """The verdict of the element with this key, True for a set without verdicts, None where there is none."""
        exact: SetKey = tuple(part if isinstance(part, str) else (part, part) for part in key)
        if exact in self.one.elements:
            return self.one.elements[exact] or True
        for ranges in self._ranges if self.one.interval else ():
            if all(_within(value, part) for value, part in zip(key, ranges, strict=True)):
                return self.one.elements[ranges] or True
        return None


def _within(value: int | str, part: KeyPart) -> bool:
    if isinstance(part, str) or isinstance(value, str):
        return value == part
    return part[0] <= value <= part[1]
