"""Sets of IPv4 and IPv6 addresses.

The two families are separate lines of integers. An IPv4 block says nothing about IPv6 and the
other way round; an IPv4-mapped IPv6 address (``::ffff:0:0/96``) is an IPv6 address like any other.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from functools import lru_cache

from outgate.packets.intervals import IntervalSet, Span
from outgate.records import dataclass

__all__ = ["FAMILIES", "Address", "AddressSet", "Family", "Network", "address_of"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Family = int
"""4 or 6."""

FAMILIES: tuple[Family, Family] = (4, 6)
_TOP = {4: (1 << 32) - 1, 6: (1 << 128) - 1}
_NOTHING = IntervalSet()


def address_of(family: Family, value: int) -> Address:
    """The address object for an integer of one family."""
    return ipaddress.IPv4Address(value) if family == 4 else ipaddress.IPv6Address(value)


@dataclass(frozen=True, slots=True)
class AddressSet:
    """A set of addresses of both families.

    >>> block = AddressSet.network("10.0.0.0/8") - AddressSet.network("10.1.0.0/16")
    >>> block.cidrs()[:2]
    ('10.0.0.0/16', '10.2.0.0/15')
    >>> AddressSet.any() >= block
    True
    """

    v4: IntervalSet = _NOTHING
    v6: IntervalSet = _NOTHING

    @classmethod
    def network(cls, cidr: str | Network) -> AddressSet:
        """All addresses of a block; host bits are masked off. Raises ValueError for a bad CIDR."""
        return _network(cidr)

    @classmethod
    def of(cls, addresses: Iterable[Address]) -> AddressSet:
        """Exactly these addresses."""
        v4: list[Span] = []
        v6: list[Span] = []
        for address in addresses:
            value = int(address)
            (v4 if address.version == 4 else v6).append((value, value))
        return cls(IntervalSet.of(*v4), IntervalSet.of(*v6))

    @classmethod
    def of_family(cls, family: Family, values: IntervalSet) -> AddressSet:
        """The addresses of one family with these integer values."""
        return cls(values, _NOTHING) if family == 4 else cls(_NOTHING, values)

    @classmethod
    def whole(cls, family: Family) -> AddressSet:
        """Every address of one family."""
        return cls.of_family(family, IntervalSet(((0, _TOP[family]),)))

    @classmethod
    def any(cls) -> AddressSet:
        """Every address of both families."""
        return _ANY

    @classmethod
    def union_of(cls, sets: Iterable[AddressSet]) -> AddressSet:
        """The union of many sets, by one sort a family."""
        many = tuple(sets)
        if len(many) < 2:
            return many[0] if many else cls()
        return cls(IntervalSet.union_of(one.v4 for one in many), IntervalSet.union_of(one.v6 for one in many))

    def family(self, family: Family) -> IntervalSet:
        """The integers of one family."""
        return self.v4 if family == 4 else self.v6

    def only(self, family: Family) -> AddressSet:
        """The part of one family."""
        return AddressSet(self.v4, _NOTHING) if family == 4 else AddressSet(_NOTHING, self.v6)

    def __or__(self, other: AddressSet) -> AddressSet:
        return AddressSet(self.v4 | other.v4, self.v6 | other.v6)

    def __and__(self, other: AddressSet) -> AddressSet:
        return AddressSet(self.v4 & other.v4, self.v6 & other.v6)

    def __sub__(self, other: AddressSet) -> AddressSet:
        return AddressSet(self.v4 - other.v4, self.v6 - other.v6)

    def __invert__(self) -> AddressSet:
        return _ANY - self

    def __le__(self, other: AddressSet) -> bool:
        return self.v4 <= other.v4 and self.v6 <= other.v6

    def __ge__(self, other: AddressSet) -> bool:
        return other <= self

    def __bool__(self) -> bool:
        return bool(self.v4.spans or self.v6.spans)

    def __contains__(self, address: Address) -> bool:
        return int(address) in (self.v4 if address.version == 4 else self.v6)

    def isdisjoint(self, other: AddressSet) -> bool:
        """Whether the two sets share no address."""
        return self.v4.isdisjoint(other.v4) and self.v6.isdisjoint(other.v6)

    def size(self) -> int:
        """How many addresses."""
        return self.v4.size() + self.v6.size()

    def lowest(self) -> Address:
        """A member: the lowest IPv4 address, or the lowest IPv6 address. Raises ValueError if empty."""
        return address_of(4, self.v4.lowest()) if self.v4 else address_of(6, self.v6.lowest())

    def networks(self) -> Iterator[Network]:
        """The fewest CIDR blocks that make up the set, IPv4 first, ascending."""
        for low, length in _blocks(self.v4, 32):
            yield ipaddress.IPv4Network((low, length))
        for low, length in _blocks(self.v6, 128):
            yield ipaddress.IPv6Network((low, length))

    def cidrs(self) -> tuple[str, ...]:
        """`networks` as text, without an object for each: a set may be tens of thousands of blocks."""
        v4 = (f"{_dotted(low)}/{length}" for low, length in _blocks(self.v4, 32))
        v6 = (f"{ipaddress.IPv6Address(low)}/{length}" for low, length in _blocks(self.v6, 128))
        return (*v4, *v6)


def _blocks(values: IntervalSet, bits: int) -> Iterator[tuple[int, int]]:
    """The lowest address of each block, and how many bits of it are fixed."""
    for first, last in values:
        low = first
        while low <= last:
            # A block begins at a multiple of its size, and ends within the span.
            aligned = low & -low if low else 1 << bits
            free = min(aligned, 1 << (last - low + 1).bit_length() - 1).bit_length() - 1
            yield low, bits - free
            low += 1 << free


def _dotted(value: int) -> str:
    return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


_ANY = AddressSet(IntervalSet(((0, _TOP[4]),)), IntervalSet(((0, _TOP[6]),)))


@lru_cache(maxsize=65536)
def _network(cidr: str | Network) -> AddressSet:
    network = ipaddress.ip_network(cidr, strict=False) if isinstance(cidr, str) else cidr
    low = int(network.network_address)
    return AddressSet.of_family(network.version, IntervalSet(((low, int(network.broadcast_address)),)))
