"""Kernel = model: random clusters under random policies, with real packets.

The same clusters go through the slow evaluator, the decisions and the interpreter of rules in `tests/laws`, by the
thousand; here a bounded number goes through the kernel.
"""

from __future__ import annotations

import pytest

from outgate.errors import InvalidInput
from outgate.lab import run
from outgate.lab.run import Wishes
from outgate.testing import random_cluster, snapshot_of
from outgate.testing_cilium import random_cilium_policies
from tests.lab.clusters import outcome

pytestmark = pytest.mark.kernel

CLUSTERS = 10


def test_the_kernel_does_what_the_model_says() -> None:
    """Everything before this could agree on a mistake; a packet cannot be talked into anything."""
    ran = denied = allowed = seed = 0
    while ran < CLUSTERS:
        seed += 1
        assert seed < 10 * CLUSTERS, "hardly any random cluster can be built"
        try:
            # Every other one has policies of Cilium's beside its own.
            more = random_cilium_policies(seed, 3) if seed % 2 else []
            prepared = run.prepare(snapshot_of([*random_cluster(seed), *more]), Wishes())
        except InvalidInput:
            continue  # two pods with one address, or an address that no interface can hold: refused in words
        found = outcome(prepared)
        every = (*found["probes"], *found.get("requests", ()))
        wrong = [probe for probe in every if probe["expected"] != probe["observed"]]
        assert not wrong, (seed, wrong[:3])
        ran += 1
        denied += sum(probe["observed"] == "Deny" for probe in found["probes"])
        allowed += sum(probe["observed"] == "Allow" for probe in found["probes"])
    assert denied > 100
    assert allowed > 100
