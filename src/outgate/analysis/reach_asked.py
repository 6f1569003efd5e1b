"""What an answer of `can-reach` asks above TCP: of which ports, and between which of the ends that it speaks of.

A question may stand for many flows, of a workload, a block, a name. What is asked of one of them need not be asked of
the next: where a condition is not that of all that pass, those that have it are told.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.on_condition import Conditional, asked_of_trace
from outgate.analysis.reachability import Reachability
from outgate.packets import AddressSet, Protocol, TransportSet
from outgate.policy import Endpoint
from outgate.records import dataclass

__all__ = ["Among", "AskedOf", "asked_of"]


@dataclass(frozen=True, slots=True)
class Among:
    """Two ends, where there are several; `addresses` are all that are treated like the end outside."""

    source: Endpoint
    destination: Endpoint
    addresses: AddressSet | None = None


@dataclass(frozen=True, slots=True)
class AskedOf:
    """A condition on some ports, of which one rule has to have its own met."""

    part: Conditional
    among: tuple[Among, ...] = ()
    """The ends between which it is asked; empty where that is all between which anything passes."""


def asked_of(answer: Reachability) -> tuple[AskedOf, ...]:
    """All conditions of what passes, in the order in which they were found."""
    passing = list(_passing(answer))
    found: dict[Conditional, list[Among]] = {}
    for one, parts in passing:
        for part in parts:
            found.setdefault(part, []).append(one)
    return tuple(AskedOf(part, () if len(many) == len(passing) else tuple(many)) for part, many in found.items())


def _passing(answer: Reachability) -> Iterator[tuple[Among, tuple[Conditional, ...]]]:
    """The ends between which something passes, with what is asked there."""
    asked = answer.question.transport.protocol
    wanted = TransportSet.governed() if asked is None else TransportSet.protocol(asked)
    for pair in answer.ports.pairs if answer.ports is not None else ():
        if pair.allowed & wanted:
            parts = ((one, one.transports & wanted) for one in pair.on_condition)
            mine = tuple(Conditional(one.direction, left, one.rules) for one, left in parts if left)
            yield Among(pair.source, pair.destination, pair.addresses), mine
    for one in answer.flows:
        if one.trace.verdict.allows:
            flow = one.trace.flow
            port = flow.coordinate if flow.dialled is None else flow.dialled[1]
            dialled = TransportSet.ports(Protocol(flow.protocol), port)
            yield Among(flow.source, flow.destination, one.addresses), asked_of_trace(one.trace, dialled)
