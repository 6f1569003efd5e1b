"""Questions about a whole block of addresses: all of it, some of it, or none.

A block is cut into pieces in which every address is treated alike, and one flow is judged for each piece:

    * each pod's and each node's address inside the block is a piece of its own, because the other end of such a
      flow is known and has policies too; so is each Service address that would be translated;
    * the rest is outside the cluster, and is cut where the decision of the one known end cuts it.

The pieces are disjoint and together are the block, so the answer is exact for each of its addresses. A block that
a pod sends to is taken without loopback and without the pod's own addresses: what never leaves the pod would turn
every "none of 0.0.0.0/0" into "some".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from outgate.analysis.flows import Aim, aims
from outgate.analysis.lookup import AddressTarget
from outgate.analysis.ports import PairPorts, pair_ports
from outgate.analysis.targets import TransportAsked
from outgate.model import Direction, Pod, Snapshot
from outgate.packets import Address, AddressSet, PacketSet, Protocol, TransportSet
from outgate.packets.addresses import Network
from outgate.packets.packetset import Cube
from outgate.policy import BlockMatch, Endpoint, Judge, Policies, Rule
from outgate.policy.endpoints import LOOPBACK, TO_MANY
from outgate.policy.selection import resolve
from outgate.policy.tiers import allowed
from outgate.records import dataclass

__all__ = ["BlockPorts", "Piece", "beyond_the_cluster", "block_ports", "pieces", "rule_beyond"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Addresses that are treated alike, and the flows that are judged for them (several behind a Service)."""

    addresses: AddressSet
    aims: tuple[Aim, ...]


def pieces(
    judge: Judge, block: Network, known: Endpoint, direction: Direction, asked: TransportAsked, coordinate: int
) -> Iterator[Piece]:
    """The pieces of a block for one protocol and port, seen from the end that is known.

    `direction` is the known end's: EGRESS where the block is the destination.
    """
    snapshot = judge.policies.snapshot
    protocol = asked.protocol if asked.protocol is not None else int(Protocol.TCP)
    rest = _beyond(block, known, direction)
    single: dict[Address, tuple[Aim, ...]] = {
        address: (Aim(Endpoint.at(snapshot, address), protocol, coordinate),)
        for address in _inside(snapshot, block, rest)
    }
    if direction is Direction.EGRESS:
        for address in _service_addresses(snapshot, block, rest):
            found = aims(snapshot, AddressTarget((address,)), asked, address.version).aims
            if address not in single and found and found[0].dialled is not None:
                single[address] = found
    for part in _cut(judge, rest - AddressSet.of(single), known, direction, protocol, coordinate):
        yield Piece(part, (Aim(Endpoint(part.lowest()), protocol, coordinate),))
    for address, there in single.items():
        yield Piece(AddressSet.of((address,)), there)


def _cut(
    judge: Judge, rest: AddressSet, known: Endpoint, direction: Direction, protocol: int, coordinate: int
) -> Iterator[AddressSet]:
    """Addresses outside the cluster, cut where the decision of the known end, or the API's silence, cuts them."""
    hits = [rest]
    if known.pod is not None and known.isolatable:
        parts = (part.packets for part in judge.policies.decision(known.pod, direction).parts)
        hits = [
            AddressSet.union_of(mine for mine, transports in packets if transports.contains(protocol, coordinate))
            for packets in parts
        ]
    for hit in hits:
        for part in (hit & rest & TO_MANY, (hit & rest) - TO_MANY):
            yield from _by_conditions(judge, part, known, direction)


@dataclass(frozen=True, slots=True)
class BlockPorts:
    """What passes between the known end and a block: the addresses are the block's."""

    allowed: PacketSet
    addresses: AddressSet
    """Those that the answer is about."""
    pairs: tuple[PairPorts, ...]
    """One for each address inside that is known, and one for each way in which the rest is treated."""


def block_ports(judge: Judge, block: Network, known: Endpoint, direction: Direction) -> BlockPorts:
    """Every transport that passes, for every address of the block. `direction` is the known end's."""
    snapshot = judge.policies.snapshot
    rest = _beyond(block, known, direction)
    cubes: list[Cube] = []
    pairs: list[PairPorts] = []
    single = [Endpoint.at(snapshot, address) for address in _inside(snapshot, block, rest)]
    about = rest
    rest -= AddressSet.of(end.address for end in single)
    outside = _same_treatment(judge, rest, known, direction)
    for addresses, end in [*((AddressSet.of((end.address,)), end) for end in single), *outside]:
        source, destination = (known, end) if direction is Direction.EGRESS else (end, known)
        pair = replace(pair_ports(judge, source, destination), addresses=addresses)
        pairs.append(pair)
        cubes.append((addresses, pair.allowed))
    return BlockPorts(PacketSet.union_of(cubes), about, tuple(pairs))


def _same_treatment(
    judge: Judge, rest: AddressSet, known: Endpoint, direction: Direction
) -> Iterator[tuple[AddressSet, Endpoint]]:
    """The rest, grouped by what may pass, each group with one of its addresses."""
    if known.pod is None or not known.isolatable:
        cubes: tuple[Cube, ...] = ((rest, TransportSet.any()),)
    else:
        allowed = judge.policies.decision(known.pod, direction).allowed().restrict(rest)
        cubes = (*allowed.cubes, (rest - allowed.addresses(), TransportSet()))
    for addresses, _ in cubes:
        for part in _by_conditions(judge, addresses, known, direction):
            yield part, Endpoint(part.lowest())


def _by_conditions(judge: Judge, addresses: AddressSet, known: Endpoint, direction: Direction) -> Iterator[AddressSet]:
    """Some addresses outside of the cluster, cut so that what rules ask above TCP is asked of all of a part."""
    parts = [addresses]
    if known.pod is not None and known.isolatable:
        for rule in judge.policies.isolation(known.pod, direction).every_rule():
            if rule.conditions is not None:
                block = rule_beyond(judge.policies, rule, known.pod)[0]
                parts = [piece for part in parts for piece in (part & block, part - block) if piece]
    return (part for part in parts if part)


def _beyond(block: Network, known: Endpoint, direction: Direction) -> AddressSet:
    """The block without what never leaves the pod, unless that is all of it."""
    whole = AddressSet.network(block)
    if direction is Direction.INGRESS or known.pod is None:
        return whole
    return whole - LOOPBACK - AddressSet.of(known.pod.addresses) or whole


def _inside(snapshot: Snapshot, block: Network, wanted: AddressSet) -> list[Address]:
    """The addresses of pods and nodes among those wanted, each once, ascending."""
    pods = (address for pod in snapshot.endpoints for address in pod.addresses)
    nodes = (address for node in snapshot.nodes.values() for address in node.addresses)
    return _within(block, wanted, (*pods, *nodes))


def _service_addresses(snapshot: Snapshot, block: Network, wanted: AddressSet) -> list[Address]:
    found = (one for service in snapshot.services for one in (*service.cluster_ips, *service.external_ips))
    return _within(block, wanted, found)


def _within(block: Network, wanted: AddressSet, addresses: Iterable[Address]) -> list[Address]:
    found = {one for one in addresses if one.version == block.version and one in block and one in wanted}
    return sorted(found, key=int)


def beyond_the_cluster(judge: Judge, pod: Pod, direction: Direction) -> PacketSet:
    """What may pass between a pod and addresses that are no pod's in the cluster: selectors match none of them."""
    isolation = judge.policies.isolation(pod, direction)
    if not isolation.governed:
        return PacketSet.any()
    if isolation.united:
        return PacketSet.union_of(rule_beyond(judge.policies, rule, pod) for rule in isolation.rules)
    return allowed(isolation, PacketSet.any(), lambda rule: PacketSet.cube(*rule_beyond(judge.policies, rule, pod)))


def rule_beyond(policies: Policies, rule: Rule, pod: Pod) -> Cube:
    """The packets of one rule that selects a pod, between it and addresses that are no pod's in the cluster."""
    transports = TransportSet.any() if rule.ports is None else rule.ports.numbers
    if rule.ports is not None and rule.direction is Direction.INGRESS:
        # A port name means nothing where there is no pod to ask (concept page, "Targeting a Port by name").
        transports |= resolve(rule.ports.names, pod)
    if rule.peers is None:
        return AddressSet.any(), transports
    blocks = (policies.selection.beyond(one) for one in rule.peers if isinstance(one, BlockMatch))
    return AddressSet.union_of(blocks), transports
