"""Not a check: the labels that come nearest to those that a selector asks for."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from outgate.model.labels import Labels, LabelSelector, Operator

__all__ = ["nearest_labels"]


def nearest_labels(selector: LabelSelector, carried: Sequence[Labels]) -> str:
    """What to look at, in words: labels that are spelled alike, then those with the same key; empty where none is."""
    pairs = {f"{key}={value}" for labels in carried for key, value in labels.items()}
    found: dict[str, None] = {}
    for requirement in selector.requirements:
        if requirement.operator not in (Operator.IN, Operator.EXISTS):
            continue
        wanted = [f"{requirement.key}={value}" for value in requirement.values] or [requirement.key]
        if any(one in pairs for one in wanted):
            continue
        for one in wanted:
            found |= dict.fromkeys(difflib.get_close_matches(one, sorted(pairs), n=2, cutoff=0.7))
        found |= dict.fromkeys(sorted(pair for pair in pairs if pair.partition("=")[0] == requirement.key)[:2])
    near = list(found)[:3]
    return f"there is {', '.join(near)}" if near else ""
