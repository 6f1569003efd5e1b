"""A probe concludes what both directions have shown."""

from __future__ import annotations

import pytest

from outgate.analysis.doctor_probe import Outcome, ProbeResult, Tried, outcome_of
from outgate.model import Direction

YES, NO, OPEN = Outcome.ENFORCING, Outcome.NOT_ENFORCING, Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("egress", "ingress", "outcome"),
    [
        (YES, YES, YES),
        (YES, NO, NO),
        (NO, YES, NO),
        (NO, NO, NO),
        (NO, None, NO),
        (YES, None, OPEN),
        (None, YES, OPEN),
        (YES, OPEN, OPEN),
        (None, None, OPEN),
    ],
)
def test_outcomes(egress: Outcome | None, ingress: Outcome | None, outcome: Outcome) -> None:
    """Yes needs both; no needs one; what was not tried proves nothing."""
    pairs = ((Direction.EGRESS, egress), (Direction.INGRESS, ingress))
    tried = tuple(Tried(way, one) for way, one in pairs if one is not None)
    assert outcome_of(tried) is outcome
    assert ProbeResult("n", "i", (), tried).outcome is outcome
