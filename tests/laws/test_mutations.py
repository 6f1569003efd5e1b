"""The proof can fail: each deliberate mistake of `tests.laws.mutations` is caught by the differential property."""

from __future__ import annotations

import pytest

from outgate.testing import random_cluster
from tests.laws.differential import Examination
from tests.laws.mutations import MUTATIONS, Mutation

CLUSTERS = 300
"""How many clusters a mistake may survive. Most are caught in the first ten, the last in the first hundred."""
PACKETS = 40


def first_complaint(clusters: int) -> str | None:
    """The property of `test_model_equals_compiled`, on the same clusters each time."""
    for seed in range(clusters):
        for complaint in Examination(random_cluster(seed), seed).disagreements(PACKETS):
            return complaint
    return None


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_mistake_is_caught(mutation: Mutation) -> None:
    """A mistake that the suite does not notice could be in the product today."""
    with mutation.applied():
        complaint = first_complaint(CLUSTERS)
    assert complaint is not None, mutation.breaks


def test_nothing_stays_broken() -> None:
    """A mutation that outlives its block would make every later test lie; unbroken code gives no complaint."""
    for mutation in MUTATIONS:
        with mutation.applied():
            pass
    assert first_complaint(30) is None


def test_the_list_is_long_and_its_names_differ() -> None:
    """Two mutations of one name would look like two and be told apart by nobody."""
    assert len({one.name for one in MUTATIONS}) == len(MUTATIONS) >= 10
    assert all(one.breaks for one in MUTATIONS)
