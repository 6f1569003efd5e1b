"""Types of ICMP in a ruleset. A message has no port; what stands in its place has other bits than a port has.

A set of transports has a point for each type and code (``type * 256 + code``); rules name types with any code. Of a
reply the type is another one: a policy that lets echo requests go lets echo replies come back. Types without an answer
have no reply, and no line in a mirrored chain (nf_conntrack_proto_icmp.c, ``invmap``; nf_conntrack_proto_icmpv6.c
likewise).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from outgate.nft.objects import Compare, Field
from outgate.packets import IntervalSet, Protocol, TransportSet
from outgate.packets.transport import PORTS

__all__ = ["answer_type", "icmp_types", "without_icmp_types"]

_ANSWERS = {
    Protocol.ICMP: {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17},
    Protocol.ICMPV6: {128: 129, 129: 128, 139: 140, 140: 139},
}
_OF_FAMILY = {4: (Protocol.ICMP, Field.ICMP_TYPE), 6: (Protocol.ICMPV6, Field.ICMPV6_TYPE)}


def icmp_types(transports: TransportSet, family: int, *, mirrored: bool) -> Iterator[Compare]:
    """A comparison for each run of types that is in a set, where not all of the protocol is."""
    protocol, field = _OF_FAMILY[family]
    spans = transports.of(protocol)
    if not spans or spans == PORTS:
        return
    types = IntervalSet.of(*((low >> 8, high >> 8) for low, high in spans))
    if mirrored:
        answers = _ANSWERS[protocol]
        types = IntervalSet.of(*((answer, answer) for asked, answer in answers.items() if asked in types))
    for low, high in types:
        yield Compare(field, low, high)


def answer_type(protocol: int, asked: int | None) -> int | None:
    """The type of the answer to a type; None where there is none."""
    if protocol not in _ANSWERS:
        return asked
    return _ANSWERS[Protocol(protocol)].get(asked) if asked is not None else None


def without_icmp_types(transports: TransportSet) -> TransportSet:
    """A set without the messages of which only some types are in it."""
    gone = {
        protocol.name.lower(): IntervalSet()
        for protocol in _ANSWERS
        if transports.of(protocol) and transports.of(protocol) != PORTS
    }
    return dataclasses.replace(transports, **gone) if gone else transports
