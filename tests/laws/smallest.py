"""From a cluster that breaks a law to the smallest part of it that still does.

Random clusters are quick because nothing is remembered of how they were chosen; this is the price. Whatever can be
left out of the manifests is left out, one element or one field at a time, for as long as the complaint stays.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from outgate.testing import Manifest, random_cluster
from tests.laws.differential import Examination

__all__ = ["agreed", "smallest"]

Ask = Callable[[Examination], Iterable[str]]


def agreed(seed: int, ask: Ask) -> None:
    """Raise AssertionError, with the smallest cluster that shows it, where a random one gives cause for complaint."""
    cluster = random_cluster(seed)
    if any(ask(Examination(cluster, seed))):
        least = smallest(cluster, lambda one: any(ask(Examination(one, seed))))
        complaints = "\n".join(list(ask(Examination(least, seed)))[:5])
        shown = "\n".join(json.dumps(one) for one in least)
        raise AssertionError(f"seed {seed}:\n{complaints}\nin\n{shown}")


def smallest(cluster: list[Manifest], broken: Callable[[list[Manifest]], bool]) -> list[Manifest]:
    """A cluster from which nothing can be taken without mending it."""

    def still(candidate: list[Manifest]) -> bool:
        try:
            return broken(candidate)
        except (ValueError, KeyError):
            # What was left out was needed for the manifests to be any.
            return False

    while True:
        smaller = next((one for one in _without_one(cluster) if still(one)), None)
        if smaller is None:
            return cluster
        cluster = smaller


def _without_one(value: Any) -> Iterator[Any]:
    """Every copy that lacks one element or one field, at the top first, then deeper."""
    if isinstance(value, list):
        yield from (value[:i] + value[i + 1 :] for i in range(len(value)))
        yield from ([*value[:i], inner, *value[i + 1 :]] for i, one in enumerate(value) for inner in _without_one(one))
    elif isinstance(value, dict):
        yield from ({k: v for k, v in value.items() if k != key} for key in value)
        yield from (value | {key: inner} for key, one in value.items() for inner in _without_one(one))
