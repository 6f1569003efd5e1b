"""The simulation shows what pacing is for: without each of its parts something goes wrong that goes well with it."""

from __future__ import annotations

import random

import pytest

from benchmarks.fleet_server import Terms
from benchmarks.fleet_starts import RESTART, Together, away, rollout
from outgate.cluster.watch import Pace

MANY = Terms(bandwidth=100e6)
"""A list of all pods takes 12 seconds alone, and one of 50 at one time ten minutes."""
HOUR = 3600.0


def test_all_get_what_they_need_once() -> None:
    """As fast as bytes go, and not one too many."""
    fleet = rollout(MANY, 50, 50, HOUR)
    assert fleet.wholes == 50
    assert fleet.server.pipe.read == pytest.approx(50 * MANY.list_bytes, rel=1e-6)
    assert max(fleet.known.values()) == pytest.approx(50 * MANY.list_bytes / MANY.bandwidth, rel=0.02)
    assert fleet.row()["of that needed"] == "100%"


def test_one_seed_makes_one_fleet() -> None:
    """Figures are compared between runs."""
    assert rollout(MANY, 20, 5, HOUR).row() == rollout(MANY, 20, 5, HOUR).row()
    assert rollout(MANY, 20, 5, HOUR).known != rollout(MANY, 20, 5, HOUR, dice=lambda n: random.Random(n + 99)).known


def test_a_rollout_has_so_many_unavailable() -> None:
    """The next begins when one knows all, after a container's restart."""
    fleet = rollout(MANY, 12, 3, HOUR)
    assert fleet.server.pipe.most <= 3
    moments = sorted(fleet.known.values())
    assert len(moments) == 12
    assert moments[3] >= moments[0] + RESTART


def test_jitter_spreads_a_start() -> None:
    """Over the two seconds that there are."""
    spread, together = (rollout(MANY, 50, 50, HOUR, **more) for more in ({}, UNSPREAD))
    assert max(together.server.requests.values()) == 50
    assert max(spread.server.requests.values()) < 40


UNSPREAD = {"pace": Pace(start=0.0), "dice": lambda _: Together()}


def test_lists_that_are_cut_off_are_asked_for_in_vain() -> None:
    """Where a list has as long as a watch, sixty agents do not get theirs, and fill the line with what they discard."""
    horizon = 1200.0
    cut = rollout(MANY, 60, 60, horizon, pace=Pace(whole=450.0, rarest=0.0))
    whole = rollout(MANY, 60, 60, horizon)
    assert len(whole.known) == 60
    assert len(cut.known) < 10
    assert cut.server.pipe.read > 0.9 * horizon * MANY.bandwidth


def test_servers_that_close_slow_watches() -> None:
    """kubernetes/kubernetes#134837, for many at one time: who asks anew at once never watches anything."""
    closing = Terms(bandwidth=100e6, closing=True)
    eager = rollout(closing, 50, 50, 2 * HOUR, pace=Pace(rarest=0.0))
    patient = rollout(closing, 50, 50, 2 * HOUR)
    assert len(patient.server.watching) == 50
    assert len(eager.server.watching) < 5
    assert len(eager.known) == 50


@pytest.mark.parametrize("remembers", [True, False])
def test_an_outage(remembers: bool) -> None:
    """Everybody is back within a minute of a server that remembers; from another one everybody takes all, once."""
    fleet = away(Terms(pods=1000), 50, 600.0, HOUR, remembers=remembers)
    row = fleet.row()
    assert len(fleet.server.watching) == 50
    assert fleet.server.forgotten == (0 if remembers else 50)
    assert fleet.wholes == (50 if remembers else 100)
    assert fleet.server.pipe.read == pytest.approx(0 if remembers else 50 * 8e6, rel=1e-6)
    assert row["all know all, s"] == "–" if remembers else isinstance(row["all know all, s"], int)
    last = max(fleet.server.watching.values()) - fleet.away[0][1]
    assert 0 < last <= Pace().longest * 2 + Pace().relist + 1
    assert row["requests in the worst second"] < 25  # type: ignore[operator]  # a number


def test_an_outage_without_jitter() -> None:
    """All come back in one second: what is spread above is spread by chance, and by nothing else."""
    fleet = away(Terms(pods=1000), 50, 600.0, HOUR, remembers=True, pace=Pace(start=0.0), dice=lambda _: Together())
    assert fleet.row()["requests in the worst second"] >= 30  # type: ignore[operator]  # a number
