"""Where everything in the picture stands.

Namespaces are containers, packed into columns from those that mostly send (left) to those that mostly receive
(right); controllers of ingress stand to the left of all, addresses outside to the right. In a container the same
order makes its columns. So most lines run from left to right, and no two boxes can overlap, because places are given
out by stacking and never by forces. Then the order in every column is settled in a few sweeps: each box moves to the
mean height of what it is connected to (Sugiyama, Tagawa, Toda 1981, the barycenter step), which takes most of the
crossings away. Nothing is drawn by lot: the same page has the same picture.

All lengths are whole units of the picture, about a pixel each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log, sqrt

from outgate.report.page_data import EXTERNAL, INGRESS_CONTROLLER, Page, PageNode

__all__ = ["Box", "Group", "GroupKind", "Layout", "layout"]

BOX_WIDTH, BOX_HEIGHT = 184, 44
GAP_X, GAP_Y = 46, 12
PADDING_X, PADDING_TOP, PADDING_BOTTOM = 24, 40, 20
COLUMN_GAP, GROUP_GAP, MARGIN = 112, 34, 24
ASPECT = 1.7
"""Width to height that the packing aims at: a screen without its bars."""
ROWS = 6
"""How many boxes a container of one column holds before it gets a second."""
MOST_COLUMNS = 24
SWEEPS = 6
MOST_SWEPT = 20_000
"""Pairs above which no order of boxes makes lines readable, and the sweeps are left out."""

GroupKind = str
"""``namespace``, ``outside`` or ``ingress``."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its upper left corner."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The x of its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The y of its lower side."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """The y of its middle."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Group:
    """A container, and which nodes stand in it."""

    kind: GroupKind
    label: str
    box: Box
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The size of the picture, the box of every node by its index, and the containers from left to right."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    groups: tuple[Group, ...]
    columns: tuple[tuple[int, ...], ...]
    """The indices of the groups that stand above each other, from left to right and from top to bottom."""

    def group_of(self) -> list[int]:
        """The index of the group of every node."""
        found = [0] * len(self.boxes)
        for index, group in enumerate(self.groups):
            for member in group.members:
                found[member] = index
        return found


@dataclass(slots=True)
class _Container:
    """A group while it is being placed."""

    kind: GroupKind
    label: str
    columns: list[list[int]]
    """The members: columns from left to right, each from top to bottom."""
    x: int = 0
    y: int = 0

    @property
    def width(self) -> int:
        count = len(self.columns)
        return count * BOX_WIDTH + (count - 1) * GAP_X + 2 * PADDING_X

    @property
    def height(self) -> int:
        rows = max(map(len, self.columns))
        return PADDING_TOP + rows * BOX_HEIGHT + (rows - 1) * GAP_Y + PADDING_BOTTOM

    def boxes(self) -> Iterable[tuple[int, Box]]:
        for number, column in enumerate(self.columns):
            x = self.x + PADDING_X + number * (BOX_WIDTH + GAP_X)
            for row, member in enumerate(column):
                y = self.y + PADDING_TOP + row * (BOX_HEIGHT + GAP_Y)
                yield member, Box(x, y, BOX_WIDTH, BOX_HEIGHT)


def layout(page: Page) -> Layout:
    """The places of all nodes and namespaces."""
    flow = _flow(page)
    columns = _columns(page, flow)
    if not columns:
        return Layout(2 * MARGIN, 2 * MARGIN, (), (), ())
    pairs = {(one.source, one.destination) for one in page.edges if one.source != one.destination}
    neighbours: list[list[int]] = [[] for _ in page.nodes]
    for source, destination in sorted(pairs) if len(pairs) <= MOST_SWEPT else ():
        neighbours[source].append(destination)
        neighbours[destination].append(source)
    height = _stack(columns)
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            _settle(column, columns, neighbours)
            height = _stack(columns)
    boxes = dict(pair for column in columns for one in column for pair in one.boxes())
    groups = tuple(
        Group(one.kind, one.label, Box(one.x, one.y, one.width, one.height), _members(one))
        for column in columns
        for one in column
    )
    width = max(group.box.right for group in groups) + MARGIN
    numbers = iter(range(len(groups)))
    standing = tuple(tuple(next(numbers) for _ in column) for column in columns)
    return Layout(width, height, tuple(boxes[index] for index in range(len(page.nodes))), groups, standing)


def _members(container: _Container) -> tuple[int, ...]:
    return tuple(member for column in container.columns for member in column)


def _flow(page: Page) -> list[tuple[int, int]]:
    """How many connections leave and enter each node."""
    out, into = [0] * len(page.nodes), [0] * len(page.nodes)
    for edge in page.edges:
        if edge.source != edge.destination:
            out[edge.source] += 1
            into[edge.destination] += 1
    return list(zip(out, into, strict=True))


def _leaning(flows: Iterable[tuple[int, int]]) -> float:
    """From 1, only sends, to -1, only receives."""
    out, into = 0, 0
    for one_out, one_into in flows:
        out, into = out + one_out, into + one_into
    return (out - into) / (out + into) if out + into else 0.0


def _columns(page: Page, flow: Sequence[tuple[int, int]]) -> list[list[_Container]]:
    """The containers in their columns: controllers of ingress, namespaces, addresses outside."""
    named: dict[tuple[GroupKind, str], list[int]] = {}
    for index, node in enumerate(page.nodes):
        named.setdefault(_group_key(node), []).append(index)

    def order(index: int) -> tuple[float, str, str, str, int]:
        node = page.nodes[index]
        return -_leaning([flow[index]]), node.name, node.part, node.kind, index

    sides: dict[GroupKind, list[_Container]] = {"ingress": [], "namespace": [], "outside": []}
    for (kind, label), members in sorted(named.items()):
        columns = max(1, ceil(sqrt(len(members) / ROWS)))
        rows = ceil(len(members) / columns)
        ordered = sorted(members, key=order)
        parts = [ordered[at : at + rows] for at in range(0, len(ordered), rows)]
        sides[kind].append(_Container(kind, label, parts))
    middle = sorted(sides["namespace"], key=lambda one: (-_leaning(flow[i] for i in _members(one)), one.label))
    packings = ([sides["ingress"], *packed, sides["outside"]] for packed in _packings(middle))
    return min(([column for column in packing if column] for packing in packings), key=_distortion)


def _group_key(node: PageNode) -> tuple[GroupKind, str]:
    if node.kind == EXTERNAL:
        return "outside", "outside"
    if node.kind == INGRESS_CONTROLLER:
        return "ingress", "ingress controllers"
    return "namespace", node.namespace


def _packings(containers: Sequence[_Container]) -> Iterator[list[list[_Container]]]:
    """The containers, in their order, in one column, in two, and so on, all columns filled about alike."""
    heights = [one.height + GROUP_GAP for one in containers]
    for count in range(1, max(2, min(len(containers), MOST_COLUMNS) + 1)):
        columns: list[list[_Container]] = [[] for _ in range(count)]
        before = 0
        for one, height in zip(containers, heights, strict=True):
            # Where the middle of the container lies when all stand on one pile, cut into equal parts.
            columns[min(count - 1, int((before + height / 2) * count / sum(heights)))].append(one)
            before += height
        yield columns


def _distortion(columns: Sequence[Sequence[_Container]]) -> float:
    """How far the shape of a picture is from that of a screen."""
    if not columns:
        return 0.0
    width = sum(max(one.width for one in column) + COLUMN_GAP for column in columns)
    height = max(sum(one.height + GROUP_GAP for one in column) for column in columns)
    return abs(log(width / height / ASPECT))


def _stack(columns: Sequence[Sequence[_Container]]) -> int:
    """Gives every container its corner, columns centred on each other; returns the height of the picture."""
    heights = [sum(one.height for one in column) + GROUP_GAP * (len(column) - 1) for column in columns]
    tallest = max(heights)
    x = MARGIN
    for column, height in zip(columns, heights, strict=True):
        y = MARGIN + (tallest - height) // 2
        width = max(one.width for one in column)
        for one in column:
            one.x, one.y = x + (width - one.width) // 2, y
            y += one.height + GROUP_GAP
        x += width + COLUMN_GAP
    return tallest + 2 * MARGIN


def _settle(
    column: list[_Container], columns: Sequence[Sequence[_Container]], neighbours: Sequence[Sequence[int]]
) -> None:
    """Orders the containers of a column, and the boxes in each of their columns, by the mean height of neighbours."""
    at = {member: box.middle for every in columns for one in every for member, box in one.boxes()}

    def wish(members: Sequence[int]) -> float:
        heights = [at[other] for member in members for other in neighbours[member]]
        return sum(heights) / len(heights) if heights else sum(at[member] for member in members) / len(members)

    column.sort(key=lambda one: (wish(_members(one)), one.label))
    for one in column:
        for inner in one.columns:
            inner.sort(key=lambda member: (wish([member]), member))
