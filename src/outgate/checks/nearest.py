"""Not a check: the labels that come nearest to those that a selector asks for.

Comparing every label of a large cluster with a misspelt one takes longer than finding it. So labels are looked for that
have the same key or the same value, and of very many only those that stand next to it in the order of the alphabet.
"""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from outgate.model.labels import Labels, LabelSelector, Operator

__all__ = ["nearest_labels"]

_MANY = 200
_BESIDE = 20


def nearest_labels(selector: LabelSelector, carried: Sequence[Labels]) -> str:
    """What to look at, in words: labels that are spelled alike, then those with the same key; empty where none is."""
    pairs = {(key, value) for labels in _each_once(carried) for key, value in labels.items()}
    found: dict[str, None] = {}
    for requirement in selector.requirements:
        if requirement.operator not in (Operator.IN, Operator.EXISTS):
            continue
        wanted = [(requirement.key, value) for value in requirement.values]
        keys = {key for key, _ in pairs}
        if any(one in pairs for one in wanted) or (not wanted and requirement.key in keys):
            continue
        for key, value in wanted:
            alike = [f"{k}={v}" for k, v in pairs if k == key or v == value]
            found |= dict.fromkeys(_close(f"{key}={value}", alike))
        if not wanted:
            found |= dict.fromkeys(_close(requirement.key, keys))
        found |= dict.fromkeys(sorted(f"{k}={v}" for k, v in pairs if k == requirement.key)[:2])
    near = list(found)[:3]
    return f"there is {', '.join(near)}" if near else ""


def _each_once(carried: Sequence[Labels]) -> Iterable[Labels]:
    """Pods of one template share one mapping."""
    return {id(labels): labels for labels in carried}.values()


def _close(wanted: str, known: Iterable[str]) -> list[str]:
    ordered = sorted(known)
    if len(ordered) > _MANY:
        at = bisect_left(ordered, wanted)
        ordered = ordered[max(at - _BESIDE, 0) : at + _BESIDE]
    return difflib.get_close_matches(wanted, ordered, n=2, cutoff=0.7)
