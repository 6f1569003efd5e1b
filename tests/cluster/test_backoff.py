"""Waits grow, have an end, and differ."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from outgate.cluster.backoff import Backoff

SECONDS = st.floats(0.01, 100)


@given(st.integers(), SECONDS, SECONDS, st.integers(1, 40))
def test_no_wait_is_longer_than_the_longest_or_nothing(seed: int, first: float, longest: float, many: int) -> None:
    """However often it fails, and whatever the dice say."""
    backoff = Backoff(random.Random(seed), first=first, longest=longest)
    waits = [backoff.next() for _ in range(many)]
    assert all(0 < wait <= max(first, longest) for wait in waits)
    assert waits[0] <= first
    assert all(wait <= first * 2**i for i, wait in enumerate(waits))
    backoff.reset()
    assert backoff.next() <= first


def test_waits_grow_to_the_longest_and_cover_what_is_below() -> None:
    """Half a minute shared by thousands is what keeps a server up that has just come back."""
    late = []
    for seed in range(1000):
        backoff = Backoff(random.Random(seed))
        late.append([backoff.next() for _ in range(12)][-1])
    for low in range(0, 30, 3):
        share = sum(low <= wait < low + 3 for wait in late)
        assert 50 <= share <= 160, f"{share} of 1000 wait {low} to {low + 3} s"
