"""Parts of a workload that changed alike, put together again.

Workloads are compared in the finest parts that either side needs, and often most of these parts changed in the same
way. Whoever reads a diff wants the workload then, and not each of its parts. Parts are one where the same changed
towards the same ends, in both directions, in what is asked there, and in isolation; what did not change at all is one
as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from outgate.analysis.asking import Movements
from outgate.analysis.changes import Change, IsolationChange
from outgate.analysis.condition_changes import ConditionChange
from outgate.analysis.connections import Party
from outgate.analysis.groups import Group, WorkloadKey, told_apart
from outgate.analysis.matching import Matched
from outgate.policy.grid import Grid

__all__ = ["merged"]

_Change = TypeVar("_Change", Change, ConditionChange)
Merged = tuple[tuple[Matched, ...], tuple[Change, ...], tuple[IsolationChange, ...], tuple[ConditionChange, ...]]


def merged(
    grid: Grid,
    pieces: tuple[Matched, ...],
    changes: tuple[Change, ...],
    isolation: tuple[IsolationChange, ...],
    conditions: tuple[ConditionChange, ...],
    asked: Movements,
) -> Merged:
    """The same with fewer pieces: those that changed alike are one, and what is said of one is said once.

    `asked` tells what is asked of what differs, by the pieces as they come.
    """
    workloads: dict[WorkloadKey, list[Matched]] = {}
    for piece in pieces:
        if piece.group.split:
            workloads.setdefault(piece.group.workload, []).append(piece)
    if not workloads:
        return pieces, changes, isolation, conditions
    signs = _signs(changes, isolation, conditions, asked)
    instead: dict[Group, Matched] = {}
    for parts in workloads.values():
        instead.update(_put_together(grid, parts, signs))

    if not instead:
        return pieces, changes, isolation, conditions
    said = dict.fromkeys(
        replace(one, group=instead[one.group].group) if one.group in instead else one for one in isolation
    )
    kept = tuple(dict.fromkeys(instead.get(one.group, one) for one in pieces))
    return kept, _changes(changes, instead), tuple(said), _changes(conditions, instead)


def _changes(changes: tuple[_Change, ...], instead: dict[Group, Matched]) -> tuple[_Change, ...]:
    """The changes with the ends that are shown, each once, where the first of its parts stood."""

    def shown(party: Party) -> Party:
        found = instead.get(party) if isinstance(party, Group) else None
        return party if found is None else found.group

    kept: list[_Change] = []
    said: set[_Change] = set()
    for one in changes:
        ends = shown(one.source), shown(one.destination)
        if ends == (one.source, one.destination):
            kept.append(one)
            continue
        joined = replace(one, source=ends[0], destination=ends[1])
        if joined not in said:
            said.add(joined)
            kept.append(joined)
    return tuple(kept)


def _signs(
    changes: Iterable[Change],
    isolation: Iterable[IsolationChange],
    conditions: Iterable[ConditionChange],
    asked: Movements,
) -> dict[Group, set[object]]:
    """What is said of each part of a workload that has several."""
    signs: dict[Group, set[object]] = {}

    def sign(source: Party, destination: Party, what: object) -> None:
        if isinstance(source, Group) and source.split:
            signs.setdefault(source, set()).add(("to", destination, what))
        if isinstance(destination, Group) and destination.split:
            signs.setdefault(destination, set()).add(("from", source, what))

    for one in changes:
        if any(isinstance(end, Group) and end.split for end in (one.source, one.destination)):
            sign(one.source, one.destination, (one.shift, asked.state(one)))
    for other in conditions:
        sign(other.source, other.destination, asked.state(other))
    for each in isolation:
        if each.group.split:
            signs.setdefault(each.group, set()).add((each.direction, each.isolated))
    return signs


def _put_together(grid: Grid, parts: list[Matched], signs: dict[Group, set[object]]) -> dict[Group, Matched]:
    """For each part of one workload: what it is shown as."""
    alike: dict[object, list[Matched]] = {}
    for one in parts:
        alike.setdefault((one.presence, frozenset(signs.get(one.group, ()))), []).append(one)
    if len(alike) == len(parts):
        return {}
    groups = []
    for same in alike.values():
        pods = {pod.name: pod for one in same for pod in one.group.pods}
        ordered = tuple(pods[name] for name in sorted(pods))
        groups.append(replace(same[0].group, pods=ordered, split=len(alike) > 1, part=()))
    named = told_apart(grid, groups) if len(groups) > 1 else groups
    # The first part stands for all: what is asked of them has one answer.
    return {
        one.group: shown
        for same, group in zip(alike.values(), named, strict=True)
        for shown in (Matched(same[0].before, same[0].after, group),)
        for one in same
    }
