"""The part of nftables that Outgate uses, as values.

One table, ``inet outgate``, and a small one beside it where pods are behind a bridge (`outgate.nft.guard`). Their
objects fall in two kinds, and the whole way of changing a ruleset without a leak rests on the difference:

    fixed    chains, block maps and port sets whose *name is made of their content*. They never change:
             another content is another name, created and filled before anything refers to it.
    moving   dispatch maps, peer sets and the epoch chains, whose names stay and whose elements come and
             go. They are hash sets (an element is in the old generation or in the new one, never
             half), so one transaction flips all of them at once.

Names are hashes and carry no text of a manifest; that stands in comments, escaped (`text`).
Terms are nft(8)'s own: a *set* holds keys, a *map* here always a verdict for each key.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from outgate.packets import Address

__all__ = [
    "ACCEPT",
    "DROP",
    "LOCAL",
    "RETURN",
    "Chain",
    "ChainRule",
    "Compare",
    "Counter",
    "CtState",
    "Dnat",
    "Field",
    "Hook",
    "Judgement",
    "KeyPart",
    "KeyType",
    "Limit",
    "Log",
    "Lookup",
    "MarkPacket",
    "NftSet",
    "Opaque",
    "Reject",
    "Ruleset",
    "SetKey",
    "SetZone",
    "SourcePorts",
    "StampMark",
    "Statement",
    "Tproxy",
    "VerdictMap",
    "among",
    "goto",
    "jump",
]


class Field(enum.Enum):
    """What a rule can look at. The value is nft's own spelling.

    The target of a neighbour solicitation or advertisement (RFC 4861, 4.4) has a name only since nft 1.0.9, ``icmpv6
    taddr``; it is the 128 bits behind the first 64 of ICMPv6.
    """

    IP_SADDR = "ip saddr"
    IP_DADDR = "ip daddr"
    IP6_SADDR = "ip6 saddr"
    IP6_DADDR = "ip6 daddr"
    NFPROTO = "meta nfproto"
    L4PROTO = "meta l4proto"
    TH_SPORT = "th sport"
    TH_DPORT = "th dport"
    TCP_SPORT = "tcp sport"
    TCP_DPORT = "tcp dport"
    UDP_SPORT = "udp sport"
    UDP_DPORT = "udp dport"
    SCTP_SPORT = "sctp sport"
    SCTP_DPORT = "sctp dport"
    ICMP_TYPE = "icmp type"
    ICMPV6_TYPE = "icmpv6 type"
    IP6_HOPLIMIT = "ip6 hoplimit"
    ARP_SADDR = "arp saddr ip"
    ARP_DADDR = "arp daddr ip"
    ETHER_SADDR = "ether saddr"
    ETHER_DADDR = "ether daddr"
    ND_TARGET = "@th,64,128"
    IIFNAME = "iifname"
    OIFNAME = "oifname"
    CT_STATE = "ct state"
    CT_DIRECTION = "ct direction"
    CT_MARK = "ct mark"
    CT_STATUS = "ct status"
    PRIORITY = "meta priority"
    META_MARK = "meta mark"
    TCP_FLAGS = "tcp flags"
    SOCKET_TRANSPARENT = "socket transparent"
    ORIGINAL_ZONE = "ct original zone"
    SADDR_TYPE = "fib saddr type"
    DADDR_TYPE = "fib daddr type"


class KeyType(enum.Enum):
    """Data types of set keys."""

    IPV4_ADDR = "ipv4_addr"
    IPV6_ADDR = "ipv6_addr"
    INET_PROTO = "inet_proto"
    INET_SERVICE = "inet_service"
    IFNAME = "ifname"
    ETHER_ADDR = "ether_addr"
    CLASSID = "classid"


class CtState(enum.IntFlag):
    """Connection tracking states, with the kernel's bits (nf_conntrack_common.h, NF_CT_STATE_BIT)."""

    INVALID = 1
    ESTABLISHED = 2
    RELATED = 4
    NEW = 8
    UNTRACKED = 64


LOCAL = 2
"""RTN_LOCAL (linux/rtnetlink.h): the type of an address that this node has, whichever it is."""

KeyPart = tuple[int, int] | str
"""A closed range of integers (one value: low == high), or an interface name."""
SetKey = tuple[KeyPart, ...]
"""One part for each type of the set's key."""


@dataclass(frozen=True, slots=True, order=True)
class Judgement:
    """A verdict statement, also the value of a map element. `chain` is set for jump and goto alone."""

    act: str
    """accept, drop, return, jump or goto."""
    chain: str = ""

    def __str__(self) -> str:
        return f"{self.act} {self.chain}" if self.chain else self.act


ACCEPT = Judgement("accept")
DROP = Judgement("drop")
RETURN = Judgement("return")


def jump(chain: str) -> Judgement:
    """Call a chain; `return` comes back behind this rule."""
    return Judgement("jump", chain)


def goto(chain: str) -> Judgement:
    """Go on in a chain; `return` there goes back to where this chain was called from."""
    return Judgement("goto", chain)


@dataclass(frozen=True, slots=True)
class Compare:
    """``tcp dport 8000-9000``, ``iifname "ogp*"``, ``ct direction reply``, ``ct mark & M == V``.

    `low`..`high` is a closed range of integers; `text` is an interface name, where a last ``*`` matches any
    rest; `mask` applies to marks, TCP_FLAGS and CT_STATE (there: any of the bits). Port fields named after a
    protocol (``tcp dport``) hold for packets of that protocol only, address fields for their family. CT_STATUS is
    one bit, and asked whether it is set.
    """

    field: Field
    low: int = 0
    high: int = 0
    text: str = ""
    mask: int = 0
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """``ip daddr . meta l4proto . th dport @set``: go on if the key is in the set (or, negated, is not)."""

    fields: tuple[Field, ...]
    set: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class VerdictMap:
    """``ip daddr vmap @map``: take the verdict of the element, or go on where there is none."""

    fields: tuple[Field, ...]
    map: str


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts packets and bytes. The numbers are read with `listing`; two counters are always equal."""

    packets: int = field(default=0, compare=False)
    bytes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Log:
    """``log prefix "..." group N snaplen S``: a copy of the packet to user space through nflog."""

    prefix: str
    group: int
    snaplen: int = 96


@dataclass(frozen=True, slots=True)
class Limit:
    """``limit rate N/second burst B packets``. Ends the *rule* when over the rate, so never put it before a drop."""

    rate: int
    burst: int = 5


@dataclass(frozen=True, slots=True)
class Reject:
    """``reject with ...``: `tcp reset`, or `icmpx admin-prohibited`."""

    kind: str


@dataclass(frozen=True, slots=True)
class StampMark:
    """``ct mark set ct mark & ~mask | value``: write `value` into our bits of the connection mark alone."""

    mask: int
    value: int


@dataclass(frozen=True, slots=True)
class MarkPacket:
    """``meta mark set meta mark & ~mask | value``: the same for the mark of the packet itself."""

    mask: int
    value: int


@dataclass(frozen=True, slots=True)
class SetZone:
    """``ct original zone set N``: the original packets of this connection are told apart from the same ones without."""

    zone: int


@dataclass(frozen=True, slots=True)
class Tproxy:
    """``tproxy ip to 127.0.0.1:PORT``, or its like for IPv6: to a socket of this node. Without one the rule ends."""

    family: int
    port: int


@dataclass(frozen=True, slots=True)
class Dnat:
    """``dnat ip to ADDRESS:PORT``: lead the connection elsewhere. In a chain of type nat alone."""

    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class SourcePorts:
    """``snat to :LOW-HIGH``: the connection comes from one of these ports, of the same address. In type nat alone."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Opaque:
    """What somebody else wrote into our table and this file has no word for.

    It is read so that the difference is seen and undone; it is never written to the kernel.
    """

    text: str


def among(look: Field, block: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Compare:
    """An address field that is in a block."""
    return Compare(look, int(block.network_address), int(block.broadcast_address))


Statement = (
    Compare
    | Lookup
    | VerdictMap
    | Counter
    | Log
    | Limit
    | Reject
    | StampMark
    | MarkPacket
    | SetZone
    | Tproxy
    | Dnat
    | SourcePorts
    | Judgement
    | Opaque
)


@dataclass(frozen=True, slots=True)
class ChainRule:
    """One line of a chain: statements from left to right, and a comment (at most 128 bytes once escaped)."""

    statements: tuple[Statement, ...]
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Hook:
    """Where a base chain hangs. Its default verdict is accept, always. `type` is ``filter``, ``nat``, or ``route``,
    behind which a packet that has got another mark is routed anew.
    """

    hook: str
    priority: int
    type: str = "filter"


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain; a base chain where `hook` is given."""

    name: str
    rules: tuple[ChainRule, ...] = ()
    hook: Hook | None = None


@dataclass(frozen=True, slots=True)
class NftSet:
    """A named set, or a map to verdicts where `is_map`.

    `elements` maps keys to the verdict (None for a set). With `interval`, parts may be ranges, and the
    elements are disjoint: the kernel refuses overlaps only sometimes and deletes by the start alone.

    With `timeout`, elements have a life of their own and another process gives it to them: they are no part of a
    ruleset, neither of one that is wanted nor of one that is read.
    """

    name: str
    key: tuple[KeyType, ...]
    elements: Mapping[SetKey, Judgement | None] = field(default_factory=dict)
    interval: bool = False
    is_map: bool = False
    comment: str = ""
    timeout: bool = False

    def only(self, keys: Iterable[SetKey]) -> NftSet:
        """The same set with these of its elements."""
        return replace(self, elements={key: self.elements[key] for key in keys})

    def holding(self, elements: Mapping[SetKey, Judgement | None]) -> NftSet:
        """The same set with these elements instead."""
        return replace(self, elements=elements)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Everything in one table of ours."""

    chains: Mapping[str, Chain] = field(default_factory=dict)
    sets: Mapping[str, NftSet] = field(default_factory=dict)
    family: str = "inet"
    table: str = "outgate"
