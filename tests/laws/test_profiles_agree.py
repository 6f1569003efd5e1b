"""The two readings of a policy agree under every profile: sets of packets, and one packet rule by rule.

Clusters are those of `tests.laws.differential` with Services in them, whose own selectors are sometimes wider than
the policies', whose target ports are numbers and names, and whose addresses are dialled in two ways: by flows that are
translated, and by packets to ports that nothing translates. Ends are asked as whatever holds their address and, on
a host network, as each of the pods there.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.model import Direction, Pod, Snapshot
from outgate.model.services import resolve
from outgate.packets import Address, Packet, Protocol
from outgate.policy import Decision, Endpoint, Flow, Judge, Policies, Profile, Side, decide
from outgate.policy.label_filter import LabelFilter
from outgate.policy.profile import CILIUM, PROFILES
from outgate.testing import Manifest, random_cluster, service, snapshot_of
from tests.laws.test_cilium import drawn
from tests.laws.test_tiers import tiered
from tests.laws.traffic import Traffic

PACKETS = 40
SEEDS = st.integers(0, 2**32 - 1)
EXAMPLES = settings.default.max_examples // 2 if settings.default is not None else 50

# The labels that Cilium hides are none that random pods have; this one hides half of those.
SHORT_SIGHTED = dataclasses.replace(CILIUM, name="short-sighted", hidden_labels=LabelFilter(("tier",)))
READINGS = (*PROFILES.values(), SHORT_SIGHTED)


def with_services(manifests: list[Manifest], seed: int) -> list[Manifest]:
    """The cluster with four Services: by one label, by two, by one that an empty value satisfies, by none."""
    chance = random.Random(seed)
    selectors: list[dict[str, str]] = [{"app": "web"}, {"app": "web", "tier": "front"}, {"app": ""}, {}]
    made = []
    for number, selector in enumerate(selectors, 1):
        ports = [
            {
                "name": f"p{one}",
                "port": chance.choice((80, 443, 8080)) + one,
                "targetPort": chance.choice((80, 81, 53, 8080, "http", "dns", "web")),
                "protocol": chance.choice(("TCP", "TCP", "UDP")),
            }
            for one in range(2)
        ]
        made.append(service(f"{chance.choice(('alpha', 'beta'))}/s{number}", f"10.96.0.{number}", ports, **selector))
    return [*manifests, *made]


def ruled(seed: int) -> Snapshot:
    """A random cluster with Services: of three, one with policies of the whole cluster, and one with Cilium's."""
    match seed % 3:
        case 1:
            return snapshot_of(with_services(tiered(seed), seed))
        case 2:
            cluster = drawn(seed)
            return cluster._replace(manifests=with_services(cluster.manifests, seed)).snapshot(seed)
    return snapshot_of(with_services(random_cluster(seed), seed))


class Comparison:
    """One cluster under one profile, asked of both evaluators."""

    def __init__(self, snapshot: Snapshot, profile: Profile, seed: int) -> None:
        self.snapshot, self.policies = snapshot, Policies(snapshot, profile)
        self.judge = Judge(self.policies)
        self.traffic = Traffic(snapshot, seed)
        self.chance = random.Random(seed)
        self._decisions: dict[tuple[tuple[str, str], Direction], Decision] = {}

    def disagreements(self, count: int) -> Iterator[str]:
        """Every verdict, or name behind it, in which the two differ."""
        for packet in self.traffic.packets(count):
            for flow in self.flows(packet):
                yield from self._compare(flow)
        for flow in self.translated(count):
            yield from self._compare(flow)

    def flows(self, packet: Packet) -> Iterator[Flow]:
        """The packet between whoever holds its addresses, and to a Service's address with the same port."""
        point = packet.protocol, packet.coordinate
        for source in self._ends(packet.source):
            for destination in self._ends(packet.destination):
                yield Flow(source, destination, *point)
            # The way to a Service that nothing translates: its address as any other.
            for one in self.snapshot.services if packet.source.version == 4 else ():
                yield Flow(source, Endpoint.at(self.snapshot, one.cluster_ips[0]), *point)

    def _ends(self, address: Address) -> Iterator[Endpoint]:
        yield Endpoint.at(self.snapshot, address)
        for pod in self.snapshot.owners_of(address):
            if pod.host_network:
                yield Endpoint(address, pod)

    def translated(self, count: int) -> Iterator[Flow]:
        """Flows of pods to the backends of Services, with what they dialled."""
        routes = [route for one in self.snapshot.services for route in resolve(self.snapshot, one) if route.backends]
        pods = [pod for pod in self.traffic.pods if any(one.version == 4 for one in pod.addresses)]
        for _ in range(count if routes and pods else 0):
            source = Endpoint.of_pod(self.chance.choice(pods))
            route = self.chance.choice(routes)
            end = self.chance.choice(route.backends)
            assert source is not None
            assert route.address is not None
            at = Endpoint.at(self.snapshot, end.address)
            destination = Endpoint(end.address, end.pod) if end.pod is not None else at
            dialled = route.address, route.port
            yield Flow(source, destination, int(Protocol[route.protocol]), end.port, dialled)

    def _compare(self, flow: Flow) -> Iterator[str]:
        trace = self.judge.judge(flow)
        hairpin = flow.dialled is not None and flow.source.pod == flow.destination.pod
        point = flow.destination.address, flow.coordinate
        if flow.dialled is not None and self.policies.profile.before_translation:
            yield from self._differences(flow, trace.egress, flow.source.pod, *flow.dialled)
        elif not hairpin:
            # A set of packets does not say which of them went through a Service.
            yield from self._differences(flow, trace.egress, flow.source.pod, *point)
        if not hairpin:
            there, here = flow.destination.pod, flow.source.address
            yield from self._differences(flow, trace.ingress, there, here, flow.coordinate)

    def _differences(
        self, flow: Flow, side: Side, subject: Pod | None, peer: Address, coordinate: int
    ) -> Iterator[str]:
        if subject is None or subject.host_network:
            if not side.verdict.allows:
                yield f"{self.policies.profile.name}: {flow}: denied at {subject}, which nothing isolates"
            return
        parts = self._decision(subject, side.direction).parts
        (part,) = [one for one in parts if one.packets.contains(peer, flow.protocol, coordinate)]
        if (part.verdict, part.origin) != (side.verdict, side.decided_by):
            yield f"{self.policies.profile.name}: {flow}: judge {side}, decide {part.verdict} by {part.origin}"

    def _decision(self, pod: Pod, direction: Direction) -> Decision:
        key = pod.key, direction
        if key not in self._decisions:
            self._decisions[key] = decide(self.policies, pod, direction)
        return self._decisions[key]


@pytest.mark.parametrize("profile", READINGS, ids=lambda one: str(one.name))
@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_judge_is_decide(profile: Profile, seed: int) -> None:
    """An answer "as this plugin" that depends on which of our evaluators is asked is an answer as no plugin."""
    assert list(Comparison(ruled(seed), profile, seed).disagreements(PACKETS)) == []


@pytest.mark.parametrize(
    "profile", [one for one in READINGS if one.differing(PROFILES["outgate"])], ids=lambda p: p.name
)
def test_profiles_differ_on_such_clusters(profile: Profile) -> None:
    """If every profile gave the same verdicts here, the agreement above would say nothing about profiles."""
    turned: set[str] = set()
    for seed in range(60):
        snapshot = snapshot_of(with_services(random_cluster(seed), seed))
        ours, theirs = (Comparison(snapshot, one, seed) for one in (PROFILES["outgate"], profile))
        flows = [flow for packet in ours.traffic.packets(PACKETS) for flow in ours.flows(packet)]
        for flow in (*flows, *ours.translated(PACKETS)):
            if ours.judge.judge(flow).verdict is not theirs.judge.judge(flow).verdict:
                turned.update(ours.judge.why_otherwise(flow, profile))
    assert turned
