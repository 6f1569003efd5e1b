"""Model = compiled: random clusters, random packets, and four readings of each that must agree."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outgate.model import Direction
from outgate.packets import PacketSet
from outgate.testing import Manifest, clusters
from tests.laws.differential import Examination

PACKETS = 60
SEEDS = st.integers(0, 2**16)


@given(clusters(), SEEDS)
def test_judge_and_decide_are_the_reference(cluster: list[Manifest], seed: int) -> None:
    """A verdict that depends on which of our two evaluators is asked, or differs from the text, is wrong."""
    assert list(Examination(cluster, seed).of_the_model(PACKETS)) == []


@given(clusters(), SEEDS)
def test_kernel_rules_are_the_reference(cluster: list[Manifest], seed: int) -> None:
    """What the compiled rules let through, mark and count must be what the model allows, on the node of each end."""
    assert list(Examination(cluster, seed).of_the_kernel(PACKETS)) == []


@given(clusters(), SEEDS)
def test_live_connections_are_judged_like_new_ones(cluster: list[Manifest], seed: int) -> None:
    """After a change, the next packet of either side meets the verdict that a first packet would meet now."""
    assert list(Examination(cluster, seed).of_established(PACKETS)) == []


@given(clusters())
def test_decision_is_a_partition(cluster: list[Manifest]) -> None:
    """A packet in two parts, or in none, has two verdicts, or none."""
    examination = Examination(cluster)
    for pod in examination.snapshot.endpoints:
        for direction in Direction:
            decision = examination.decision(pod, direction)
            together = PacketSet.none()
            for part in decision.parts:
                assert part.packets
                assert not together & part.packets
                together |= part.packets
            assert together == PacketSet.any()
            assert decision.allowed() == PacketSet.any() or decision.isolated


@given(clusters(max_policies=3))
def test_a_policy_only_adds_to_what_isolated_pods_may(cluster: list[Manifest]) -> None:
    """Policies are a union: where a pod is isolated already, one policy more never takes anything away (A8)."""
    policies = [one for one in cluster if one["kind"] == "NetworkPolicy"]
    fewer, more = Examination([one for one in cluster if one != policies[-1]]), Examination(cluster)
    for pod in fewer.snapshot.endpoints:
        for direction in Direction:
            if fewer.decision(pod, direction).isolated:
                assert fewer.allowed(pod, direction) <= more.allowed(pod, direction)


@given(clusters())
def test_order_of_the_input_is_of_no_account(cluster: list[Manifest]) -> None:
    """The same files in another order are the same cluster: there is no order among policies."""
    one, other = Examination(cluster), Examination(cluster[::-1])
    for pod in one.snapshot.endpoints:
        for direction in Direction:
            assert one.decision(pod, direction) == other.decision(pod, direction)
