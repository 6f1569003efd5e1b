"""Ports that pass on a condition above TCP alone: a request, a question of DNS, the name of a server of TLS.

Which of several rules has its condition met is not decided by ports, so they are alternatives; but each speaks of its
own ports. `by_rules` cuts a set of ports into the parts of which the same rules speak, and `apart` one of addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from outgate.model import Direction
from outgate.model.cilium import HttpMatch
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.policy import Rule, Trace
from outgate.policy.rules import Conditions
from outgate.records import dataclass

__all__ = ["Asked", "Conditional", "apart", "asked_of_trace", "by_rules", "chosen"]


@dataclass(frozen=True, slots=True)
class Conditional:
    """Ports that one end of a connection lets through only where one of these rules has its condition met."""

    direction: Direction
    transports: TransportSet
    rules: tuple[Rule, ...]

    @property
    def chooses(self) -> bool:
        """Whether it leaves anything out of what the protocol has: any request of HTTP, and any question, do not."""
        asked = [rule.conditions or Conditions() for rule in self.rules]
        return not any(
            any(one == HttpMatch() for one in each.http) or any(one.pattern == "*" for one in each.dns)
            for each in asked
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """The same, and of which addresses of the end outside it is asked; None where that is all of them."""

    part: Conditional
    addresses: AddressSet | None = None


def chosen(asked: Iterable[Conditional]) -> TransportSet:
    """The ports on which only some of what the protocol has passes."""
    found = TransportSet()
    for one in asked:
        if one.chooses:
            found |= one.transports
    return found


def asked_of_trace(trace: Trace, transports: TransportSet) -> tuple[Conditional, ...]:
    """What each end asks of a flow that was judged; `transports`: its port, as it is to be said."""
    sides = (trace.egress, trace.ingress)
    return tuple(Conditional(one.direction, transports, one.conditional) for one in sides if one.conditional)


def by_rules(
    transports: TransportSet, rules: Sequence[tuple[Rule, TransportSet]]
) -> Iterator[tuple[TransportSet, tuple[Rule, ...]]]:
    """The parts of some ports, each with the rules of which one must be met there: 443 for a name, 80 for a request."""
    parts: list[tuple[TransportSet, tuple[Rule, ...]]] = [(transports, ())]
    for rule, its in rules:
        cut = ((part & its, (*mine, rule)) for part, mine in parts), ((part - its, mine) for part, mine in parts)
        parts = [one for many in zip(*cut, strict=True) for one in many if one[0]]
    return (one for one in parts if one[1])


def apart(
    addresses: AddressSet, transports: TransportSet, extents: Iterable[tuple[Rule, PacketSet]]
) -> list[tuple[AddressSet, tuple[tuple[Rule, TransportSet], ...]]]:
    """The parts of some addresses of which the same rules speak on some ports, each with the rules and their ports."""
    parts: list[tuple[AddressSet, tuple[tuple[Rule, TransportSet], ...]]] = [(addresses, ())]
    for rule, extent in extents:
        for block, ports in extent & PacketSet.cube(addresses, transports):
            cut = ((some & block, (*mine, (rule, ports))) for some, mine in parts)
            parts = [one for one in (*cut, *((some - block, mine) for some, mine in parts)) if one[0]]
    return parts
