"""What is asked and what is answered, as values. `reach` makes the second of the first."""

from __future__ import annotations

from outgate.analysis.lookup import Target
from outgate.analysis.notes import Hint
from outgate.analysis.ports import PairPorts
from outgate.analysis.targets import TransportAsked
from outgate.packets import Address, AddressSet, PacketSet, TransportSet
from outgate.packets.addresses import Family
from outgate.packets.packetset import Cube
from outgate.policy import OUTGATE, Profile, Side, Trace, Verdict
from outgate.policy.meeting import About
from outgate.records import dataclass

__all__ = ["OUTSIDE", "Judged", "PortsAnswer", "Question", "Reachability", "Split", "by_address"]

OUTSIDE = "outside the cluster no NetworkPolicy applies"
"""The reason of the side of a block, where no single address of it is meant."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a new connection from one end to another."""

    source: Target
    destination: Target
    transport: TransportAsked
    family: Family | None = None
    """4 or 6 where it was asked for."""
    about: About | None = None
    """What the connection is about, where that is asked."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One flow and its verdict. `addresses`: of the asked block, those that are treated like this one."""

    trace: Trace
    addresses: AddressSet | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """An asked block, divided: which of its addresses can be reached (or can reach), and which cannot."""

    allowed: AddressSet
    denied: AddressSet


@dataclass(frozen=True, slots=True)
class PortsAnswer:
    """Where no port was asked: `everywhere` passes between all ends of the question."""

    everywhere: TransportSet
    pairs: tuple[PairPorts, ...] = ()
    by_address: PacketSet | None = None
    """Of an asked block: what passes for which address."""


@dataclass(frozen=True, slots=True)
class Reachability:
    """The answer. `protocol`, `port` and `address` are of the packet as the source sends it.

    `port` is None where none was asked or the protocol has none, `address` where there are several or the input
    gives none.
    """

    question: Question
    protocol: int | None
    port: int | str | None
    address: Address | None
    verdict: Verdict
    specified: bool
    egress: Side
    ingress: Side
    deciding: Trace | None = None
    """The flow that egress and ingress speak of; None where a set of ports was asked for, or nobody is there."""
    flows: tuple[Judged, ...] = ()
    ports: PortsAnswer | None = None
    split: Split | None = None
    failure: str = ""
    """Why the connection fails before any policy is asked; empty where policy decides."""
    open_points: tuple[str, ...] = ()
    """What the API leaves open and the verdict depends on, in words; empty where it is specified."""
    hints: tuple[Hint, ...] = ()
    notes: tuple[str, ...] = ()
    """What the reader should know about the input."""
    profile: Profile = OUTGATE
    """How the points that the API leaves open were read."""

    def __bool__(self) -> bool:
        """Whether it is allowed."""
        return self.verdict.allows


def by_address(answer: Reachability) -> tuple[Cube, ...]:
    """Of a block, which ports pass for which addresses; empty where that is the same for all of it."""
    found = answer.ports.by_address if answer.ports is not None else None
    if found is None:
        return ()
    alike = len(found.cubes) < 2 and (answer.split is None or not answer.split.denied)
    return () if alike else found.cubes
