"""The proof can fail: each deliberate mistake of `tests.laws.mutations` is caught by the differential property."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from outgate.testing import Manifest, clusters
from tests.laws.differential import Examination
from tests.laws.mutations import MUTATIONS, Mutation

ENOUGH = 400
"""Clusters after which a mistake counts as not caught. Most are caught within the first ten."""


class CaughtError(Exception):
    """The property does not hold; says where."""


@settings(
    max_examples=ENOUGH,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)
@given(clusters(), st.integers(0, 2**16))
def examine(cluster: list[Manifest], seed: int) -> None:
    """The property of `test_model_equals_compiled`, on the same clusters each time, up to the first complaint."""
    for complaint in Examination(cluster, seed).disagreements(40):
        raise CaughtError(complaint)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_mistake_is_caught(mutation: Mutation) -> None:
    """A mistake that the suite does not notice could be in the product today."""
    with mutation.applied(), pytest.raises(CaughtError):
        examine()


def test_mistakes_are_named_apart() -> None:
    """Two mutations of one name would run as one and look like two; the issue asks for ten at least."""
    assert len({one.name for one in MUTATIONS}) == len(MUTATIONS) >= 10
    assert all(one.breaks for one in MUTATIONS)


def test_nothing_stays_broken() -> None:
    """A mutation that outlives its block would make every later test lie."""
    for mutation in MUTATIONS:
        with mutation.applied():
            pass
    settings(max_examples=20)(examine)()
