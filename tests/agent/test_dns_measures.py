"""Counts reach the agent as they are."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from outgate.agent.dns_measures import BOUNDS, DnsStatus, Measures, Result, Times


@given(st.lists(st.floats(0, 10)))
def test_each_time_is_in_one_step(seconds: list[float]) -> None:
    """Below its upper edge and above the one before, as Prometheus has it: an edge belongs to its step."""
    times = Times()
    for one in seconds:
        times.add(one)
    edges = [*BOUNDS, float("inf")]
    assert times.counts == [
        sum(low < one <= high or (low == high == one) for one in seconds if one or low)
        + (sum(one == 0 for one in seconds) if low == 0 else 0)
        for low, high in zip([0, *BOUNDS], edges, strict=True)
    ]


def test_the_file_has_every_result() -> None:
    """A counter that appears with its first count shows no rise at it."""
    measures = Measures()
    measures.results[Result.REFUSED] += 2
    measures.upstream.add(0.0002)
    data = measures.status(written=1.5, process=7, open_questions=3, learned=4, evicted=5)
    status = msgspec.json.decode(data, type=DnsStatus)
    assert set(status.results) == {one.value for one in Result}
    assert (status.results["refused"], status.results["answered"]) == (2, 0)
    assert (status.written, status.process, status.open_questions, status.learned, status.evicted) == (1.5, 7, 3, 4, 5)
    assert status.upstream == measures.upstream
