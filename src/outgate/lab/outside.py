"""Which addresses outside the cluster are worth a probe.

Of each address block of a policy: one address inside, one in each exception, and one just outside. Of
everything else: one address that no block of any policy covers, to stand for the internet, and the addresses at
which clouds hand out credentials.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from outgate.lab.addressing import GATEWAYS
from outgate.model import AnyRule, BlockPeer, Direction, Policy, Snapshot
from outgate.model.objects import Address, Network
from outgate.packets import AddressSet
from outgate.packets.addresses import address_of

__all__ = ["METADATA", "METADATA_PORT", "Outside", "Point", "Position", "blocks"]

METADATA: tuple[Address, ...] = (ipaddress.ip_address("169.254.169.254"), ipaddress.ip_address("fd00:ec2::254"))
"""Where the instance metadata services of AWS, Google Cloud, Azure and others answer, and AWS's by IPv6."""

METADATA_PORT = 80

_KNOWN: tuple[Address, ...] = tuple(
    map(
        ipaddress.ip_address,
        ("203.0.113.10", "198.51.100.10", "192.0.2.10", "1.1.1.1", "8.8.8.8", "2001:db8::10", "2606:4700:4700::1111"),
    )
)
"""Tried first, because a reader knows them: addresses for documentation (RFC 5737, RFC 3849) and public resolvers."""

_UNROUTED = AddressSet.union_of(
    AddressSet.network(block)
    for block in (
        *("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4"),
        *("::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8"),
    )
)
"""No packet to or from these crosses a router (RFC 6890)."""


_DOCUMENTATION = AddressSet.union_of(
    map(AddressSet.network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)


class Position(enum.Enum):
    """Where an address lies, seen from a block."""

    INSIDE = "inside"
    EXCEPTED = "in an exception of"
    OUTSIDE = "just outside"


@dataclass(frozen=True, slots=True)
class Point:
    """One address to probe, and why."""

    address: Address
    position: Position
    block: Network

    def __str__(self) -> str:
        return f"{self.position.value} {self.block}"


class Outside:
    """The addresses of the world, for one snapshot in which everything has its address."""

    def __init__(self, snapshot: Snapshot, world: Iterable[Address] = ()) -> None:
        taken = [*world, *GATEWAYS]
        taken += (one for pod in snapshot.endpoints for one in pod.addresses)
        taken += (one for node in snapshot.nodes.values() for one in node.addresses)
        taken += (one for service in snapshot.services for one in (*service.cluster_ips, *service.external_ips))
        taken += (end for one in snapshot.slices for each in one.endpoints for end in each.addresses)
        self._answering = AddressSet.any() - _UNROUTED - AddressSet.of(taken)
        self._blocks = AddressSet.union_of(
            AddressSet.network(peer.cidr)
            for policy in snapshot.every_policy
            for direction in Direction
            for rule in policy.rules(direction)
            for peer in blocks(rule)
            if peer.cidr.prefixlen
        )

    def internet(self, family: int) -> Address | None:
        """An address that no policy names (a block of everything does not count); None where all are named."""
        return self.one((self._answering - self._blocks - AddressSet.of(METADATA)).only(family))

    def fresh(self, family: int, taken: AddressSet) -> Address | None:
        """An address that no policy names and nobody has taken: one for documentation, as long as there are any."""
        free = (self._answering - self._blocks - AddressSet.of(METADATA) - taken).only(family)
        return self.one(free & _DOCUMENTATION) or self.one(free)

    def points(self, policy: Policy, rule: AnyRule) -> Iterator[Point]:
        """The addresses to probe for the blocks of one rule. An address is left out where none answers in the lab."""
        everything = [peer for direction in Direction for one in policy.rules(direction) for peer in blocks(one)]
        covered = AddressSet.union_of(AddressSet.network(peer.cidr) for peer in everything)
        for peer in blocks(rule):
            whole = AddressSet.network(peer.cidr)
            holes = AddressSet.union_of(map(AddressSet.network, peer.excepts))
            found = [(self.one(whole - holes), Position.INSIDE, peer.cidr)]
            found += ((self.one(AddressSet.network(hole)), Position.EXCEPTED, peer.cidr) for hole in peer.excepts)
            found.append((self._beside(peer.cidr, covered), Position.OUTSIDE, peer.cidr))
            yield from (Point(address, position, block) for address, position, block in found if address is not None)

    def one(self, among: AddressSet) -> Address | None:
        """A member that answers: one that readers know, else the lowest that is not the number of a whole network."""
        usable = among & self._answering
        for known in _KNOWN:
            if known in usable:
                return known
        for version in (4, 6):
            for low, high in usable.family(version):
                return address_of(version, low + 1 if low & 0xFF == 0 and low < high else low)
        return None

    def _beside(self, block: Network, covered: AddressSet) -> Address | None:
        """The nearest address after the block, else before it, that no block of the policy covers."""
        free = (self._answering - covered).family(block.version)
        above = next((low for low, _ in free if low > int(block.broadcast_address)), None)
        below = list(islice((high for _, high in reversed(free.spans) if high < int(block.network_address)), 1))
        nearest = above if above is not None else below[0] if below else None
        return None if nearest is None else address_of(block.version, nearest)


def blocks(rule: AnyRule) -> Iterator[BlockPeer]:
    """The address blocks among the peers of a rule."""
    return (peer for peer in rule.peers or () if isinstance(peer, BlockPeer))
