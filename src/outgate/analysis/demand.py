"""A demand: packets that must all be allowed, or must all be denied."""

from __future__ import annotations

from outgate.analysis.ports import PairPorts
from outgate.model import Direction
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.policy import Endpoint, Judge, Verdict
from outgate.policy.meeting import About
from outgate.records import dataclass

__all__ = ["Demand"]


@dataclass(frozen=True, slots=True)
class Demand:
    """Packets between two ends, one of which may stand for a set of `addresses` outside the cluster.

    `wanted` None: nothing is demanded of them; they are what an `only` lists.
    """

    source: Endpoint
    destination: Endpoint
    asked: TransportSet
    wanted: Verdict | None
    pair: PairPorts | None = None
    """What passes, where both ends are known."""
    addresses: AddressSet | None = None
    near: Direction = Direction.EGRESS
    """Where `addresses` are given: the direction in which the known end is judged."""
    told: Judge | None = None
    """The judge of a cluster whose pods were told that `name` is at the destination: it answers, where it is given."""
    name: str = ""
    """The DNS name that was asked about, or the pattern of a rule."""
    about: About | None = None
    """What the packets are about, where that is asked; then `asked` has single ports alone."""

    @property
    def known(self) -> Endpoint:
        """The end that has policies."""
        return self.source if self.near is Direction.EGRESS else self.destination

    @property
    def far(self) -> Endpoint:
        """The other end, or the one that stands for the addresses."""
        return self.destination if self.near is Direction.EGRESS else self.source

    def packets(self, transports: TransportSet | None = None) -> PacketSet:
        """All packets of it, or those of some transports, seen from `known`."""
        addresses = self.addresses if self.addresses is not None else AddressSet.of((self.far.address,))
        return PacketSet.cube(addresses, self.asked if transports is None else transports)
