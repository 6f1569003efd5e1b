"""Which pods of one input are which of another: the workloads of both, cut so finely that nothing has to be guessed.

A workload is the same where namespace, kind and name are. Under one lens both inputs see the same labels and blocks,
but each merges pods by what its own policies do with them, so a workload may be whole on one side and in parts on the
other. A `Matched` is a piece that is treated alike on *each* side; change is asked of pieces, never of whole against
part. Pods belong together

    1. that have one name on both sides;
    2. else, that policies cannot tell apart: labels, ports, address blocks;
    3. else, part by part, by the labels that policies look at, where one part alone has them;
    4. else, with the whole workload, where the other side treats all of its pods alike.

So a new replica, or a roll-out that gives every pod another name, is no difference. What finds no partner is there on
one side alone.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from outgate.analysis.connections import Connections
from outgate.analysis.groups import Group, WorkloadKey, part_order, pods_by_workload, told_apart
from outgate.model import Pod
from outgate.policy.identity import Identity
from outgate.records import dataclass

__all__ = ["Matched", "Presence", "matched"]


class Presence(enum.Enum):
    """Where something is that is not on both sides."""

    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Pods of one workload that are treated alike before, and alike after. One of the two may be missing."""

    before: Group | None
    after: Group | None
    group: Group
    """How it is shown: with its pods of after, or else of before, and what sets it apart from other pieces."""

    @property
    def presence(self) -> Presence | None:
        """Which side alone has it; None where both do."""
        if self.before is None:
            return Presence.ADDED
        return Presence.REMOVED if self.after is None else None

    @property
    def identities(self) -> tuple[int, int]:
        """What stands for it on each side; -1 where it is not there."""
        return (
            -1 if self.before is None else self.before.identity,
            -1 if self.after is None else self.after.identity,
        )


def matched(before: Connections, after: Connections) -> tuple[Matched, ...]:
    """The pieces of all workloads of two lists under one lens, in the order of a list."""
    old, new = _by_workload(before), _by_workload(after)
    kinds = _Kinds(before), _Kinds(after)
    found: list[Matched] = []
    for workload in sorted(old.keys() | new.keys()):
        mine, theirs = old.get(workload, []), new.get(workload, [])
        if len(mine) <= 1 and len(theirs) <= 1:
            one, other = next(iter(mine), None), next(iter(theirs), None)
            found.extend(Matched(one, other, group) for group in (other or one,) if group is not None)
        else:
            meetings = _Meetings(_Parts(mine, kinds[0].of(workload)), _Parts(theirs, kinds[1].of(workload)))
            found.extend(_shown(after, meetings.all()))
    return tuple(found)


def _by_workload(found: Connections) -> dict[WorkloadKey, list[Group]]:
    workloads: dict[WorkloadKey, list[Group]] = {}
    for group in found.groups.all:
        workloads.setdefault(group.workload, []).append(group)
    return workloads


class _Kinds:
    """What policies can see of each pod; looked at only where a workload has parts."""

    def __init__(self, found: Connections) -> None:
        self._found = found
        self._workloads: Mapping[WorkloadKey, Mapping[int, list[Pod]]] | None = None

    def of(self, workload: WorkloadKey) -> dict[str, Identity]:
        """By the names of the pods of one workload."""
        if self._workloads is None:
            self._workloads = pods_by_workload(self._found.grid)
        every = self._found.grid.identities.all
        parts = self._workloads.get(workload, {})
        return {pod.name: every[number] for number, pods in parts.items() for pod in pods}


class _Parts:
    """The parts of one workload on one side."""

    def __init__(self, groups: list[Group], kinds: Mapping[str, Identity]) -> None:
        self.groups = groups
        self.kinds = kinds
        self.of_name = {pod.name: group for group in groups for pod in group.pods}
        self.of_kind: dict[Identity, dict[Group, None]] = {}
        for name, group in self.of_name.items():
            self.of_kind.setdefault(kinds[name], {})[group] = None

    def labels(self, group: Group) -> set[tuple[tuple[str, str], ...]]:
        """The labels that policies look at, of each pod of a part."""
        return {self.kinds[pod.name].labels for pod in group.pods}


class _Meetings:
    """Which part of a workload before meets which part of it after, and in which pods."""

    def __init__(self, before: _Parts, after: _Parts) -> None:
        self.before = before
        self.after = after
        self._pods: dict[tuple[Group, Group], dict[str, Pod]] = {}

    def all(self) -> Iterator[tuple[Group | None, Group | None, tuple[Pod, ...]]]:
        """The pieces; those that are there on one side alone come last."""
        self._by_pods()
        self._by_parts()
        for (one, other), pods in self._pods.items():
            yield one, other, tuple(pods[name] for name in sorted(pods))
        met = {id(group) for pair in self._pods for group in pair}
        yield from ((one, None, one.pods) for one in self.before.groups if id(one) not in met)
        yield from ((None, other, other.pods) for other in self.after.groups if id(other) not in met)

    def _meet(self, one: Group, other: Group, pods: Iterable[Pod]) -> None:
        self._pods.setdefault((one, other), {}).update((pod.name, pod) for pod in pods)

    def _by_pods(self) -> None:
        """Pods of one name, and pods of other names that no policy could tell from each other."""
        before, after = self.before, self.after
        for other in after.groups:
            for pod in other.pods:
                same = before.of_name.get(pod.name)
                for one in (same,) if same is not None else before.of_kind.get(after.kinds[pod.name], ()):
                    self._meet(one, other, (pod,))
        # A pod that is gone may have been like one that stays, and then its part is not gone.
        for one in before.groups:
            for pod in one.pods:
                if pod.name not in after.of_name:
                    kind = before.kinds[pod.name]
                    for other in after.of_kind.get(kind, ()):
                        self._meet(one, other, (each for each in other.pods if after.kinds[each.name] == kind))

    def _by_parts(self) -> None:
        """For parts that have no partner yet: the part with the same labels; else the whole, where that is one part.

        Where several parts have the same labels, nobody knows which of them it was, and each would tell another story.
        """
        before, after = self.before, self.after
        met = {id(group) for pair in self._pods for group in pair}
        finer = len(after.groups) == 1 < len(before.groups)
        for one in before.groups:
            if id(one) not in met:
                alike = [each for each in after.groups if before.labels(one) & after.labels(each)]
                for other in _only(after.groups, alike):
                    # The side that is finer here says which pods are meant.
                    taken = any(each is other for _, each in self._pods)
                    self._meet(one, other, one.pods if taken or finer else other.pods)
        for other in after.groups:
            if id(other) not in met:
                alike = [each for each in before.groups if before.labels(each) & after.labels(other)]
                for one in _only(before.groups, alike):
                    if (one, other) not in self._pods:
                        self._meet(one, other, other.pods)


def _only(groups: list[Group], alike: list[Group]) -> list[Group]:
    """The one part there is, or the one that is alike; none where there are several, or none is."""
    found = groups if len(groups) == 1 else alike
    return found if len(found) == 1 else []


def _shown(
    after: Connections, pieces: Iterable[tuple[Group | None, Group | None, tuple[Pod, ...]]]
) -> Iterator[Matched]:
    """The pieces of one workload, each with what sets it apart from the others."""
    made = list(pieces)
    several = len(made) > 1
    groups = [
        replace(whole, pods=pods, split=several, part=())
        for one, other, pods in made
        if (whole := other or one) is not None
    ]
    if several:
        groups = told_apart(after.grid, groups)
    found = [Matched(one, other, group) for (one, other, _), group in zip(made, groups, strict=True)]
    yield from sorted(found, key=lambda each: part_order(each.group))
