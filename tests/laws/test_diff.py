"""The diff of two random clusters is what the slow evaluator says of both, and turns the one list into the other.

The second cluster is the first under other policies, the first with its labels dealt out anew and a pod gone, or
another altogether; pods belong to workloads by their names alone, so that workloads are split on one side, on both,
or on neither.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.changes import Change, Shift
from outgate.analysis.connections import Connections, External
from outgate.analysis.diff import ConnectionDiff, diff
from outgate.analysis.groups import Group
from outgate.analysis.matching import Matched
from outgate.model import Direction, Owner, Pod, Snapshot
from outgate.packets import Address, PacketSet, Protocol, TransportSet
from outgate.policy import Endpoint
from outgate.testing import Manifest, random_cluster, snapshot_of
from tests.laws.reference import Reference
from tests.laws.traffic import Traffic

SEEDS = st.integers(0, 2**32 - 1)
GOVERNED = TransportSet.governed()
PROTOCOLS = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
PORTS = (0, 1, 52, 53, 54, 80, 81, 443, 444, 8080, 8081, 65535)


def dealt(snapshot: Snapshot, seed: int) -> Snapshot:
    """The cluster with its pods dealt out to two workloads a namespace, by their names; some belong to none."""
    owners = (None, Owner("Deployment", "one"), Owner("StatefulSet", "two"))
    pods = [dataclasses.replace(pod, owner=random.Random(f"{seed} {pod.name}").choice(owners)) for pod in snapshot.pods]
    return dataclasses.replace(snapshot, pods=tuple(pods))


def two_clusters(seed: int, other: int) -> tuple[list[Manifest], list[Manifest]]:
    """A cluster, and what became of it."""
    first, second = random_cluster(seed), random_cluster(other)
    match other % 3:
        case 0:
            kept = [one for one in first if one["kind"] != "NetworkPolicy"]
            return first, [*kept, *(one for one in second if one["kind"] == "NetworkPolicy")]
        case 1:
            return first, _relabelled(first, random.Random(other))
    return first, second


def _relabelled(manifests: list[Manifest], chance: random.Random) -> list[Manifest]:
    pods = [one for one in manifests if one["kind"] == "Pod"]
    labels = [one["metadata"]["labels"] for one in pods]
    chance.shuffle(labels)
    changed = [one | {"metadata": one["metadata"] | {"labels": mine}} for one, mine in zip(pods, labels, strict=True)]
    return [*(one for one in manifests if one["kind"] != "Pod"), *changed[1:]]


class Both:
    """Two clusters, what the slow evaluator makes of each, and the diff."""

    def __init__(self, seed: int, other: int) -> None:
        manifests = two_clusters(seed, other)
        self.old, self.new = (dealt(snapshot_of(one), seed) for one in manifests)
        self.slow: tuple[Reference, ...] = tuple(
            Reference(list(one), {pod.key: list(pod.addresses) for pod in snapshot.endpoints})
            for one, snapshot in zip(manifests, (self.old, self.new), strict=True)
        )
        self.found = diff(self.old, self.new)

    def pods(self) -> Iterator[tuple[Group, Pod, Pod]]:
        """The pods that are on both sides and belong to one workload there, each with the piece that it is in."""
        ends = {pod.key: pod for pod in self.old.endpoints}
        for piece in self.found.pieces:
            for pod in piece.group.pods:
                before, after = ends.get(pod.key), self.new.pod(*pod.key)
                if after is None or after.finished or piece.before is None or piece.after is None or before is None:
                    continue
                # Of a workload whose parts were other ones, a part of now is compared with each that it may have been.
                was_there = any(one.key == pod.key for one in piece.before.pods)
                if before.owner == after.owner and was_there:
                    yield piece.group, before, after


def by_ends(found: ConnectionDiff) -> dict[tuple[object, object], Change]:
    """The changes between workloads."""
    inside = [one for one in found if isinstance(one.source, Group) and isinstance(one.destination, Group)]
    table: dict[tuple[object, object], Change] = {(one.source, one.destination): one for one in inside}
    assert len(table) == len(inside), "a pair is on the list once"
    return table


@given(SEEDS, SEEDS)
def test_pairs_are_the_reference(seed: int, other: int) -> None:
    """What is said of a piece must hold for each of its pods that is on both sides, at every border, in each family."""
    ask_pairs(Both(seed, other))


def ask_pairs(both: Both) -> None:
    """What the slow evaluators say of every two pods, and what the diff does."""
    changes = by_ends(both.found)
    pods = list(both.pods())
    for source, old_source, new_source in pods:
        for destination, old_destination, new_destination in pods:
            ties = (old_source, old_destination), (new_source, new_destination)
            if source.workload == destination.workload or any(one.host_network and one.node for one, _ in ties):
                continue
            change = changes.get((source, destination))
            for family in (4, 6):
                ends = [tuple(Endpoint.of_pod(pod, family) for pod in pair) for pair in ties]
                _ask_pair(both, change.shift if change is not None else None, family, ends)


def _ask_pair(both: Both, shift: Shift | None, family: int, ends: list[tuple[Endpoint | None, ...]]) -> None:
    addresses = []
    for one, other in ends:
        if one is None or other is None or one.address == other.address:
            return
        addresses.append((one.address, other.address))
    said = next((pair for known, *pair in shift.families if known == family), None) if shift is not None else None
    before, after = said or ((shift.before, shift.after) if shift is not None else (None, None))
    for protocol in PROTOCOLS:
        for port in PORTS:
            truth = [
                slow.allows_egress(*pair, protocol.name, port) and slow.allows_ingress(*pair, protocol.name, port)
                for slow, pair in zip(both.slow, addresses, strict=True)
            ]
            where = (family, addresses, protocol.name, port, truth)
            if before is None or after is None:
                assert truth[0] == truth[1], where
            else:
                assert truth == [before.contains(protocol, port), after.contains(protocol, port)], where


@given(SEEDS, SEEDS)
def test_outside_is_the_reference(seed: int, other: int) -> None:
    """An address outside is in one change of a piece at most, and there it is what the slow evaluators say."""
    both = Both(seed, other)
    taken = {one for side in (both.old, both.new) for pod in side.endpoints for one in pod.addresses}
    taken |= {one for side in (both.old, both.new) for node in side.nodes.values() for one in node.addresses}
    outside = [one for one in Traffic(both.new, seed).ends if one not in taken and not one.is_loopback]
    for group, before, after in both.pods():
        if before.host_network or after.host_network:
            continue
        for direction in Direction:
            for address in outside:
                _ask_outside(both, group, before, after, direction, address)


def _ask_outside(both: Both, group: Group, before: Pod, after: Pod, direction: Direction, address: Address) -> None:
    egress = direction is Direction.EGRESS
    mine = [next((one for one in pod.addresses if one.version == address.version), None) for pod in (before, after)]
    parts = [shift for part, shift in outside_changes(both.found, group, direction) if address in part.addresses]
    assert len(parts) <= 1
    for protocol in PROTOCOLS:
        for port in PORTS:
            truth = []
            for slow, own in zip(both.slow, mine, strict=True):
                if own is None:
                    return
                ask = (own, address, protocol.name, port) if egress else (address, own, protocol.name, port)
                truth.append(slow.allows_egress(*ask) if egress else slow.allows_ingress(*ask))
            if parts:
                assert truth == [one.contains(protocol, port) for one in (parts[0].before, parts[0].after)]
            else:
                assert truth[0] == truth[1], (str(before), direction, str(address), protocol.name, port)


def outside_changes(found: ConnectionDiff, group: Group, direction: Direction) -> Iterator[tuple[External, Shift]]:
    """The changes between a group and addresses outside, in one direction."""
    for one in found:
        mine, other = (one.source, one.destination) if direction is Direction.EGRESS else (one.destination, one.source)
        if mine is group and isinstance(other, External):
            yield other, one.shift


@given(SEEDS, SEEDS)
def test_the_diff_turns_the_old_list_into_the_new(seed: int, other: int) -> None:
    """For every pair of pieces and everything outside: old and the change give new, and no change says nothing."""
    found = Both(seed, other).found
    changes = by_ends(found)
    for source in found.pieces:
        for destination in found.pieces:
            if source.group.workload == destination.group.workload:
                assert (source.group, destination.group) not in changes
                continue
            before = _between(found.before, source.before, destination.before)
            after = _between(found.after, source.after, destination.after)
            change = changes.get((source.group, destination.group))
            if change is None:
                assert before == after
            else:
                assert (change.shift.before, change.shift.after) == (before, after)
                assert change.shift.opened or change.shift.closed
        _turn_outside(found, source)


def _between(found: Connections, source: Group | None, destination: Group | None) -> TransportSet:
    return TransportSet() if source is None or destination is None else found.between(source, destination) & GOVERNED


def _turn_outside(found: ConnectionDiff, piece: Matched) -> None:
    everything = PacketSet.cube(PacketSet.any().addresses(), GOVERNED)
    for direction in Direction:
        before, after = (
            PacketSet.none() if group is None else side.grid.outside(group.identity, direction) & everything
            for side, group in ((found.before, piece.before), (found.after, piece.after))
        )
        parts = list(outside_changes(found, piece.group, direction))
        gone = PacketSet.union_of((part.addresses, shift.closed) for part, shift in parts)
        come = PacketSet.union_of((part.addresses, shift.opened) for part, shift in parts)
        assert (before - gone) | come == after
        assert gone <= before
        assert not come & before
        # The coarsest: two parts in which the same happens would be one part, written twice.
        assert len({shift for _, shift in parts}) == len(parts)


@given(SEEDS)
def test_nothing_differs_from_itself(seed: int) -> None:
    """Neither the same snapshot nor one that was read again."""
    one, again = (dealt(snapshot_of(random_cluster(seed)), seed) for _ in range(2))
    assert not diff(one, one)
    assert not diff(one, again)


@given(SEEDS, SEEDS)
def test_the_way_back_is_the_mirror(seed: int, other: int) -> None:
    """What opens on the way there closes on the way back, for the same workloads."""
    both = Both(seed, other)
    back = diff(both.new, both.old)
    there = sorted(_mirrored(one, back=False) for one in both.found)
    assert there == sorted(_mirrored(one, back=True) for one in back)


def _mirrored(one: Change, *, back: bool) -> tuple[object, ...]:
    ends = [str(end.workload if isinstance(end, Group) else end) for end in (one.source, one.destination)]
    shift = one.shift
    sides = [shift.before.sort_key(), shift.after.sort_key(), shift.opened.sort_key(), shift.closed.sort_key()]
    if back:
        sides = [sides[1], sides[0], sides[3], sides[2]]
    return (*ends, *sides)
