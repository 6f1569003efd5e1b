"""Sets of packets in words that fit a line. Exact: what is shortened says how much was left out."""

from __future__ import annotations

from collections.abc import Iterator

from outgate.model.cilium import HttpMatch
from outgate.packets import AddressSet, IntervalSet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES
from outgate.packets.transport import PORTS
from outgate.policy.rules import Conditions

__all__ = ["exceptions", "spell_addresses", "spell_conditions", "spell_protocol", "spell_transports"]

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
    words.extend(_icmp(one, transports.of(one)) for one in (Protocol.ICMP, Protocol.ICMPV6) if transports.of(one))
    if transports.other:
        words.append("other protocols")
    return ", ".join(words)


def _icmp(protocol: Protocol, spans: IntervalSet) -> str:
    """``ICMP``, ``ICMP type 8``, ``ICMP types 0, 8``: a type is 256 points, one for each code."""
    if spans == PORTS:
        return spell_protocol(protocol)
    types = sorted({one for low, high in spans for one in range(low >> 8, (high >> 8) + 1)})
    some = _some(tuple(map(str, types)), 4, "types")
    return f"{spell_protocol(protocol)} type{'s' * (len(types) > 1)} {some}"


def _ports(protocol: Protocol, spans: IntervalSet) -> list[str]:
    if spans == PORTS:
        return [f"every {protocol.name} port"]
    return [f"{protocol.name} {low}" if low == high else f"{protocol.name} {low}-{high}" for low, high in spans]


def spell_addresses(addresses: AddressSet, most: int = 4) -> str:
    """``10.0.0.0/8``, ``every address except 169.254.169.254/32``: whichever of the two ways is shorter.

    Of a family with exceptions what stands behind "except" is the last, so that no block is read as one more exception.
    """
    if not addresses:
        return "no address"
    excepted = exceptions(addresses)
    if excepted:
        return f"{_every(addresses)} except {_some(excepted, most)}"
    plain, holed = [], []
    for one in (addresses.only(family) for family in FAMILIES):
        if one and exceptions(one):
            holed.append(spell_addresses(one, most))
        elif one:
            plain.append(_some(one.cidrs(), most))
    return ", ".join([*plain, *holed])


def exceptions(addresses: AddressSet) -> tuple[str, ...]:
    """The blocks that are missing of every address of one family, or of both, where these are fewer; else none."""
    missing: list[str] = []
    for family in FAMILIES:
        mine, whole = addresses.only(family), AddressSet.whole(family)
        holes = (whole - mine).cidrs()
        if mine and len(holes) >= len(mine.cidrs()):
            return ()
        missing += holes if mine else ()
    return tuple(missing)


def _every(addresses: AddressSet) -> str:
    families = [family for family in FAMILIES if addresses.only(family)]
    return "every address" if len(families) > 1 else f"every IPv{families[0]} address"


def _some(every: tuple[str, ...], most: int, noun: str = "blocks") -> str:
    shown = ", ".join(every[:most])
    return shown if len(every) <= most else f"{shown} and {len(every) - most} more {noun}"


def spell_conditions(conditions: Conditions) -> Iterator[str]:
    """What a rule asks above TCP, of which one must be met: ``requests of HTTP GET /v1``."""
    yield from (f"requests of HTTP {_request(one)}" for one in conditions.http)
    if conditions.dns:
        names = ", ".join(one.name or one.pattern for one in conditions.dns)
        yield f"questions of DNS for {names}"
    if conditions.server_names:
        yield f"TLS to a server named {', '.join(conditions.server_names)}"


def _request(one: HttpMatch) -> str:
    parts = [one.method or "*", one.path or "*"]
    parts += [f"to host {one.host}"] if one.host else []
    parts += [f"with {header.name}{'' if header.value is None else f': {header.value}'}" for header in one.headers]
    return " ".join(parts)
