"""Exact sets of packets: remote address × transport.

A packet set is seen from one endpoint in one direction, so its coordinates are the address of the
*other* side and the transport. It is kept as a function from addresses to transports: a tuple of
cubes ``(addresses, transports)`` in which

    * no address is in two cubes, no cube is empty, and
    * no two cubes have the same transports,

sorted by transports. For each set there is one such tuple, hence structural equality.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from outgate.packets.addresses import FAMILIES, Address, AddressSet, Family
from outgate.packets.intervals import IntervalSet, Span
from outgate.packets.transport import Protocol, TransportSet
from outgate.records import dataclass

__all__ = ["Cube", "PacketSet"]

Cube = tuple[AddressSet, TransportSet]
_NONE = TransportSet()


@dataclass(frozen=True, slots=True)
class PacketSet:
    """A set of packets.

    >>> web = PacketSet.cube(AddressSet.network("10.0.0.0/8"), TransportSet.ports(Protocol.TCP, 443))
    >>> web <= PacketSet.any(), (web - web) == PacketSet.none()
    (True, True)

    Make one with `cube`, `union_of`, `any` or `none`; combine with ``| & - ~``; ask with
    `contains`, ``<=``, `bool`; take a member with `witness`.
    """

    cubes: tuple[Cube, ...] = ()

    @classmethod
    def none(cls) -> PacketSet:
        """The empty set."""
        return _EMPTY

    @classmethod
    def any(cls) -> PacketSet:
        """Every packet to or from every address."""
        return _ANY

    @classmethod
    def cube(cls, addresses: AddressSet, transports: TransportSet) -> PacketSet:
        """Every packet with one of the addresses and one of the transports."""
        return cls(((addresses, transports),)) if addresses and transports else _EMPTY

    @classmethod
    def union_of(cls, cubes: Iterable[Cube]) -> PacketSet:
        """The union of cubes that may overlap in any way, by one sweep over the addresses."""
        return cls(_canonical(cubes))

    def transports(self, address: Address) -> TransportSet:
        """What is in the set for one address."""
        for addresses, transports in self.cubes:
            if address in addresses:
                return transports
        return _NONE

    def contains(self, address: Address, protocol: int, coordinate: int = 0) -> bool:
        """Whether one packet is a member."""
        return self.transports(address).contains(protocol, coordinate)

    def addresses(self) -> AddressSet:
        """Every address with at least one packet in the set."""
        return AddressSet.union_of(addresses for addresses, _ in self.cubes)

    def restrict(self, addresses: AddressSet) -> PacketSet:
        """The part of the set with these addresses."""
        kept = ((mine & addresses, transports) for mine, transports in self.cubes)
        return PacketSet(tuple(cube for cube in kept if cube[0]))

    def witness(self) -> tuple[Address, int, int] | None:
        """A member as (address, protocol, coordinate): TCP first; None for the empty set."""
        for wanted in (Protocol.TCP, Protocol.UDP, Protocol.SCTP, Protocol.ICMP, Protocol.ICMPV6):
            for addresses, transports in self.cubes:
                points = transports.of(wanted)
                if points:
                    return addresses.lowest(), int(wanted), points.lowest()
        for addresses, transports in self.cubes:
            return addresses.lowest(), transports.other.lowest(), 0
        return None

    def __or__(self, other: PacketSet) -> PacketSet:
        if not other.cubes:
            return self
        return _combine(self, other, lambda a, b: a | b) if self.cubes else other

    def __and__(self, other: PacketSet) -> PacketSet:
        return _combine(self, other, lambda a, b: a & b)

    def __sub__(self, other: PacketSet) -> PacketSet:
        return _combine(self, other, lambda a, b: a - b) if other.cubes else self

    def __invert__(self) -> PacketSet:
        return _ANY - self

    def __le__(self, other: PacketSet) -> bool:
        return not (self - other).cubes

    def __bool__(self) -> bool:
        return bool(self.cubes)

    def __iter__(self) -> Iterator[Cube]:
        return iter(self.cubes)


def _regroup(parts: Iterable[Cube]) -> tuple[Cube, ...]:
    """Canonical cubes from parts whose addresses are already disjoint."""
    grouped: dict[TransportSet, list[AddressSet]] = {}
    for addresses, transports in parts:
        if addresses and transports:
            grouped.setdefault(transports, []).append(addresses)
    joined = ((AddressSet.union_of(many), transports) for transports, many in grouped.items())
    return tuple(sorted(joined, key=lambda cube: cube[1].sort_key()))


def _combine(
    left: PacketSet, right: PacketSet, meet: Callable[[TransportSet, TransportSet], TransportSet]
) -> PacketSet:
    parts: list[Cube] = []
    for addresses, transports in left.cubes:
        rest = addresses
        for theirs, others in right.cubes:
            common = rest & theirs
            if common:
                parts.append((common, meet(transports, others)))
                rest = rest - theirs
        parts.append((rest, meet(transports, _NONE)))
    covered = left.addresses()
    parts.extend((theirs - covered, meet(_NONE, others)) for theirs, others in right.cubes)
    return PacketSet(_regroup(parts))


def _canonical(cubes: Iterable[Cube]) -> tuple[Cube, ...]:
    many = [cube for cube in cubes if cube[0] and cube[1]]
    if len(many) < 2:
        return tuple(many)
    parts: list[Cube] = []
    for family in FAMILIES:
        parts.extend(_sweep(family, many))
    return _regroup(parts)


def _sweep(family: Family, cubes: list[Cube]) -> Iterator[Cube]:
    """Cut one family at every border and give each piece the union of the transports over it."""
    opens: dict[int, list[int]] = {}
    closes: dict[int, list[int]] = {}
    for index, (addresses, _) in enumerate(cubes):
        for low, high in addresses.family(family):
            opens.setdefault(low, []).append(index)
            closes.setdefault(high + 1, []).append(index)
    active: set[int] = set()
    pieces: dict[frozenset[int], list[Span]] = {}
    borders = sorted(opens.keys() | closes.keys())
    for border, following in pairwise(borders):
        active.difference_update(closes.get(border, ()))
        active.update(opens.get(border, ()))
        if active:
            pieces.setdefault(frozenset(active), []).append((border, following - 1))
    for members, spans in pieces.items():
        union = _NONE
        for index in members:
            union = union | cubes[index][1]
        yield AddressSet.of_family(family, IntervalSet.of(*spans)), union


_EMPTY = PacketSet()
_ANY = PacketSet(((AddressSet.any(), TransportSet.any()),))
