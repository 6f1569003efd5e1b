"""Not a check: the labels that come nearest to those that a selector asks for.

Comparing every label of a large cluster with a misspelt one takes longer than finding it. So labels are looked for that
have the same key or the same value, and of very many only those that stand next to it in the order of the alphabet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from outgate.model.labels import Labels, LabelSelector, Operator

__all__ = ["Carried", "nearest_labels", "nearest_names"]

_MANY = 200
_BESIDE = 20


class Carried:
    """The labels that somebody has, by key and by value: put in order once, for all selectors that miss them."""

    def __init__(self, carried: Iterable[Labels]) -> None:
        # Pods of one template share one mapping.
        once = {id(labels): labels for labels in carried}.values()
        self.labels = {label for labels in once for label in labels.items()}
        self.values: dict[str, set[str]] = {}
        self.keys: dict[str, set[str]] = {}
        """The keys that have a value."""
        for key, value in self.labels:
            self.values.setdefault(key, set()).add(value)
            self.keys.setdefault(value, set()).add(key)

    def alike(self, key: str, value: str) -> set[str]:
        """The labels with that key or that value."""
        return {f"{key}={one}" for one in self.values.get(key, ())} | {
            f"{one}={value}" for one in self.keys.get(value, ())
        }


def nearest_labels(selector: LabelSelector, carried: Carried) -> str:
    """What to look at, in words: labels that are spelled alike, then those with the same key; empty where none is."""
    found: dict[str, None] = {}
    for requirement in selector.requirements:
        if requirement.operator not in (Operator.IN, Operator.EXISTS):
            continue
        wanted = [(requirement.key, value) for value in requirement.values]
        if any(one in carried.labels for one in wanted) or (not wanted and requirement.key in carried.values):
            continue
        for key, value in wanted:
            found |= dict.fromkeys(_close(f"{key}={value}", carried.alike(key, value)))
        if not wanted:
            found |= dict.fromkeys(_close(requirement.key, carried.values))
        same = sorted(carried.values.get(requirement.key, ()))[:2]
        found |= dict.fromkeys(f"{requirement.key}={value}" for value in same)
    near = list(found)[:3]
    return f"there is {', '.join(near)}" if near else ""


def nearest_names(name: str, there: Iterable[str]) -> str:
    """The names that are spelled alike, in words; empty where none is."""
    near = _close(name, there)
    return f"there is {', '.join(near)}" if near else ""


def _close(wanted: str, known: Iterable[str]) -> list[str]:
    ordered = sorted(known)
    if len(ordered) > _MANY:
        at = bisect_left(ordered, wanted)
        ordered = ordered[max(at - _BESIDE, 0) : at + _BESIDE]
    from difflib import get_close_matches  # noqa: PLC0415 - only a selector that misses pays for it

    return get_close_matches(wanted, ordered, n=2, cutoff=0.7)
