"""The guard of a bridge: whose packet it is, asked at the port that it comes in by.

To the hooks of IP all pods of a bridge come in by the bridge, so the check of (interface, address) in `frame` cannot
tell them apart. This is the same check one level below, in a table of its own, ``bridge outgate``:

    prerouting ─► ports: a pod's port ─► guard ─► it sends under a MAC address that is not another's and under addresses
                                              of its own, or it goes to ``spoof``
                         the node's own wires ─► pass, whatever they carry
               ─► blocks: from any other port, an address of the node's pods is nobody's: ``unknown``
    postrouting ─► doors: out of a pod's port ─► deliver ─► to its own address, or to everybody; or ``astray``

A pod's port lets pass what carries a source of its own in IPv4, in IPv6 or as the sender of ARP, and what has none yet
(RFC 5227 probes for an address with the sender 0.0.0.0, RFC 4862 with the source ::). Link-local sources pass, for no
policy is about them, but what such a packet *advertises* must be the pod's, and what only routers say (advertisements
of theirs, redirects) no pod says. Everything else is dropped and counted: frames of other protocols have no source that
could be asked for, and a frame with two tags is one of them.

A bridge believes whoever sends under a MAC address, and takes to him what is for it. So a pod that sends as itself
under the MAC of its neighbour would withhold from that what is the neighbour's. What the other ends of ports have
(``macs``) passes at their own ports alone (``ifmac``); any other MAC is nobody's and passes, for a pod may have more
than one.

What goes *out* at a pod's port is asked as well, because a bridge decides that by MAC addresses: it believes whoever
sends under one, and sends to every port what is for one that it does not know. So a pod that takes a MAC of another
that is not known gets nothing that is for the other's address; a frame for an address that is not the port's goes to
``astray`` and is dropped. The bridge floods in the ordinary course of things, so what is counted there is no sign of
anything.

A frame with one tag of 802.1Q has lost it here (net/core/dev.c, `__netif_receive_skb_core`, "skb_vlan_untag") while
``ether type`` still says 802.1Q, and a tag of VLAN 0 is nothing to its receiver. Where nft would ask ``ether type`` by
itself, a rule that *denies* would not see such a frame. So the type of ICMPv6 is asked behind ``meta l4proto``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from outgate.nft.frame import LINK_LOCAL, LINKS, UNKNOWN, link_set
from outgate.nft.objects import (
    ACCEPT,
    DROP,
    RETURN,
    Chain,
    ChainRule,
    Compare,
    Counter,
    Field,
    Hook,
    Judgement,
    KeyType,
    Lookup,
    NftSet,
    Ruleset,
    SetKey,
    Statement,
    VerdictMap,
    among,
    goto,
    jump,
)
from outgate.nft.spelling import checked_interface
from outgate.packets import Address

__all__ = ["ASTRAY", "DOORS", "FAMILY", "PORTS", "SPOOF", "Ports", "guard", "nameable"]

FAMILY = "bridge"
"""The family of the table."""
PORTS = "ports"
"""The map from a port to what is asked of it."""
DOORS = "doors"
"""The map from a pod's port to what is asked of that which goes out there."""
ASTRAY = "astray"
"""The chain of packets for an address that is not behind the port which the bridge chose."""
MACS = "macs"
"""The set of MAC addresses of which it is known at which port they are."""
OWN_MACS = "ifmac"
"""The set of ports, each with the MAC address that is known to be there."""
SPOOF = "spoof"
"""The chain of packets with a source that is not their pod's, as in the other table."""

_BEFORE_ALL = -310
"""Before NF_BR_PRI_NAT_DST_BRIDGED (-300), NF_BR_PRI_BRNF (0: br_netfilter) and whatever the bridge learns."""
_BEHIND_ALL = 310
"""Behind NF_BR_PRI_NAT_SRC (300), and before br_netfilter (the last) has connection tracking take a connection up."""
_ADVERT, _GUARD, _DELIVER = "advert", "guard", "deliver"
_EVERYBODY = (1 << 48) - 1
_MULTICAST = ipaddress.IPv4Network("224.0.0.0/4"), ipaddress.IPv6Network("ff00::/8")
_ICMPV6, _NEIGHBOUR_ADVERTISEMENT = 58, 136
_OF_ROUTERS = 134, 137
"""Router advertisement and redirect (RFC 4861, 4.2 and 4.5)."""
_OF_ANOTHER = (
    Lookup((Field.ETHER_SADDR,), MACS),
    Lookup((Field.IIFNAME, Field.ETHER_SADDR), OWN_MACS, negated=True),
)
"""A MAC address that is known to be at another port."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a node's bridges, as far as it matters who sends there."""

    owners: Mapping[Address, str] = field(default_factory=dict)
    """The port behind which the pod with an address is."""
    pods: Collection[str] = ()
    """Ports that lead to pods, also to such that have no address, or none any more."""
    wires: Collection[str] = ()
    """Ports that lead to no other network namespace: uplinks and the like."""
    macs: Mapping[int, str] = field(default_factory=dict)
    """The port behind which a MAC address is; of those alone that only one port has."""
    blocks: tuple[Network, ...] = ()
    """Sources that no port but a pod's may have; none where it is not known that all of the node's pods are here."""


def nameable(interface: str) -> bool:
    """Whether a rule can name the interface: the kernel takes nearly any byte, and a last ``*`` would be a pattern."""
    try:
        return not checked_interface(interface).endswith("*")
    except ValueError:
        return False


def guard(ports: Ports, *, passive: bool) -> Ruleset:
    """The table for these ports. `passive`: what is forged is counted and passes.

    Raises ValueError for a pod's port that no rule can name (`nameable`). Where a wire cannot be named, unknown ports
    are left alone, for it would be one of them.
    """
    blocks = ports.blocks if all(map(nameable, ports.wires)) else ()
    pods = frozenset(ports.pods) | frozenset(ports.owners.values())
    fates: dict[SetKey, Judgement | None] = {
        (name,): ACCEPT for name in sorted(ports.wires) if nameable(name) and blocks
    }
    fates |= {(name,): goto(_GUARD) for name in sorted(pods)}
    out: dict[SetKey, Judgement | None] = {(name,): goto(_DELIVER) for name in sorted(pods)}
    sets = {
        PORTS: NftSet(PORTS, (KeyType.IFNAME,), fates, is_map=True),
        DOORS: NftSet(DOORS, (KeyType.IFNAME,), out, is_map=True),
        **_mac_sets(ports.macs),
    }
    for version in LINKS:
        owned: dict[SetKey, Judgement | None] = {
            (port, (int(one), int(one))): None
            for one, port in sorted(ports.owners.items(), key=lambda item: int(item[0]))
            if one.version == version
        }
        sets[LINKS[version]] = link_set(version).holding(owned)
    fate = ACCEPT if passive else DROP
    chains = (
        Chain(SPOOF, (ChainRule((Counter(), fate), "source address of another"),)),
        Chain(UNKNOWN, (ChainRule((Counter(), fate), "address of a pod, from a port of none"),)),
        Chain(ASTRAY, (ChainRule((Counter(), fate), "for an address that is not behind the port"),)),
        Chain(_ADVERT, tuple(_advert(ports.owners))),
        Chain(_GUARD, tuple(_guard())),
        Chain(_DELIVER, tuple(_deliver())),
        Chain("prerouting", tuple(_prerouting(blocks)), Hook("prerouting", _BEFORE_ALL)),
        Chain("postrouting", (ChainRule((VerdictMap((Field.OIFNAME,), DOORS),)),), Hook("postrouting", _BEHIND_ALL)),
    )
    return Ruleset({chain.name: chain for chain in chains}, sets, family=FAMILY)


def _mac_sets(macs: Mapping[int, str]) -> Mapping[str, NftSet]:
    known: dict[SetKey, Judgement | None] = {((one, one),): None for one in sorted(macs)}
    placed: dict[SetKey, Judgement | None] = {(macs[one], (one, one)): None for one in sorted(macs)}
    return {
        MACS: NftSet(MACS, (KeyType.ETHER_ADDR,), known),
        OWN_MACS: NftSet(OWN_MACS, (KeyType.IFNAME, KeyType.ETHER_ADDR), placed),
    }


def _guard() -> Iterator[ChainRule]:
    yield ChainRule((*_OF_ANOTHER, goto(SPOOF)))
    for kind in _OF_ROUTERS:
        yield ChainRule((*_icmpv6(kind), goto(SPOOF)))
    yield ChainRule((*_icmpv6(_NEIGHBOUR_ADVERTISEMENT), jump(_ADVERT)))
    for look, version in ((Field.IP_SADDR, 4), (Field.IP6_SADDR, 6), (Field.ARP_SADDR, 4)):
        yield ChainRule((Lookup((Field.IIFNAME, look), LINKS[version]), RETURN))
    yield ChainRule((among(Field.IP6_SADDR, LINK_LOCAL), RETURN))
    yield ChainRule((Compare(Field.IP6_SADDR), RETURN), "duplicate address detection")
    yield ChainRule((Compare(Field.ARP_SADDR), RETURN), "address probe")
    yield ChainRule((goto(SPOOF),))


def _advert(owners: Mapping[Address, str]) -> Iterator[ChainRule]:
    """What a pod may say that it has.

    A rule for each address, where a set would need ``typeof`` of raw bits (nft 1.0.3). Advertisements alone come here.
    """
    for address, port in sorted(owners.items(), key=lambda item: int(item[0])):
        if address.version == 6:
            mine = Compare(Field.ND_TARGET, int(address), int(address))
            yield ChainRule((Compare(Field.IIFNAME, text=port), mine, RETURN))
    yield ChainRule((among(Field.ND_TARGET, LINK_LOCAL), RETURN))
    yield ChainRule((goto(SPOOF),))


def _prerouting(blocks: tuple[Network, ...]) -> Iterator[ChainRule]:
    yield ChainRule((VerdictMap((Field.IIFNAME,), PORTS),))
    if blocks:
        yield ChainRule((*_OF_ANOTHER, goto(UNKNOWN)))
    for block in sorted(blocks, key=lambda one: (one.version, int(one.network_address))):
        if block.version == 4:
            yield ChainRule((among(Field.IP_SADDR, block), goto(UNKNOWN)))
            yield ChainRule((among(Field.ARP_SADDR, block), goto(UNKNOWN)))
        else:
            yield ChainRule((among(Field.IP6_SADDR, block), goto(UNKNOWN)))
            yield ChainRule((*_icmpv6(_NEIGHBOUR_ADVERTISEMENT), among(Field.ND_TARGET, block), goto(UNKNOWN)))


def _deliver() -> Iterator[ChainRule]:
    """What is for the pod at this port, or for everybody.

    A solicitation for a pod is sent to a group of multicast, so it is for everybody; the link-local addresses of pods
    are not known, and no policy is about them.
    """
    yield ChainRule((Compare(Field.ETHER_DADDR, _EVERYBODY, _EVERYBODY), RETURN))
    for look, version in ((Field.IP_DADDR, 4), (Field.IP6_DADDR, 6), (Field.ARP_DADDR, 4)):
        yield ChainRule((Lookup((Field.OIFNAME, look), LINKS[version]), RETURN))
    yield ChainRule((among(Field.IP_DADDR, _MULTICAST[0]), RETURN))
    yield ChainRule((among(Field.IP6_DADDR, _MULTICAST[1]), RETURN))
    yield ChainRule((among(Field.IP6_DADDR, LINK_LOCAL), RETURN))
    yield ChainRule((Compare(Field.ARP_DADDR), RETURN), "answer to an address probe")
    yield ChainRule((goto(ASTRAY),))


def _icmpv6(kind: int) -> tuple[Statement, ...]:
    return Compare(Field.L4PROTO, _ICMPV6, _ICMPV6), Compare(Field.ICMPV6_TYPE, kind, kind)
