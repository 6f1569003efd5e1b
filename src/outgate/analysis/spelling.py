"""Sets of packets in words that fit a line. Exact: what is shortened says how much was left out."""

from __future__ import annotations

from outgate.packets import AddressSet, IntervalSet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES
from outgate.packets.transport import PORTS

__all__ = ["spell_addresses", "spell_protocol", "spell_transports"]

_SPELLED = {Protocol.ICMPV6: "ICMPv6"}
_ORDER = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)


def spell_protocol(number: int) -> str:
    """A protocol as Kubernetes and IANA write it; ``protocol 47`` where it has no name here."""
    if number in tuple(Protocol):
        return _SPELLED.get(Protocol(number), Protocol(number).name)
    return f"protocol {number}"


def spell_transports(transports: TransportSet, most: int = 12) -> str:
    """``TCP 80, TCP 8000-8080, every UDP port``; at most so many ranges, and then how many more there are."""
    if transports == TransportSet.any():
        return "every port of every protocol"
    if not transports:
        return "no port"
    if TransportSet.governed() <= transports:
        words = ["every port of TCP, UDP and SCTP"]
    else:
        words = [text for protocol in _ORDER for text in _ports(protocol, transports.of(protocol))]
    if len(words) > most:
        words = [*words[:most], f"and {len(words) - most} more ranges"]
    words.extend(spell_protocol(one) for one in (Protocol.ICMP, Protocol.ICMPV6) if transports.of(one))
    if transports.other:
        words.append("other protocols")
    return ", ".join(words)


def _ports(protocol: Protocol, spans: IntervalSet) -> list[str]:
    if spans == PORTS:
        return [f"every {protocol.name} port"]
    return [f"{protocol.name} {low}" if low == high else f"{protocol.name} {low}-{high}" for low, high in spans]


def spell_addresses(addresses: AddressSet, most: int = 4) -> str:
    """``10.0.0.0/8``, ``0.0.0.0/0 except 169.254.169.254/32``: whichever of the two ways is shorter."""
    if not addresses:
        return "no address"
    words = [_family(addresses.only(family), AddressSet.whole(family), most) for family in FAMILIES]
    return ", ".join(word for word in words if word)


def _family(addresses: AddressSet, whole: AddressSet, most: int) -> str:
    if not addresses:
        return ""
    cidrs, holes = addresses.cidrs(), (whole - addresses).cidrs()
    if holes and len(holes) < len(cidrs):
        return f"{whole.cidrs()[0]} except {_some(holes, most)}"
    return _some(cidrs, most)


def _some(cidrs: tuple[str, ...], most: int) -> str:
    shown = ", ".join(cidrs[:most])
    return shown if len(cidrs) <= most else f"{shown} and {len(cidrs) - most} more blocks"
