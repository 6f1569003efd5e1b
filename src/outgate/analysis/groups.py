"""Who is on the list: workloads, split where policies can tell their pods apart.

A group is pods of one workload that are treated alike in both directions: as senders, as receivers, and with every
address outside. Nearly always that is the whole workload. Where pods of one workload have labels of their own (a
version, the name of a StatefulSet's pod) and some policy looks at them, or where an address block covers some of the
pods, the workload becomes several groups, each with the labels that set it apart. A pod without an owner is a
workload of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from outgate.model import Direction, Pod
from outgate.policy.grid import Grid
from outgate.policy.identity import Bits, members
from outgate.records import dataclass

__all__ = [
    "Group",
    "Groups",
    "WorkloadKey",
    "part_order",
    "part_words",
    "pods_by_workload",
    "told_apart",
    "workload_of",
]

WorkloadKey = tuple[str, str, str]
"""(namespace, name, kind): the order of a list."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Pods of one workload that are treated alike. `identity` stands for all that they have."""

    kind: str
    namespace: str
    name: str
    pods: tuple[Pod, ...]
    identity: int
    split: bool = False
    """Whether the workload has other groups too."""
    part: tuple[tuple[str, str], ...] = ()
    """Of a split workload: the labels that all pods of this group have and not all of the workload. Empty where
    labels do not tell it apart, but addresses or ports do."""

    @property
    def workload(self) -> WorkloadKey:
        """Whose pods these are."""
        return self.namespace, self.name, self.kind

    def __str__(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.kind == "Pod" else f"{self.namespace}/{self.kind}/{self.name}"
        return f"{name}[{part_words(self)}]" if self.split else name


def part_words(group: Group, most: int = 3) -> str:
    """What sets a group of a split workload apart, in words: ``version=v2``, or the names of its pods."""
    if group.part:
        return ",".join(f"{key}={value}" for key, value in group.part)
    names = [pod.name for pod in group.pods]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


@dataclass(frozen=True, slots=True)
class Groups:
    """All groups of a grid, by namespace, name and kind of workload, and within one by labels."""

    all: tuple[Group, ...]
    of_identity: Mapping[int, tuple[int, ...]]
    """For the identity that stands for a group: the places in `all` of such groups."""
    representatives: Bits
    """The identities that stand for groups."""
    simple: bool
    """Whether every workload is of one identity, so that no change of policies under one lens can split it."""

    @classmethod
    def of(cls, grid: Grid) -> Groups:
        """The groups of a grid."""
        found: list[Group] = []
        several = pods_by_workload(grid)
        alike = _alike(grid, several.values())
        for (namespace, name, kind), parts in sorted(several.items()):
            merged: dict[int, list[Pod]] = {}
            for number, pods in parts.items():
                merged.setdefault(alike.get(number, number), []).extend(pods)
            made = [
                Group(kind, namespace, name, tuple(pods), number, len(merged) > 1) for number, pods in merged.items()
            ]
            found.extend(made if len(made) == 1 else sorted(told_apart(grid, made), key=part_order))
        places: dict[int, list[int]] = {}
        for place, group in enumerate(found):
            places.setdefault(group.identity, []).append(place)
        bits = sum(1 << number for number in places)
        simple = all(len(parts) == 1 for parts in several.values())
        return cls(tuple(found), {number: tuple(many) for number, many in places.items()}, bits, simple)


def pods_by_workload(grid: Grid) -> dict[WorkloadKey, dict[int, list[Pod]]]:
    """The pods of each workload, by identity."""
    found: dict[WorkloadKey, dict[int, list[Pod]]] = {}
    for number, pods in enumerate(grid.identities.pods):
        for pod in pods:
            found.setdefault(workload_of(pod), {}).setdefault(number, []).append(pod)
    return found


def workload_of(pod: Pod) -> WorkloadKey:
    """Whose pod it is; its own where it has no owner."""
    owner = pod.owner
    return (pod.namespace, owner.name, owner.kind) if owner is not None else (pod.namespace, pod.name, "Pod")


def _alike(grid: Grid, workloads: Iterable[Mapping[int, object]]) -> dict[int, int]:
    """For identities that share a workload with others: the first that is treated exactly like it."""
    mask = 0
    for parts in workloads:
        if len(parts) > 1:
            for number in parts:
                mask |= 1 << number
    if not mask:
        return {}
    signs: dict[int, list[object]] = {number: [] for number in members(mask)}
    for sign, bits in enumerate(_distinctions(grid)):
        for number in members(bits & mask):
            signs[number].append(sign)
    first: dict[tuple[object, ...], int] = {}
    alike: dict[int, int] = {}
    for number, mine in signs.items():
        identity = grid.identities.all[number]
        keys = (grid.keys[direction][number] for direction in Direction)
        families = tuple(where is not None for where in identity.within)
        ports = tuple((port.name, port.protocol, port.port) for port in identity.ports)
        # Of one namespace, or a workload would be answered for by a pod whose own namespace is another's.
        together = (identity.namespace, identity.host_network, families, *keys, ports, *mine)
        alike[number] = first.setdefault(together, number)
    return alike


def _distinctions(grid: Grid) -> Iterable[Bits]:
    """Every set of identities that some rule of a policy with subjects makes a difference for, each once."""
    seen: set[Bits] = set()
    for direction in Direction:
        for key in dict.fromkeys(grid.keys[direction]):
            for rule in grid.standing(key, direction).every_rule():
                for family in grid.families:
                    seen.add(grid.peers(rule, family))
                    if direction is Direction.EGRESS:
                        # A port name has a meaning for some of the peers alone, and it may be that of who is beside.
                        seen.update(bits for _, bits in grid.out_of(rule, family))
    return seen


def told_apart(grid: Grid, groups: list[Group]) -> list[Group]:
    """The groups of one workload with the labels that set each apart, in the order given."""
    keys = grid.lens.keys
    labels = [[{k: v for k, v in pod.labels.items() if k in keys} for pod in group.pods] for group in groups]
    shared = [_constant(many) for many in labels]
    everywhere = _constant([one for many in labels for one in many])
    parts = [tuple(sorted((k, v) for k, v in mine.items() if everywhere.get(k) != v)) for mine in shared]
    # Labels that two groups have alike set neither apart: what does is their addresses, and then pods are named.
    return [replace(one, part=part if parts.count(part) == 1 else ()) for one, part in zip(groups, parts, strict=True)]


def part_order(group: Group) -> tuple[tuple[tuple[str, str], ...], str]:
    """The order of the groups of one workload."""
    return group.part, group.pods[0].name


def _constant(many: list[dict[str, str]]) -> dict[str, str]:
    """The labels that all have, with one value."""
    found = dict(many[0])
    for one in many[1:]:
        found = {key: value for key, value in found.items() if one.get(key) == value}
    return found
