"""The benchmark of watches measures what it says: pods of the size of real ones, told completely."""

from __future__ import annotations

import json

from benchmarks.cluster import Shape
from benchmarks.manifests import manifests
from benchmarks.watch import dressed, measure
from tests.cluster.following import meant


def test_what_is_put_around_a_pod_is_large_and_means_nothing() -> None:
    """5 to 10 kB, as servers print them, and the same pod in the end."""
    for number, one in enumerate(manifests(Shape(pods=20, policies=1, namespaces=4, kinds=4))):
        if one["kind"] == "Pod":
            whole = dressed(one, number)
            assert 5000 <= len(json.dumps(whole, separators=(",", ":"))) <= 10_000
            assert meant(whole) == meant(one)


def test_a_small_run() -> None:
    """Every figure is there."""
    row = measure(40, 5, streaming=True)
    pods, size, delay = row["pods"], row["bytes of JSON a pod"], row["change, median ms"]
    assert isinstance(pods, int)
    assert isinstance(size, int)
    assert isinstance(delay, float)
    assert 40 <= pods <= 42
    assert 5000 <= size <= 10_500
    assert delay > 0
