"""Policies of the whole cluster over random clusters: every reading of a packet against the slow evaluator."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.analysis.connections import connections
from outgate.model import Direction
from outgate.packets import PacketSet
from outgate.policy import Endpoint
from outgate.testing import Manifest, random_cluster, random_cluster_policies, snapshot_of
from tests.laws.differential import Examination
from tests.laws.reference_tiers import TieredReference
from tests.laws.test_connections import PORTS, PROTOCOLS, ask_outside, owned, pairs
from tests.laws.traffic import Traffic

SEEDS = st.integers(0, 2**32 - 1)
EXAMPLES = settings.default.max_examples // 3 if settings.default is not None else 33


def tiered(seed: int) -> list[Manifest]:
    """A random cluster under one to six policies of the whole cluster, often some of one priority."""
    return [*random_cluster(seed, crowded=seed % 2 == 1), *random_cluster_policies(seed, 1 + seed % 6)]


@given(SEEDS)
def test_every_reading_is_the_reference(seed: int) -> None:
    """`judge`, `decide`, and what the kernel is given: new connections, live ones and replies."""
    assert list(Examination(tiered(seed), seed).disagreements(40)) == []


@given(SEEDS)
def test_a_decision_is_a_partition(seed: int) -> None:
    """Each packet has one verdict and one reason, whatever the tiers say of it."""
    examination = Examination(tiered(seed))
    for pod in examination.snapshot.endpoints:
        for direction in Direction:
            together = PacketSet.none()
            for part in examination.decision(pod, direction).parts:
                assert part.packets
                assert not together & part.packets
                together |= part.packets
            assert together == PacketSet.any()


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_the_list_is_the_reference(seed: int) -> None:
    """Every pair of pods, every border of a rule, both families."""
    manifests = tiered(seed)
    snapshot = owned(snapshot_of(manifests), seed)
    slow = TieredReference(manifests, {pod.key: list(pod.addresses) for pod in snapshot.endpoints})
    found = connections(snapshot)
    for source, destination, one, other in pairs(found):
        for family, transports in found.by_family(source, destination):
            start, end = Endpoint.of_pod(one, family), Endpoint.of_pod(other, family)
            assert start is not None
            assert end is not None
            for protocol in PROTOCOLS if start.address != end.address else ():
                for port in PORTS:
                    ask = (start.address, end.address, protocol.name, port)
                    expected = slow.allows_egress(*ask) and slow.allows_ingress(*ask)
                    assert transports.contains(protocol, port) == expected, (str(one), str(other), family, *ask)


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_the_list_outside_is_the_reference(seed: int) -> None:
    """Addresses that are nobody's, in both directions."""
    manifests = tiered(seed)
    snapshot = owned(snapshot_of(manifests), seed)
    slow = TieredReference(manifests, {pod.key: list(pod.addresses) for pod in snapshot.endpoints})
    found = connections(snapshot)
    taken = {one for pod in snapshot.endpoints for one in pod.addresses}
    taken |= {one for node in snapshot.nodes.values() for one in node.addresses}
    outside = [one for one in Traffic(snapshot, seed).ends if one not in taken and not one.is_loopback]
    for group in found.groups.all:
        for direction in Direction:
            for pod in group.pods:
                if not pod.host_network:
                    ask_outside(found, slow, group, pod, direction, outside)


@given(SEEDS)
def test_order_of_the_input_is_of_no_account(seed: int) -> None:
    """Priorities order policies; nothing else does, names and files least of all."""
    manifests = tiered(seed)
    one, other = Examination(manifests), Examination(manifests[::-1])
    for pod in one.snapshot.endpoints:
        for direction in Direction:
            assert one.decision(pod, direction) == other.decision(pod, direction)
