"""The free ways through the picture: between containers, and between the boxes in them.

A line that passes behind a box looks as if it ended there. So a line that has to cross a column does it in a gap of
that column. A `Lane` is one crossing: from which x to which, and between which heights there is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from outgate.report.page_layout import Box, Layout

__all__ = ["Gap", "Lane", "Lanes", "Way"]

_AROUND = 24
"""How much room is above the first and below the last of a column."""

Gap = tuple[int, int]
"""Its upper and its lower end."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A column to be crossed, and its gaps from top to bottom."""

    left: int
    right: int
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """What a line has to cross, in its order.

    Where both ends stand in one column, it leaves to the right, turns where the column ends, and comes back.
    """

    out: tuple[Lane, ...]
    """All lanes; of a way with a turn, those before it."""
    back: tuple[Lane, ...] = ()
    """Those after the turn."""
    turn: int | None = None
    """The x from which on there is room for the turn."""
    narrow: bool = False
    """Whether that room is only what lies between two columns of boxes."""


class Lanes:
    """The columns of a layout: those of containers, and those of boxes in each container."""

    def __init__(self, places: Layout) -> None:
        self._outer = [_lane([places.groups[one].box for one in column], _AROUND) for column in places.columns]
        self._column_of = {one: index for index, column in enumerate(places.columns) for one in column}
        self._group_of = places.group_of()
        self._boxes = places.boxes
        self._inner: list[list[Lane]] = []
        for group in places.groups:
            columns: dict[int, list[Box]] = {}
            for member in group.members:
                columns.setdefault(places.boxes[member].x, []).append(places.boxes[member])
            self._inner.append([_lane(boxes, 10) for _, boxes in sorted(columns.items())])

    def between_groups(self, source: int, destination: int) -> Way:
        """What lies between two containers."""
        a, b = self._column_of[source], self._column_of[destination]
        if a == b:
            return Way((), (), self._outer[a].right)
        return Way(tuple(self._outer[a + 1 : b] if a < b else self._outer[b + 1 : a][::-1]))

    def between_nodes(self, source: int, destination: int) -> Way:
        """What lies between two boxes."""
        a, b = self._group_of[source], self._group_of[destination]
        one, other = self._boxes[source], self._boxes[destination]
        if a == b and one.x == other.x:
            return Way((), (), one.right, narrow=True)
        if a == b:
            left, right = sorted((one.x, other.x))
            found = tuple(lane for lane in self._inner[a] if left < lane.left < right)
            return Way(found if one.x == left else found[::-1])
        outer = self.between_groups(a, b)
        if outer.turn is not None:
            into = _beside(self._inner[b], other, right=True)[::-1]
            return Way(tuple(_beside(self._inner[a], one, right=True)), tuple(into), outer.turn)
        forward = self._column_of[a] < self._column_of[b]
        leaving = _beside(self._inner[a], one, right=forward)
        entering = _beside(self._inner[b], other, right=not forward)[::-1]
        return Way((*leaving, *outer.out, *entering))


def _beside(lanes: Sequence[Lane], box: Box, *, right: bool) -> list[Lane]:
    """The columns of a container on one side of a box, the nearest first."""
    if right:
        return [lane for lane in lanes if lane.left >= box.right]
    return [lane for lane in reversed(lanes) if lane.right <= box.x]


def _lane(boxes: Iterable[Box], around: int) -> Lane:
    standing = sorted(boxes, key=lambda box: box.y)
    gaps = [(standing[0].y - around, standing[0].y)]
    gaps += [(above.bottom, below.y) for above, below in pairwise(standing)]
    gaps.append((standing[-1].bottom, standing[-1].bottom + around))
    return Lane(min(box.x for box in standing), max(box.right for box in standing), tuple(gaps))
