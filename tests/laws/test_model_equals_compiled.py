"""Model = compiled: random clusters, random packets, and four readings of each that must agree.

A cluster is chosen by its seed, so that each example is another one; `tests.laws.smallest` makes a failing one small.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outgate.model import Direction
from outgate.packets import PacketSet
from outgate.policy import Decision
from outgate.testing import labels, policy, random_cluster, selectors, snapshot_of
from tests.laws.differential import Examination
from tests.laws.reference import selected
from tests.laws.smallest import agreed

PACKETS = 60
SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS)
def test_judge_and_decide_are_the_reference(seed: int) -> None:
    """A verdict that depends on which of our two evaluators is asked, or differs from the text, is wrong."""
    agreed(seed, lambda one: one.of_the_model(2 * PACKETS))


@given(SEEDS)
def test_kernel_rules_are_the_reference(seed: int) -> None:
    """What the compiled rules let through, mark and count must be what the model allows, on the node of each end."""
    agreed(seed, lambda one: one.of_the_kernel(PACKETS))


@given(SEEDS)
def test_live_connections_are_judged_like_new_ones(seed: int) -> None:
    """After a change, the next packet of either side meets the verdict that a first packet would meet now."""
    agreed(seed, lambda one: one.of_established(PACKETS))


@given(selectors(), labels())
def test_selectors_are_the_reference(selector: dict[str, object], mine: dict[str, str]) -> None:
    """The truth table of the four operators, over missing keys and empty values, on both sides of the reader."""
    (parsed,) = snapshot_of([policy("alpha/p", {"podSelector": selector})]).policies
    assert parsed.pods.matches(mine) == selected(selector, mine)


@given(SEEDS)
def test_decision_is_a_partition(seed: int) -> None:
    """A packet in two parts, or in none, has two verdicts, or none."""
    for decision in decisions(Examination(random_cluster(seed))):
        together = PacketSet.none()
        for part in decision.parts:
            assert part.packets
            assert not together & part.packets
            together |= part.packets
        assert together == PacketSet.any()
        assert decision.isolated or decision.allowed() == PacketSet.any()


@given(SEEDS)
def test_a_policy_only_adds_to_what_isolated_pods_may(seed: int) -> None:
    """Policies are a union: where a pod is isolated already, one policy more never takes anything away (A8)."""
    cluster = random_cluster(seed)
    fewer, more = Examination(cluster[:-1]), Examination(cluster)
    for before, after in zip(decisions(fewer), decisions(more), strict=True):
        if before.isolated:
            assert before.allowed() <= after.allowed()
        else:
            assert after.isolated or before == after


@given(SEEDS)
def test_order_of_the_input_is_of_no_account(seed: int) -> None:
    """The same files in another order are the same cluster: there is no order among policies."""
    cluster = random_cluster(seed)
    assert decisions(Examination(cluster)) == decisions(Examination(cluster[::-1]))


def decisions(examination: Examination) -> list[Decision]:
    """Of every pod in both directions, in one order."""
    ends = examination.snapshot.endpoints
    return [examination.decision(pod, direction) for pod in ends for direction in Direction]
