"""The list of connections against the slow evaluator: every pair of pods, every border, both families, and outside.

The pods of a random cluster are given to a few workloads without regard to their labels, so that workloads have to be
split, and each pod of a group is asked about by itself.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.analysis.connections import Connections, connections
from outgate.analysis.groups import Group
from outgate.model import Direction, Owner, Pod, Snapshot
from outgate.packets import Address, AddressSet, Protocol
from outgate.policy import PROFILES, Endpoint, Flow, Judge, Policies
from outgate.policy.grid import lens_of
from outgate.testing import random_cluster, snapshot_of
from tests.laws.reference import Reference
from tests.laws.traffic import Traffic

# Each example asks about every pair of pods, every port and both families.
EXAMPLES = settings.default.max_examples // 3 if settings.default is not None else 33
SEEDS = st.integers(0, 2**32 - 1)
PROTOCOLS = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
PORTS = (0, 1, 52, 53, 54, 79, 80, 81, 442, 443, 444, 8079, 8080, 8081, 8082, 65534, 65535)


def owned(snapshot: Snapshot, seed: int) -> Snapshot:
    """The cluster with its pods dealt out to two workloads a namespace; some belong to none."""
    chance = random.Random(seed)
    owners = (None, Owner("Deployment", "one"), Owner("StatefulSet", "two"))
    pods = [dataclasses.replace(pod, owner=chance.choice(owners)) for pod in snapshot.pods]
    return dataclasses.replace(snapshot, pods=tuple(pods))


def reference_of(manifests: list[dict[str, object]], snapshot: Snapshot) -> Reference:
    """The slow evaluator of the same cluster."""
    return Reference(manifests, {pod.key: list(pod.addresses) for pod in snapshot.endpoints})


def pairs(found: Connections) -> Iterator[tuple[Group, Group, Pod, Pod]]:
    """Every two pods of two workloads that are not tied by their node."""
    for source in found.groups.all:
        for destination in found.groups.all:
            if source.workload == destination.workload:
                continue
            for one in source.pods:
                for other in destination.pods:
                    if not (one.host_network and one.node and one.node == other.node):
                        yield source, destination, one, other


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_pairs_are_the_reference(seed: int) -> None:
    """What is listed for a group must hold for each of its pods, in each family, at each border of a rule."""
    manifests = random_cluster(seed)
    snapshot = owned(snapshot_of(manifests), seed)
    slow, found = reference_of(manifests, snapshot), connections(snapshot)
    for source, destination, one, other in pairs(found):
        for family, transports in found.by_family(source, destination):
            start, end = Endpoint.of_pod(one, family), Endpoint.of_pod(other, family)
            assert start is not None
            assert end is not None
            if start.address == end.address:
                continue
            for protocol in PROTOCOLS:
                for port in PORTS:
                    ask = (start.address, end.address, protocol.name, port)
                    expected = slow.allows_egress(*ask) and slow.allows_ingress(*ask)
                    assert transports.contains(protocol, port) == expected, (str(one), str(other), family, *ask)


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_outside_is_the_reference(seed: int) -> None:
    """An address outside belongs to one part at most, and passes there exactly what the policies let pass."""
    manifests = random_cluster(seed)
    snapshot = owned(snapshot_of(manifests), seed)
    slow, found = reference_of(manifests, snapshot), connections(snapshot)
    taken = {one for pod in snapshot.endpoints for one in pod.addresses}
    taken |= {one for node in snapshot.nodes.values() for one in node.addresses}
    outside = [one for one in Traffic(snapshot, seed).ends if one not in taken and not one.is_loopback]
    for group in found.groups.all:
        for direction in Direction:
            for pod in group.pods:
                if not pod.host_network:
                    ask_outside(found, slow, group, pod, direction, outside)


def ask_outside(
    found: Connections, slow: Reference, group: Group, pod: Pod, direction: Direction, outside: list[Address]
) -> None:
    """What passes between a pod and each address, by the list and by the reference."""
    egress = direction is Direction.EGRESS
    for address in outside:
        mine = next((one for one in pod.addresses if one.version == address.version), None)
        if mine is None:
            continue
        parts = [transports for part, transports in found.outside(group, direction) if address in part.addresses]
        assert len(parts) <= 1
        for protocol in PROTOCOLS:
            for port in PORTS:
                ends = (mine, address) if egress else (address, mine)
                ask = (*ends, protocol.name, port)
                expected = slow.allows_egress(*ask) if egress else slow.allows_ingress(*ask)
                assert (bool(parts) and parts[0].contains(protocol, port)) == expected, (str(pod), *ask)


@settings(max_examples=EXAMPLES)
@given(SEEDS, st.sampled_from(sorted(PROFILES)))
def test_every_profile_is_judged_alike(seed: int, name: str) -> None:
    """The list of a profile and the flows judged one at a time under it are two readings of one thing."""
    snapshot = owned(snapshot_of(random_cluster(seed, crowded=seed % 2 == 1)), seed)
    policies = Policies(snapshot, PROFILES[name])
    judge, found = Judge(policies), connections(snapshot, PROFILES[name])
    for source, destination, one, other in pairs(found):
        if other.host_network and other.node and other.node == one.node:
            continue
        for family, transports in found.by_family(source, destination):
            start, end = Endpoint.of_pod(one, family), Endpoint.of_pod(other, family)
            assert start is not None
            assert end is not None
            if start.address == end.address:
                continue
            points = [(int(protocol), port) for protocol in PROTOCOLS for port in PORTS]
            for point in (*points, (int(Protocol.ICMP), 8 << 8), (47, 0)):
                trace = judge.judge(Flow(start, end, *point))
                assert transports.contains(*point) == trace.verdict.allows, (name, str(one), str(other), family, point)


@given(SEEDS)
def test_families_are_told_apart_where_they_differ(seed: int) -> None:
    """Not said where they differ, it is a wrong answer for one of them; said everywhere, nobody reads it."""
    found = connections(owned(snapshot_of(random_cluster(seed)), seed))
    for one in found:
        if isinstance(one.source, Group) and isinstance(one.destination, Group):
            mine = found.by_family(one.source, one.destination)
            differ = any(transports != one.transports for _, transports in mine)
            assert one.families == (mine if differ else ())
            assert one.transports == found.between(one.source, one.destination)


@given(SEEDS)
def test_parts_outside_are_the_coarsest(seed: int) -> None:
    """Two parts in which the same passes would be one part, written twice."""
    found = connections(owned(snapshot_of(random_cluster(seed)), seed))
    for group in found.groups.all:
        for direction in Direction:
            parts = found.outside(group, direction)
            assert len({transports for _, transports in parts}) == len(parts)
            together = AddressSet.union_of(part.addresses for part, _ in parts)
            assert together.size() == sum(part.addresses.size() for part, _ in parts)


@given(SEEDS, SEEDS)
def test_a_change_gives_the_list_made_anew(seed: int, other: int) -> None:
    """What is taken over from the list before a change must not show in the list after it, whatever the change."""
    snapshot = owned(snapshot_of(random_cluster(seed)), seed)
    before = connections(snapshot)
    list(before)
    kept = snapshot.policies[: other % (len(snapshot.policies) + 1)]
    stranger = snapshot_of(random_cluster(other)).policies
    changed = snapshot.with_policies({one.name: one for one in (*kept, *stranger)}.values())
    for after in (changed, snapshot):
        before = connections(after, previous=before)
        assert listed(before) == listed(connections(after))


@given(SEEDS, SEEDS, st.sampled_from(sorted(PROFILES)), st.sampled_from(sorted(PROFILES)))
def test_nothing_is_kept_of_what_changed(seed: int, other: int, first: str, second: str) -> None:
    """Pods with other labels, namespaces with others, another profile, a wider lens: a stale row would be a lie."""
    before = owned(snapshot_of(random_cluster(seed)), seed)
    stranger = owned(snapshot_of(random_cluster(other)), seed)
    chance = random.Random(other)
    after = chance.choice(
        (
            before,
            dataclasses.replace(before, namespaces=stranger.namespaces),
            dataclasses.replace(before, pods=relabelled(before.pods, chance)),
            dataclasses.replace(before, pods=relabelled(before.pods, chance)).with_policies(stranger.policies),
            stranger,
        )
    )
    lens = chance.choice((None, lens_of(Policies(stranger))))
    kept = connections(before, PROFILES[first], lens=lens)
    list(kept)
    for snapshot, name in ((after, second), (after, first), (before, second)):
        kept = connections(snapshot, PROFILES[name], previous=kept)
        assert listed(kept) == listed(connections(snapshot, PROFILES[name]))


def relabelled(pods: tuple[Pod, ...], chance: random.Random) -> tuple[Pod, ...]:
    """The same pods with each other's labels."""
    labels = [pod.labels for pod in pods]
    chance.shuffle(labels)
    return tuple(dataclasses.replace(pod, labels=mine) for pod, mine in zip(pods, labels, strict=True))


def listed(found: Connections) -> list[tuple[str, str, object, object]]:
    """The list as values."""
    return [(str(one.source), str(one.destination), one.transports, one.families) for one in found]
