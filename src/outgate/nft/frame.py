"""The chains of a ruleset that depend on no policy: hooks, connection states, the way of a packet.

    forward ─► est (─► older) ─► (reply? mirrored egress, mirrored ingress) or egress, ingress ─► stamp
    input   ─► est ─► answers and neighbour discovery pass ─► egress ─► stamp
    prerouting ─► spoof: what comes in on a pod's link has that pod's address

`outgate.nft.compile` says what each step is for. What is not known belongs to nobody and is closed: a packet of a
local pod's interface or address that no map has goes to ``unknown``. Only where the default of the node is to watch,
or pods may talk before their policies are in, is it counted there and let pass.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from outgate.model import Direction, Node
from outgate.nft.asking import asking_chains, input_lines
from outgate.nft.denial import denial, warning
from outgate.nft.epoch import EST, STAMP, Epoch
from outgate.nft.lines import View
from outgate.nft.objects import (
    ACCEPT,
    DROP,
    RETURN,
    Chain,
    ChainRule,
    Compare,
    Counter,
    CtState,
    Field,
    Hook,
    KeyType,
    Lookup,
    NftSet,
    StampMark,
    Statement,
    VerdictMap,
    among,
    goto,
    jump,
)
from outgate.nft.options import Options
from outgate.nft.trust import OLDER, older
from outgate.packets import Protocol

__all__ = ["DISPATCHES", "LINKS", "LINK_LOCAL", "UNKNOWN", "Dispatch", "frame", "link_set"]

UNKNOWN = "unknown"
"""The chain of packets of pods that are not programmed."""
LINKS = {4: "if4", 6: "if6"}
"""The sets of (interface, address) of local pods, by family."""

_ICMPV6 = int(Protocol.ICMPV6)
_ERRORS = ((3, 3), (11, 12))
"""ICMP types of IPv4: destination unreachable; time exceeded and parameter problem (RFC 792)."""
_ORIGINAL, _REPLY = 0, 1
LINK_LOCAL = ipaddress.IPv6Network("fe80::/10")
"""Addresses that are every interface's own (RFC 4291, 2.5.6)."""
_LINK_MULTICAST = ipaddress.IPv6Network("ff02::/16")


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One dispatch map: its name, the packet field it looks at, and the view of the chains it leads to."""

    name: str
    field: Field
    view: View

    @property
    def key(self) -> tuple[KeyType, ...]:
        """The type of its keys."""
        return (KeyType.IPV4_ADDR if self.view.family == 4 else KeyType.IPV6_ADDR,)


def _dispatches() -> Iterator[Dispatch]:
    for direction in Direction:
        for mirrored in (False, True):
            for family in (4, 6):
                view = View(direction, family, mirrored)
                # The pod is the source of what it sends and of the answers to what it accepts.
                source = (direction is Direction.EGRESS) != mirrored
                look = {(4, True): Field.IP_SADDR, (4, False): Field.IP_DADDR}.get((family, source))
                look = look or (Field.IP6_SADDR if source else Field.IP6_DADDR)
                yield Dispatch(f"{direction.value[0].lower()}{'r' if mirrored else 'g'}{family}", look, view)


DISPATCHES = tuple(_dispatches())
"""The maps from a local pod's address to the chain of its class: one for each view."""


def link_set(family: int) -> NftSet:
    """The declaration of the set of (interface, address) pairs of a family."""
    kind = KeyType.IPV4_ADDR if family == 4 else KeyType.IPV6_ADDR
    return NftSet(LINKS[family], (KeyType.IFNAME, kind))


def frame(options: Options, node: Node, *, linked: bool) -> Iterator[Chain]:
    """All chains of the frame. `linked`: the interfaces of pods are known one by one, so spoofing can be seen."""
    yield from _Frame(options, node).chains()
    if linked and options.interface_prefix:
        yield from _link_check(options)
    if options.names:
        yield from asking_chains(leased=options.names_leased)


class _Frame:
    def __init__(self, options: Options, node: Node) -> None:
        self.options = options
        self.node = node

    def chains(self) -> Iterator[Chain]:
        """The chains that do not depend on any policy."""
        mask = self.options.mark_mask
        value = Epoch(mask, self.options.epoch).bits
        reply = Compare(Field.CT_DIRECTION, _REPLY, _REPLY)
        current = ChainRule((Compare(Field.CT_MARK, value, value, mask=mask), ACCEPT))
        if self.options.believing:
            yield older(mask)
        yield Chain(EST, (current, ChainRule((goto(OLDER),))) if self.options.believing else (current,))
        yield Chain(STAMP, (ChainRule((StampMark(mask, value), ACCEPT)),))
        open_ = self.options.passive or self.options.open_at_birth
        fate = (warning if open_ else denial)(
            UNKNOWN, "address or interface of a pod that is not programmed", self.options
        )
        yield Chain(UNKNOWN, tuple(fate))
        for name, direction, mirrored in (
            ("egress", Direction.EGRESS, False),
            ("ingress", Direction.INGRESS, False),
            ("egress_reply", Direction.EGRESS, True),
            ("ingress_reply", Direction.INGRESS, True),
        ):
            yield Chain(name, tuple(self._dispatch_lines(direction, mirrored)))
        yield Chain(
            "reply",
            (ChainRule((jump("egress_reply"),)), ChainRule((jump("ingress_reply"),)), ChainRule((goto("stamp"),))),
        )
        both = (ChainRule((jump("egress"),)), ChainRule((jump("ingress"),)), ChainRule((goto("stamp"),)))
        # What is only related has the mark of the connection that it is related to, or has inherited it
        # (net/netfilter/nf_conntrack_core.c, `init_conntrack`: "ct->mark = READ_ONCE(exp->master->mark)"): nobody has
        # judged it by that.
        unrelated = Compare(Field.CT_STATE, mask=int(CtState.RELATED), negated=True)
        begin = (ChainRule((unrelated, jump("est"))), *_related())
        on_bridge = ChainRule((*_discovery(), ACCEPT), "neighbour discovery on a bridge")
        yield Chain("forward", (*begin, on_bridge, ChainRule((reply, goto("reply"))), *both), Hook("forward", -10))
        asked = input_lines() if self.options.names else ()
        yield Chain("input", (*asked, *begin, *self._to_the_node(reply), both[0], both[2]), Hook("input", -10))

    def _dispatch_lines(self, direction: Direction, mirrored: bool) -> Iterator[ChainRule]:
        for dispatch in DISPATCHES:
            if (dispatch.view.direction, dispatch.view.mirrored) == (direction, mirrored):
                yield ChainRule((VerdictMap((dispatch.field,), dispatch.name),))
        source = (direction is Direction.EGRESS) != mirrored
        for statement in self._pods_of_this_node(source):
            yield ChainRule((statement, goto(UNKNOWN)))

    def _pods_of_this_node(self, source: bool) -> Iterator[Statement]:
        """How to know a packet of a local pod that is in no map: it is not programmed yet, so it is closed."""
        if self.options.interface_prefix:
            name = f"{self.options.interface_prefix}*"
            yield Compare(Field.IIFNAME if source else Field.OIFNAME, text=name)
            return
        for block in self.node.pod_cidrs:
            fields = (Field.IP_SADDR, Field.IP_DADDR) if block.version == 4 else (Field.IP6_SADDR, Field.IP6_DADDR)
            yield among(fields[0] if source else fields[1], block)

    def _to_the_node(self, reply: Compare) -> Iterator[ChainRule]:
        """What a pod may always send to its own node: answers, and what IPv6 cannot live without."""
        yield ChainRule((reply, ACCEPT), "answers to what the node asked: probes")
        yield ChainRule((*_discovery(), ACCEPT), "neighbour discovery")
        if self.options.interface_prefix:
            groups = among(Field.IP6_DADDR, _LINK_MULTICAST)
            yield ChainRule((Compare(Field.IIFNAME, text=f"{self.options.interface_prefix}*"), groups, DROP))


def _link_check(options: Options) -> Iterator[Chain]:
    """Identity is interface and address together: what else comes in on a pod's link is dropped.

    A pod that may talk before it is known has no address yet, so where that is chosen it is counted alone.
    """
    fate = RETURN if options.passive or options.open_at_birth else DROP
    yield Chain(
        "spoof",
        (
            ChainRule((Lookup((Field.IIFNAME, Field.IP_SADDR), LINKS[4]), RETURN)),
            ChainRule((Lookup((Field.IIFNAME, Field.IP6_SADDR), LINKS[6]), RETURN)),
            ChainRule((among(Field.IP6_SADDR, LINK_LOCAL), RETURN)),
            ChainRule((Compare(Field.IP6_SADDR, 0, 0), RETURN), "duplicate address detection"),
            ChainRule((Counter(), fate), "source address of another"),
        ),
    )
    prefix = Compare(Field.IIFNAME, text=f"{options.interface_prefix}*")
    # Before connection tracking, so that a spoofed packet cannot ride on another pod's connection.
    yield Chain("prerouting", (ChainRule((prefix, jump("spoof"))),), Hook("prerouting", -310))


def _discovery() -> tuple[Compare, Compare]:
    """RFC 4861, 7.1: a valid neighbour discovery packet has hop limit 255, so no router has passed it on.

    Redirects (137) are not among them: no pod tells another, or its node, where to send. In `forward` such a packet is
    one that br_netfilter shows between two ports of a bridge: `ip6_forward` counts the hop before it asks the hook.
    """
    return Compare(Field.ICMPV6_TYPE, 133, 136), Compare(Field.IP6_HOPLIMIT, 255, 255)


def _related() -> Iterator[ChainRule]:
    """ICMP errors about a connection: without them path MTU discovery dies. Helpers' connections do not pass.

    Connection tracking calls an IPv4 redirect related, too (net/netfilter/nf_conntrack_proto_icmp.c,
    `nf_conntrack_icmpv4_error`), and source quench, which RFC 6633 forbids: neither is an error about a connection.
    """
    related = Compare(Field.CT_STATE, mask=int(CtState.RELATED))
    for low, high in _ERRORS:
        yield ChainRule((related, Compare(Field.ICMP_TYPE, low, high), ACCEPT))
    yield ChainRule((related, Compare(Field.L4PROTO, _ICMPV6, _ICMPV6), ACCEPT))
