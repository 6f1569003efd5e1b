"""When a result disagrees, and who denied it."""

from __future__ import annotations

import pytest

from outgate.model import Direction
from outgate.policy import Verdict
from outgate.report.lab import KernelRule
from tests.report.lab_results import ALLOW, DENY, pod, report, result, side

A, B = pod("a", 1), pod("b", 2)


@pytest.mark.parametrize(
    ("expected", "observed", "demanded", "misled", "disagrees"),
    [
        (ALLOW, ALLOW, None, False, False),
        (DENY, DENY, None, False, False),
        (ALLOW, DENY, None, False, True),
        (DENY, ALLOW, None, False, True),
        (ALLOW, ALLOW, ALLOW, False, False),
        (ALLOW, ALLOW, DENY, False, True),
        (DENY, ALLOW, ALLOW, False, True),
        (DENY, DENY, None, True, True),
    ],
)
def test_all_that_can_disagree(
    expected: Verdict, observed: Verdict, demanded: Verdict | None, misled: bool, disagrees: bool
) -> None:
    """Prediction, packets and the file of flows: all three must say the same."""
    one = result(A, B, 80, expected, observed, demanded=demanded, misled=misled)
    assert one.disagrees is disagrees
    assert len(report(one).disagreements) == disagrees


def test_who_denied_is_the_first_end_that_does() -> None:
    """Egress is asked first, so that is where the packet dies."""
    one = result(A, B, 80, DENY, ingress=side(Direction.INGRESS, DENY, 7))
    assert one.decided_by is not None
    assert one.decided_by.direction is Direction.EGRESS
    only_ingress = result(
        A, B, 80, DENY, egress=side(Direction.EGRESS, ALLOW), ingress=side(Direction.INGRESS, DENY, 7)
    )
    assert only_ingress.decided_by is not None
    assert only_ingress.decided_by.line == 7
    assert result(A, B, 80, ALLOW).decided_by is None


def test_a_kernel_rule_reads_as_a_sentence() -> None:
    """Node, hook, chain, comment, verdict."""
    assert str(KernelRule("n1", "forward", "d_x", "Egress denied", "drop")) == 'n1, forward: d_x "Egress denied" drop'
    assert str(KernelRule("n1", "input", "unknown", "", "drop")) == "n1, input: unknown drop"
