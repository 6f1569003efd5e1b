"""How much of a range of addresses a workload reaches, and by whose leave.

What passes to addresses outside is one set of packets for all workloads under the same policies (`Grid.outside`). Here
it is laid over the ranges that people think in: the internet, private networks, link-local addresses. Nothing is
sampled: a range is reached whole only if every address of it is.

An address that somebody in the cluster has is judged as that pod or node, not as an address outside; the ranges say
nothing of it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import replace

from outgate.analysis.exposure_asked import NOTHING_ASKED, AskedThere
from outgate.analysis.on_condition import Asked
from outgate.model import Direction
from outgate.packets import AddressSet, PacketSet, Protocol, TransportSet
from outgate.packets.packetset import Cube
from outgate.packets.special import AddressRange
from outgate.policy.grid import Grid, PolicyKey
from outgate.policy.rules import Origin, Rule
from outgate.records import dataclass

__all__ = ["DNS_PORTS", "DNS_TLS_PORTS", "Extent", "Share", "extent", "to_blame", "within"]

DNS_PORTS = TransportSet.ports(Protocol.UDP, 53) | TransportSet.ports(Protocol.TCP, 53)
"""Plain DNS (RFC 1035, 4.2)."""
DNS_TLS_PORTS = TransportSet.ports(Protocol.TCP, 853) | TransportSet.ports(Protocol.UDP, 853)
"""DNS over TLS (RFC 7858) and over QUIC (RFC 9250)."""


class Share(enum.Enum):
    """How much of a range. `MOST` is more than half of its addresses: the whole with holes in it."""

    WHOLE = "whole"
    MOST = "most"
    SOME = "some"
    NONE = "none"

    @property
    def wide(self) -> bool:
        """Whether it is the whole, or the whole but for some holes."""
        return self in (Share.WHOLE, Share.MOST)


@dataclass(frozen=True, slots=True)
class Extent:
    """The part of a range that is reached: disjoint addresses, each with the ports that pass."""

    range: AddressRange
    parts: tuple[Cube, ...]
    share: Share
    origins: tuple[Origin, ...] = ()
    """The rules that let any of it through. Empty where no policy isolates the workload."""
    asked: tuple[Asked, ...] = ()
    """What is asked of it above TCP, by the addresses."""
    openly: Share = Share.NONE
    """How much is reached whatever is asked for."""

    @property
    def pieces(self) -> Iterator[tuple[AddressSet, TransportSet, tuple[Asked, ...]]]:
        """The parts, told apart by what is asked there as well."""
        for whole, transports in self.parts:
            cut: list[tuple[AddressSet, tuple[Asked, ...]]] = [(whole, ())]
            for one in self.asked:
                there = whole if one.addresses is None else one.addresses
                mine = Asked(replace(one.part, transports=one.part.transports & transports))
                if mine.part.transports:
                    inside = ((some & there, (*asked, mine)) for some, asked in cut)
                    outside = ((some - there, asked) for some, asked in cut)
                    cut = [each for each in (*inside, *outside) if each[0]]
            yield from ((some, transports, asked) for some, asked in cut)

    @property
    def addresses(self) -> AddressSet:
        """Every address with at least one port."""
        return AddressSet.union_of(addresses for addresses, _ in self.parts)

    @property
    def transports(self) -> TransportSet:
        """Every port that passes to at least one address."""
        found = TransportSet()
        for _, transports in self.parts:
            found |= transports
        return found


def within(packets: PacketSet, transports: TransportSet) -> PacketSet:
    """The packets of a set that have one of these transports."""
    return PacketSet.union_of((addresses, mine & transports) for addresses, mine in packets)


def extent(where: AddressRange, packets: PacketSet, there: AskedThere = NOTHING_ASKED) -> Extent:
    """How much of a range some packets go to, and what is asked there."""
    parts = [cube for cube in packets.restrict(where.addresses) if cube[1]]
    parts.sort(key=lambda part: int(part[0].lowest()))
    share = _share(where, parts)
    if not parts or not there.packets:
        return Extent(where, tuple(parts), share, openly=share)
    mine = PacketSet.union_of(parts)
    return Extent(where, tuple(parts), share, (), there.of(mine), _share(where, mine - there.chosen(mine)))


def _share(where: AddressRange, parts: Iterable[Cube]) -> Share:
    covered, size = sum(addresses.size() for addresses, _ in parts), where.addresses.size()
    if covered == size:
        return Share.WHOLE
    return Share.MOST if 2 * covered > size else Share.SOME if covered else Share.NONE


def to_blame(
    grid: Grid, key: PolicyKey, direction: Direction, addresses: AddressSet, transports: TransportSet
) -> tuple[Origin, ...]:
    """The rules that let through any of these packets, to or from addresses outside."""
    found = (
        rule.origin
        for rule in grid.accepting(key, direction)
        if not grid.outside_of(rule).isdisjoint(addresses) and _passes(rule, transports)
    )
    # A rule of Cilium's is several here: one for each entry of its ports.
    return tuple(dict.fromkeys(found))


def _passes(rule: Rule, transports: TransportSet) -> bool:
    """A port name opens nothing outside: there is no pod to ask what it stands for."""
    return bool(transports) and (rule.ports is None or bool(rule.ports.numbers & transports))
