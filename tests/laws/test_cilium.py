"""Cilium's policies over random clusters: every reading of a packet against the slow evaluator.

The clusters have what these policies speak of: Services with and without a selector, an API server inside or outside,
groups of blocks, labels that are no part of an identity, accounts, and answers about names, of which some lead inside.
Often NetworkPolicies stand beside them, now and then tiers around.

Where a packet passes on a condition above TCP, the rules that are compiled without a proxy are closed. ICMP in packets
of IPv6, and ICMPv6 in those of IPv4, is nothing that any host would read.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import random
from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from outgate.analysis.conditional import conditionals
from outgate.analysis.connections import connections
from outgate.analysis.diff import diff
from outgate.analysis.groups import Group
from outgate.model import Direction, Learned, Snapshot
from outgate.packets import Address, Packet, PacketSet, Protocol, TransportSet
from outgate.policy import Endpoint
from outgate.testing import Manifest, random_cluster, random_cluster_policies, service, snapshot_of
from outgate.testing_cilium import cidr_group, random_cilium_policies
from tests.laws.differential import Examination, Passage, question_of
from tests.laws.reference_cilium import Answer, CiliumReference
from tests.laws.test_connections import PORTS, PROTOCOLS, ask_outside, owned, pairs
from tests.laws.test_diff import Both, ask_pairs, dealt
from tests.laws.traffic import Traffic
from tests.laws.wider import widened
from tests.slices import endpoint_slice

SEEDS = st.integers(0, 2**32 - 1)
EXAMPLES = settings.default.max_examples // 3 if settings.default is not None else 33
_ACCOUNT = "io.cilium.k8s.policy.serviceaccount"
_OUTSIDE = ("203.0.113.20", "198.51.100.7", "2001:db8:1::20")
_NAMES = ("www.example.org", "WWW.Example.org.", "example.org", "a.www.example.org")
_STRANGE = {4: Protocol.ICMPV6, 6: Protocol.ICMP}


class Drawn(NamedTuple):
    """A cluster, and what its pods were told of names."""

    manifests: list[Manifest]
    learned: tuple[Learned, ...]

    def snapshot(self, seed: int) -> Snapshot:
        """The cluster, with its pods dealt out to workloads."""
        return dataclasses.replace(owned(snapshot_of(self.manifests), seed), learned=self.learned)

    def reference(self, snapshot: Snapshot) -> CiliumReference:
        """The slow evaluator of it."""
        told: dict[tuple[str, str], list[tuple[str, tuple[Address, ...]]]] = {}
        for one in self.learned:
            told.setdefault(one.pod, []).append((one.name, one.addresses))
        return CiliumReference(self.manifests, {pod.key: list(pod.addresses) for pod in snapshot.endpoints}, told)


def drawn(seed: int) -> Drawn:
    """A random cluster under one to six policies of Cilium's, of which now and then none isolates anybody.

    Of odd seeds they say more than are drawn elsewhere (`tests.laws.wider`).
    """
    chance = random.Random(seed)
    made = random_cluster(seed, crowded=seed % 2 == 1)
    lenient = chance.random() < 0.2
    if lenient or chance.random() < 0.3:
        made = [one for one in made if one["kind"] != "NetworkPolicy"]
    above = random_cluster_policies(seed, 2) if seed % 5 == 0 else []
    above += random_cluster_policies(seed, 3) if seed % 6 == 3 and not above else []
    of_cilium = random_cilium_policies(seed, 1 + seed % 6)
    for rule in (rule for one in of_cilium if lenient for rule in (one["spec"], *one.get("specs", ()))):
        rule["enableDefaultDeny"] = {"egress": False, "ingress": False}
    _with_accounts(of_cilium, chance)
    _with_labels(made, chance)
    inside = [one["ip"] for pod in made if pod["kind"] == "Pod" for one in pod["status"].get("podIPs", ())]
    inside += ["192.168.50.11", "fd00:50::12"]
    beside = [*_services(made, chance, inside), *_beside(chance)]
    whole = [*made, *above, *of_cilium, *beside]
    return Drawn(widened(whole, seed) if seed % 2 else whole, tuple(_learned(made, chance, inside)))


def _with_labels(manifests: list[Manifest], chance: random.Random) -> None:
    """Labels of nodes, and of pods some that are no part of an identity; accounts."""
    for one in manifests:
        if one["kind"] == "Node":
            one["metadata"]["labels"] = {"zone": one["metadata"]["name"][-1]}
        elif one["kind"] == "Pod":
            if chance.random() < 0.3:
                one["metadata"]["labels"] = one["metadata"]["labels"] | {"pod-template-hash": "x"}
            if chance.random() < 0.3:
                one["spec"]["serviceAccountName"] = "robot"


def _with_accounts(policies: list[Manifest], chance: random.Random) -> None:
    """Selectors of endpoints by their accounts, now and then."""
    for policy in policies:
        for section in ("egress", "egressDeny", "ingress", "ingressDeny"):
            for rule in policy["spec"].get(section, ()):
                for side in ("toEndpoints", "fromEndpoints"):
                    if rule.get(side) and chance.random() < 0.2:
                        key = chance.choice((_ACCOUNT, f"k8s:{_ACCOUNT}"))
                        rule[side] = [*rule[side][1:], {"matchLabels": {key: "robot"}}]
        if chance.random() < 0.1:
            policy["spec"]["endpointSelector"] = {"matchLabels": {_ACCOUNT: chance.choice(("robot", "default"))}}


def _services(manifests: list[Manifest], chance: random.Random, inside: list[str]) -> Iterator[Manifest]:
    """In each namespace perhaps a Service: with a selector, of labels that a pod there has, or without."""
    for number, space in enumerate(("alpha", "beta", "gamma")):
        pods = [one["metadata"] for one in manifests if one["kind"] == "Pod" and one["metadata"]["namespace"] == space]
        labels = [pair for pod in pods for pair in pod["labels"].items()] or [("app", "web")]
        match chance.choice(("pods", "pods", "slices", "none")):
            case "pods":
                selector = dict([chance.choice(labels)])
                yield _labelled(service(f"{space}/web", f"10.96.1.{number}", [{"port": 80}], **selector), chance)
            case "slices":
                yield _labelled(service(f"{space}/web", f"10.96.1.{number}", [{"port": 80}]), chance)
                yield _slice(space, "web", chance.choice(_OUTSIDE), chance.choice(inside))


def _beside(chance: random.Random) -> Iterator[Manifest]:
    """The API server, and groups of blocks."""
    server = chance.choice(("", "192.168.50.11", *_OUTSIDE))
    if server:
        yield _slice("default", "kubernetes", server)
    yield cidr_group("g", "203.0.113.16/28", "10.1.0.0/24", "2001:db8:1::/48")
    yield cidr_group("h", *chance.sample(("198.51.100.0/24", "203.0.113.0/24", "192.168.50.0/24"), 2), a="b")


def _labelled(one: Manifest, chance: random.Random) -> Manifest:
    return one | {"metadata": one["metadata"] | {"labels": {"app": chance.choice(("web", "db"))}}}


def _slice(space: str, name: str, *addresses: str) -> Manifest:
    """A slice of the family of the first address, with those of that family."""
    return endpoint_slice(f"{space}/{name}", *(one for one in addresses if (":" in one) == (":" in addresses[0])))


def _learned(manifests: list[Manifest], chance: random.Random, inside: list[str]) -> Iterator[Learned]:
    for one in manifests:
        if one["kind"] == "Pod" and chance.random() < 0.5:
            addresses = (chance.choice(_OUTSIDE), chance.choice((*_OUTSIDE, *inside)))
            key = one["metadata"]["namespace"], one["metadata"]["name"]
            yield Learned(key, chance.choice(_NAMES), tuple(map(ipaddress.ip_address, addresses)))


class CiliumExamination(Examination):
    """One cluster, read every way; and what is said of conditions."""

    reference: CiliumReference

    def __init__(self, cluster: Drawn, seed: int = 0) -> None:
        super().__init__(cluster.manifests, seed, cluster.learned)
        self.reference = cluster.reference(self.snapshot)

    def answers(self, packet: Packet) -> tuple[Answer, Answer]:
        """What the slow evaluator says of both ends."""
        ask = question_of(packet)
        return self.reference.egress(*ask), self.reference.ingress(*ask)

    def in_the_kernel(self, packet: Packet) -> tuple[bool, bool]:
        """Without a proxy nothing is known to fulfil a condition."""
        egress, ingress = self.answers(packet)
        return egress is Answer.ALLOWED, ingress is Answer.ALLOWED

    def passages(self, packet: Packet) -> Iterator[Passage]:
        """Without what no host reads."""
        if packet.protocol != _STRANGE[packet.source.version]:
            yield from super().passages(packet)

    def of_the_model(self, count: int) -> Iterator[str]:
        """The same, and where a condition is asked for that the reference does not know, or the other way."""
        yield from super().of_the_model(count)
        for packet in self.traffic.packets(count):
            trace, answers = self.trace(packet), self.answers(packet)
            ends = (packet.source, packet.destination), (packet.destination, packet.source)
            for answer, side, (subject, peer) in zip(answers, (trace.egress, trace.ingress), ends, strict=True):
                wanted = answer is Answer.CONDITIONAL
                if bool(side.conditional) != wanted:
                    yield f"judge: {packet}: {side.reason}, reference {answer}"
                pod = self.pod_at(subject)
                if pod is not None and self.part(pod, side.direction, peer, packet).conditional != wanted:
                    yield f"decide: {packet}: {side.direction} on a condition, reference {answer}"


@given(SEEDS)
def test_every_reading_is_the_reference(seed: int) -> None:
    """`judge`, `decide`, and what the kernel is given: new connections, live ones and replies."""
    assert list(CiliumExamination(drawn(seed), seed).disagreements(40)) == []


@given(SEEDS)
def test_a_decision_is_a_partition(seed: int) -> None:
    """Each packet has one verdict and one reason."""
    examination = CiliumExamination(drawn(seed))
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
    cluster = drawn(seed)
    snapshot = cluster.snapshot(seed)
    slow, found = cluster.reference(snapshot), connections(snapshot)
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
    """Addresses that are nobody's, in both directions; and those of nodes, which no block and no ``world`` means.

    What a node sends to its own pods is the node's affair (`tests.laws.test_one_core`).
    """
    cluster = drawn(seed)
    snapshot = cluster.snapshot(seed)
    slow, found = cluster.reference(snapshot), connections(snapshot)
    pods = {one for pod in snapshot.endpoints if not pod.host_network for one in pod.addresses}
    nodes = {one for node in snapshot.nodes.values() for one in node.addresses}
    nodes |= {one for pod in snapshot.endpoints if pod.host_network for one in pod.addresses}
    ends = [one for one in Traffic(snapshot, seed).ends if one not in pods and not one.is_loopback]
    outside = [one for one in ends if one not in nodes]
    for group in found.groups.all:
        for pod in group.pods:
            if not pod.host_network:
                ask_outside(found, slow, group, pod, Direction.EGRESS, ends)
                ask_outside(found, slow, group, pod, Direction.INGRESS, outside)


class CiliumBoth(Both):
    """A cluster under these policies, and under others; the rest of it is the same."""

    def __init__(self, seed: int, other: int) -> None:
        one, stranger = drawn(seed), drawn(other)
        rest = [manifest for manifest in one.manifests if not _is_of_cilium(manifest)]
        two = one._replace(manifests=[*rest, *filter(_is_of_cilium, stranger.manifests)])
        self.old, self.new = (
            dataclasses.replace(dealt(snapshot_of(each.manifests), seed), learned=one.learned) for each in (one, two)
        )
        self.slow = one.reference(self.old), two.reference(self.new)
        self.found = diff(self.old, self.new)


def _is_of_cilium(manifest: Manifest) -> bool:
    return str(manifest["apiVersion"]).startswith("cilium.io")


@settings(max_examples=EXAMPLES)
@given(SEEDS, SEEDS)
def test_the_diff_is_the_reference(seed: int, other: int) -> None:
    """What other policies open and close, for every two pods."""
    ask_pairs(CiliumBoth(seed, other))


@settings(max_examples=EXAMPLES)
@given(SEEDS)
@example(50890436)  # TCP 80 and UDP 53 of one line hang on different conditions.
def test_pods_of_a_group_are_treated_alike(seed: int) -> None:
    """What stands between two groups stands between each pair of their pods, and is said with its conditions."""
    cluster = drawn(seed)
    snapshot = cluster.snapshot(seed)
    slow, found = cluster.reference(snapshot), connections(snapshot)
    asked = conditionals(found)
    lines = [one for one in found if isinstance(one.source, Group) and isinstance(one.destination, Group)]
    for one in lines:
        assert isinstance(one.source, Group)
        assert isinstance(one.destination, Group)
        if one.families or one.source.pods[0].host_network or one.destination.pods[0].host_network:
            continue
        said = {direction: TransportSet() for direction in Direction}
        for part in asked(one):
            # One part for each condition, as ports of one line may hang on different ones.
            said[part.direction] |= part.transports
        for ends in _ends(one.source, one.destination):
            for protocol in PROTOCOLS:
                for port in (port for port in PORTS if one.transports.contains(protocol, port)):
                    asks = [(*each, protocol.name, port) for each in ends]
                    answers = {
                        Direction.EGRESS: [slow.egress(*ask) for ask in asks],
                        Direction.INGRESS: [slow.ingress(*ask) for ask in asks],
                    }
                    for direction, answer in answers.items():
                        known = said[direction].contains(protocol, port)
                        assert known == (Answer.CONDITIONAL in answer), (str(one.source), direction, asks)


def _ends(source: Group, destination: Group) -> Iterator[list[tuple[Address, Address]]]:
    """By which addresses each two pods meet: what is asked by those of one family alone is said, too."""
    for one in source.pods:
        for other in destination.pods:
            yield [(start, end) for start in one.addresses for end in other.addresses if end.version == start.version]


@given(SEEDS)
def test_order_of_the_input_is_of_no_account(seed: int) -> None:
    """Denials win, wherever they stand."""
    cluster = drawn(seed)
    one, other = CiliumExamination(cluster), CiliumExamination(cluster._replace(manifests=cluster.manifests[::-1]))
    for pod in one.snapshot.endpoints:
        for direction in Direction:
            assert one.allowed(pod, direction) == other.allowed(pod, direction)
