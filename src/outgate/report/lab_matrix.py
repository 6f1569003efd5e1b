"""The probes of a lab as a matrix: who may reach what, as few rows and columns as tell everything.

A row is a source, a column a destination with some of its ports. Ports of one destination that all sources
are treated alike on share a column; in a large lab, pods of one namespace that behave alike in every respect
share a row and a column. Nothing is averaged: what shares a cell has the same state, or the cell says that it differs.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from outgate.model import Pod
from outgate.policy import Endpoint
from outgate.report.lab import ProbeResult

__all__ = ["Column", "Matrix", "Section", "State", "matrix_of"]

SMALL = 12
"""Pods that all get a row of their own."""


class State(enum.Enum):
    """What a cell says. The value is the sign for it."""

    ALLOWED = "✓"
    DENIED = "✗"
    DISAGREES = "!"
    ONLY_IPV4 = "4"
    ONLY_IPV6 = "6"
    DIFFERS = "±"
    """What shares the cell is not all treated alike: the backends of a Service, say."""
    ITSELF = "·"
    UNKNOWN = " "
    """Not probed."""


class Section(enum.Enum):
    """The tables, in their order."""

    PODS = "to pods"
    SERVICES = "to services, by address and by name"
    OUTSIDE = "to addresses and names outside, and to nodes"


@dataclass(frozen=True, slots=True)
class _Spot:
    """A destination, before its ports are known."""

    section: Section
    scope: str
    """The namespace, where there is one."""
    head: str


@dataclass(frozen=True, slots=True)
class Column:
    """A destination and some of its ports."""

    section: Section
    scope: str
    head: str
    sub: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows by name, columns in order, and the states; a cell that is missing was not probed."""

    rows: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: Mapping[tuple[str, Column], State]
    legend: tuple[str, ...] = ()
    """What is not plain about some heads, in sentences."""


_Probes = dict[str, list[ProbeResult]]
"""By the label of the port."""


@dataclass(slots=True)
class _Raw:
    """Every probe in its place."""

    other: str
    """The label of the port that stands for all that nobody mentions."""
    places: dict[str, dict[_Spot, _Probes]] = field(default_factory=dict)
    """By row, destination and port."""
    pods: dict[str, Pod] = field(default_factory=dict)
    """The pods among the rows and pod columns, by name."""
    order: dict[_Spot, None] = field(default_factory=dict)
    """The destinations, in the order of the probes."""
    words: dict[str, dict[str, None]] = field(default_factory=dict)
    """What a head stands for."""

    def add(self, probe: ProbeResult) -> None:
        """Puts one probe in its place."""
        row, spot = self._row(probe), self._spot(probe)
        self.order[spot] = None
        self.places.setdefault(row, {}).setdefault(spot, {}).setdefault(_port(probe), []).append(probe)

    def _row(self, probe: ProbeResult) -> str:
        source = probe.source
        if source.pod is not None:
            self.pods[str(source.pod)] = source.pod
            return str(source.pod)
        if source.node is not None:
            return _node_word(source, probe.destination)
        if probe.reason:
            self._say(str(source.address), probe.reason)
            return str(source.address)
        return "the world"

    def _spot(self, probe: ProbeResult) -> _Spot:
        end = probe.destination
        if probe.service:
            namespace, _, name = probe.service.partition("/")
            return _Spot(Section.SERVICES, namespace, name)
        if probe.name:
            return _Spot(Section.OUTSIDE, "", probe.name)
        if probe.via == "pod" and end.pod is not None:
            self.pods[str(end.pod)] = end.pod
            return _Spot(Section.PODS, end.pod.namespace, end.pod.name)
        if end.node is not None:
            return _Spot(Section.OUTSIDE, "", _node_word(end, probe.source))
        if probe.reason in _WORDS:
            self._say(_WORDS[probe.reason], str(probe.address))
            return _Spot(Section.OUTSIDE, "", _WORDS[probe.reason])
        if probe.reason:
            self._say(str(probe.address), probe.reason)
        return _Spot(Section.OUTSIDE, "", str(probe.address))

    def _say(self, head: str, meaning: str) -> None:
        self.words.setdefault(head, {})[meaning] = None


_WORDS = {"metadata service": "metadata", "no policy mentions it": "internet"}


def matrix_of(probes: Iterable[ProbeResult], unmentioned: int | None = None) -> Matrix:
    """The matrix of some probes. `unmentioned`: the port that stands for all others."""
    raw = _Raw(str(unmentioned))
    for probe in probes:
        raw.add(probe)
    merged = _merge(raw) if len(raw.pods) > SMALL else {}
    rows = [row for row in _ordered(raw) if merged.get(row, (row,))[0] == row]
    columns: list[Column] = []
    cells: dict[tuple[str, Column], State] = {}
    for spot in _spots(raw):
        name = f"{spot.scope}/{spot.head}"
        members = merged.get(name, (name,)) if spot.section is Section.PODS else (name,)
        if members[0] != name:
            continue
        for labels, sub in _groups(raw, rows, spot, members):
            column = Column(spot.section, spot.scope, _and_more(spot.head, members), sub)
            columns.append(column)
            for row in rows:
                state = _cell(raw, row, spot, labels, members)
                if state is not State.UNKNOWN:
                    cells[_and_more(row, merged.get(row, (row,))), column] = state
    names = tuple(_and_more(row, merged.get(row, (row,))) for row in rows)
    legend = tuple(f"{head}: {', '.join(meanings)}" for head, meanings in raw.words.items())
    return Matrix(names, tuple(columns), cells, legend)


def _node_word(node: Endpoint, other: Endpoint) -> str:
    own = other.pod is not None and node.node is not None and other.pod.node == node.node.name
    return "own node" if own else "another node"


_BY_NAME = "by name"


def _port(probe: ProbeResult) -> str:
    if not probe.protocol.has_ports:
        return "ping"
    if probe.service and probe.name:
        return _BY_NAME
    return str(probe.port) + ("" if probe.protocol.name == "TCP" else f"/{probe.protocol.name}")


def _and_more(name: str, members: tuple[str, ...]) -> str:
    return name if len(members) < 2 else f"{name} +{len(members) - 1}"


def _ordered(raw: _Raw) -> list[str]:
    """Pods by name, then the others."""
    return sorted(raw.places, key=lambda row: (row not in raw.pods, row))


def _spots(raw: _Raw) -> list[_Spot]:
    """All destinations: by section, then by name; what is outside in the order of the probes."""
    order = list(Section)
    return sorted(raw.order, key=lambda one: (order.index(one.section), one.scope, one.head if one.scope else ""))


def _state_of(probes: Iterable[ProbeResult]) -> State:
    """What some probes say together."""
    many = tuple(probes)
    if any(one.disagrees for one in many):
        return State.DISAGREES
    if any(one.mixed for one in many):
        return State.DIFFERS
    by_family = {(one.address.version, one.observed.allows) for one in many}
    if not by_family:
        return State.UNKNOWN
    if len({allows for _, allows in by_family}) == 1:
        return State.ALLOWED if next(iter(by_family))[1] else State.DENIED
    if by_family == {(4, True), (6, False)}:
        return State.ONLY_IPV4
    return State.ONLY_IPV6 if by_family == {(4, False), (6, True)} else State.DIFFERS


def _between(raw: _Raw, row: str, spot: _Spot, members: tuple[str, ...]) -> _Probes:
    """The probes of a row to a destination. Of a group to itself: those of its first member to its second."""
    if spot.section is Section.PODS and row == f"{spot.scope}/{spot.head}" and len(members) > 1:
        second = raw.pods[members[1]]
        spot = _Spot(Section.PODS, second.namespace, second.name)
    return raw.places[row].get(spot, {})


def _cell(raw: _Raw, row: str, spot: _Spot, labels: Iterable[str], members: tuple[str, ...]) -> State:
    """One cell. A pod to itself is a dot where it stands for no other; a disagreement always shows."""
    if spot.section is Section.PODS and row == f"{spot.scope}/{spot.head}":
        itself = raw.places[row].get(spot, {})
        if _state_of(one for many in itself.values() for one in many) is State.DISAGREES:
            return State.DISAGREES
        if len(members) < 2:
            return State.ITSELF if itself else State.UNKNOWN
    here = _between(raw, row, spot, members)
    return _state_of(one for label in labels for one in here.get(label, ()))


def _groups(raw: _Raw, rows: list[str], spot: _Spot, members: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The ports of a destination, those together on which no source is treated differently, and what to call them."""
    pod = raw.pods.get(f"{spot.scope}/{spot.head}") if spot.section is Section.PODS else None
    own = {str(one.port) + ("" if one.protocol == "TCP" else f"/{one.protocol}") for one in pod.ports} if pod else set()
    sources = [row for row in rows if pod is None or row != str(pod) or len(members) > 1] or rows
    here = {row: _between(raw, row, spot, members) for row in sources}
    labels = {label: None for row in sources for label in here[row]}
    ordered = sorted(labels, key=lambda label: (label not in own, not label[0].isdigit(), _number(label), label))
    groups: list[tuple[list[str], dict[str, State]]] = []
    for label in ordered:
        vector = ((row, _state_of(here[row].get(label, ()))) for row in sources)
        known: dict[str, State] = {row: state for row, state in vector if state is not State.UNKNOWN}
        for together, states in groups:
            if all(states.get(row, state) is state for row, state in known.items()):
                together.append(label)
                states.update(known)
                break
        else:
            groups.append(([label], known))
    for together, _ in groups:
        yield tuple(together), _sub(together, own, raw.other, alone=len(groups) == 1)


def _number(label: str) -> int:
    return int(label.partition("/")[0]) if label[0].isdigit() else 0


def _sub(members: list[str], own: set[str], unmentioned: str, *, alone: bool) -> str:
    """What a group of ports is called. `alone`: there is no other group."""
    if alone and _BY_NAME not in members and (len(members) > 1 or members == [unmentioned]):
        return "all"
    members = [one for one in members if one != _BY_NAME] or members
    mine = [one for one in members if one in own]
    if unmentioned in members and not mine:
        return "other"
    return _short(mine or members, more=bool(mine) and len(mine) < len(members))


def _short(labels: list[str], *, more: bool = False) -> str:
    """At most two ports; 53 and 53/UDP are one word."""
    words = [one for one in labels if one.removesuffix("/UDP") == one or one.removesuffix("/UDP") not in labels]
    return ",".join(words[:2]) + (",…" if more or len(words) > 2 else "")


def _merge(raw: _Raw) -> dict[str, tuple[str, ...]]:
    """Groups of pods that behave alike, by each member's name; the first member stands for all."""
    names = [row for row in _ordered(raw) if row in raw.pods]
    behaviour = {name: _behaviour(raw, name) for name in names}
    towards = {
        (row, f"{spot.scope}/{spot.head}"): {label: _state_of(many) for label, many in ports.items()}
        for row, spots in raw.places.items()
        for spot, ports in spots.items()
        if spot.section is Section.PODS
    }
    groups: list[list[str]] = []
    for name in names:
        for group in groups:
            if _alike(raw, group, name, behaviour, towards):
                group.append(name)
                break
        else:
            groups.append([name])
    return {name: tuple(group) for group in groups for name in group}


def _behaviour(raw: _Raw, name: str) -> object:
    """Everything about a pod but its dealings with other pods."""
    spots = raw.places.get(name, {})
    return {
        (spot, label): _state_of(many)
        for spot, ports in spots.items()
        if spot.section is not Section.PODS
        for label, many in ports.items()
    }


def _alike(
    raw: _Raw,
    group: list[str],
    name: str,
    behaviour: Mapping[str, object],
    towards: Mapping[tuple[str, str], Mapping[str, State]],
) -> bool:
    first = group[0]
    if raw.pods[first].namespace != raw.pods[name].namespace or behaviour[first] != behaviour[name]:
        return False
    inner = towards.get((first, group[1])) if len(group) > 1 else towards.get((first, name))
    if any(towards.get(pair) != inner for one in group for pair in ((one, name), (name, one))):
        return False
    others = [one for one in raw.places if one not in group and one != name]
    return all(
        towards.get((first, one)) == towards.get((name, one)) and towards.get((one, first)) == towards.get((one, name))
        for one in others
    )
