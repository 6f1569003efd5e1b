"""What is above the address: protocols, ports, ICMP types.

Each protocol with a finer coordinate has 65 536 points: destination ports for TCP, UDP and SCTP,
``type * 256 + code`` for ICMP and ICMPv6. Every other IP protocol number is one point. NetworkPolicy
speaks of the first three alone; a rule without ports covers all of them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping

from outgate.packets.intervals import IntervalSet
from outgate.records import dataclass

__all__ = ["PORTS", "Protocol", "TransportSet"]

PORTS = IntervalSet(((0, 65535),))
"""Every port, and every ICMP (type, code)."""


class Protocol(enum.IntEnum):
    """IP protocol numbers with a coordinate of their own (IANA "Assigned Internet Protocol Numbers")."""

    ICMP = 1
    TCP = 6
    UDP = 17
    ICMPV6 = 58
    SCTP = 132

    @property
    def has_ports(self) -> bool:
        """Whether the coordinate is a port."""
        return self in (Protocol.TCP, Protocol.UDP, Protocol.SCTP)


_FINE = tuple(Protocol)
_FINE_NUMBERS = frozenset(int(p) for p in _FINE)
_ATTRIBUTES = {int(p): p.name.lower() for p in _FINE}
_COARSE = IntervalSet.of((0, 255)) - IntervalSet.of(*((p, p) for p in sorted(_FINE_NUMBERS)))
_NOTHING = IntervalSet()


@dataclass(frozen=True, slots=True)
class TransportSet:
    """A set of (protocol, coordinate) points.

    >>> dns = TransportSet.ports(Protocol.UDP, 53) | TransportSet.ports(Protocol.TCP, 53)
    >>> dns <= TransportSet.any(), dns.contains(Protocol.TCP, 53), dns.contains(47)
    (True, True, False)
    """

    icmp: IntervalSet = _NOTHING
    tcp: IntervalSet = _NOTHING
    udp: IntervalSet = _NOTHING
    icmpv6: IntervalSet = _NOTHING
    sctp: IntervalSet = _NOTHING
    other: IntervalSet = _NOTHING
    """Protocol numbers without a coordinate; never one of `Protocol`."""

    @classmethod
    def any(cls) -> TransportSet:
        """Every protocol, every port."""
        return _ANY

    @classmethod
    def ports(cls, protocol: Protocol, low: int | IntervalSet, high: int | None = None) -> TransportSet:
        """Ports (or ICMP points) `low` to `high` of one protocol; one port where `high` is absent."""
        spans = low if isinstance(low, IntervalSet) else IntervalSet.of((low, low if high is None else high))
        return cls(**{protocol.name.lower(): spans & PORTS})

    @classmethod
    def icmp_types(cls, protocol: Protocol, *types: int) -> TransportSet:
        """Some types of ICMP or of ICMPv6, with any code."""
        return cls.ports(protocol, IntervalSet.of(*((one << 8, (one << 8) + 255) for one in types)))

    @classmethod
    def protocol(cls, number: int) -> TransportSet:
        """All of one protocol, by its number."""
        if number in _FINE_NUMBERS:
            return cls.ports(Protocol(number), PORTS)
        return cls(other=IntervalSet.single(number) & _COARSE)

    @classmethod
    def governed(cls) -> TransportSet:
        """TCP, UDP and SCTP: all that the NetworkPolicy API defines (types.go, NetworkPolicyPort)."""
        return _GOVERNED

    def of(self, protocol: Protocol) -> IntervalSet:
        """The coordinates of one protocol."""
        found: IntervalSet = getattr(self, _ATTRIBUTES[protocol])
        return found

    def contains(self, protocol: int, coordinate: int = 0) -> bool:
        """Whether one point is a member. The coordinate of a coarse protocol is ignored."""
        attribute = _ATTRIBUTES.get(protocol)
        return protocol in self.other if attribute is None else coordinate in getattr(self, attribute)

    def items(self) -> Iterator[tuple[Protocol, IntervalSet]]:
        """The fine protocols that have at least one point, by protocol number."""
        for protocol in _FINE:
            spans = self.of(protocol)
            if spans:
                yield protocol, spans

    def _parts(self) -> tuple[IntervalSet, ...]:
        return (self.icmp, self.tcp, self.udp, self.icmpv6, self.sctp, self.other)

    # Written out: these three are what most of the time of a large question goes into.

    def __or__(self, other: TransportSet) -> TransportSet:
        return TransportSet(
            self.icmp | other.icmp,
            self.tcp | other.tcp,
            self.udp | other.udp,
            self.icmpv6 | other.icmpv6,
            self.sctp | other.sctp,
            self.other | other.other,
        )

    def __and__(self, other: TransportSet) -> TransportSet:
        return TransportSet(
            self.icmp & other.icmp,
            self.tcp & other.tcp,
            self.udp & other.udp,
            self.icmpv6 & other.icmpv6,
            self.sctp & other.sctp,
            self.other & other.other,
        )

    def __sub__(self, other: TransportSet) -> TransportSet:
        return TransportSet(
            self.icmp - other.icmp,
            self.tcp - other.tcp,
            self.udp - other.udp,
            self.icmpv6 - other.icmpv6,
            self.sctp - other.sctp,
            self.other - other.other,
        )

    def __invert__(self) -> TransportSet:
        return _ANY - self

    def __le__(self, other: TransportSet) -> bool:
        return all(a <= b for a, b in zip(self._parts(), other._parts(), strict=True))

    def __bool__(self) -> bool:
        return any(part.spans for part in self._parts())

    def sort_key(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """A total order, so that canonical forms and printed forms are stable."""
        return tuple(part.spans for part in self._parts())


def _everything() -> Mapping[str, IntervalSet]:
    return {p.name.lower(): PORTS for p in _FINE} | {"other": _COARSE}


_ANY = TransportSet(**_everything())
_GOVERNED = TransportSet(tcp=PORTS, udp=PORTS, sctp=PORTS)
