"""Cilium's policies over random clusters: rule by rule, as sets, and as the kernel is given them.

Where a packet passes on a condition above TCP, the rules that are compiled without a proxy are closed, and nothing is
compared. ICMP in packets of IPv6, and ICMPv6 in those of IPv4, is nothing that any host would read.
"""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.analysis.connections import connections
from outgate.model import Direction
from outgate.packets import Packet, PacketSet, Protocol
from outgate.policy import Endpoint, Flow, Judge
from outgate.testing import Manifest, random_cluster, random_cluster_policies, snapshot_of
from outgate.testing_cilium import random_cilium_policies
from tests.laws.differential import Examination, Passage
from tests.laws.test_connections import PORTS, PROTOCOLS, owned, pairs

SEEDS = st.integers(0, 2**32 - 1)
EXAMPLES = settings.default.max_examples // 3 if settings.default is not None else 33
_OTHERS = {4: Protocol.ICMPV6, 6: Protocol.ICMP}


def drawn(seed: int) -> list[Manifest]:
    """A random cluster under one to six policies of Cilium's, NetworkPolicies, and now and then tiers around them."""
    above = random_cluster_policies(seed, 2) if seed % 5 == 0 else []
    return [*random_cluster(seed, crowded=seed % 2 == 1), *random_cilium_policies(seed, 1 + seed % 6), *above]


class ThreeWays(Examination):
    """Held against `judge`, which asks one rule after the other."""

    def by_reference(self, packet: Packet) -> tuple[bool, bool]:
        """What `judge` says: the conformance cases hold that itself."""
        trace = self.trace(packet)
        return trace.egress.verdict.allows, trace.ingress.verdict.allows

    def passages(self, packet: Packet) -> Iterator[Passage]:
        """Without what the kernel alone does not decide, and what no host reads."""
        trace = self.trace(packet)
        strange = packet.protocol == _OTHERS[packet.source.version]
        if not (trace.egress.conditional or trace.ingress.conditional or strange):
            yield from super().passages(packet)


@given(SEEDS)
def test_every_reading_is_one(seed: int) -> None:
    """`judge`, `decide`, and what the kernel is given: new connections, live ones and replies."""
    assert list(ThreeWays(drawn(seed), seed).disagreements(40)) == []


@given(SEEDS)
def test_a_decision_is_a_partition(seed: int) -> None:
    """Each packet has one verdict and one reason."""
    examination = ThreeWays(drawn(seed))
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
def test_the_list_is_what_is_judged(seed: int) -> None:
    """Every pair of pods, every border of a rule, both families."""
    snapshot = owned(snapshot_of(drawn(seed)), seed)
    found = connections(snapshot)
    judge = Judge(found.grid.policies)
    for source, destination, one, other in pairs(found):
        for family, transports in found.by_family(source, destination):
            start, end = Endpoint.of_pod(one, family), Endpoint.of_pod(other, family)
            assert start is not None
            assert end is not None
            for protocol in PROTOCOLS if start.address != end.address else ():
                for port in PORTS:
                    expected = judge.judge(Flow(start, end, int(protocol), port)).verdict.allows
                    assert transports.contains(protocol, port) == expected, (str(one), str(other), family, port)


@given(SEEDS)
def test_order_of_the_input_is_of_no_account(seed: int) -> None:
    """Denials win, wherever they stand."""
    one, other = ThreeWays(drawn(seed)), ThreeWays(drawn(seed)[::-1])
    for pod in one.snapshot.endpoints:
        for direction in Direction:
            assert one.allowed(pod, direction) == other.allowed(pod, direction)
