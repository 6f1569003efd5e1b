"""How lines run between boxes: smooth curves that leave and enter at the sides, each at a height of its own.

A line leaves to the right if its end stands to the right, to the left if it stands to the left, and swings around the
right side where the two stand above each other. On its way it crosses every column in a gap. Where many lines share a
side or a gap they spread over it, ordered by where they come from, so that they neither lie on each other nor cross at
the door.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from outgate.report.page_lanes import Gap, Lane, Lanes, Way
from outgate.report.page_layout import Box, Layout

__all__ = ["Route", "bundle_routes", "edge_routes"]

_CORNER = 8
"""Rounded corners are no door."""

_Point = tuple[int, int]
_Step = tuple[_Point, ...]
"""Where a straight line ends; or the two inner points of a cubic curve, and where that ends."""
_Pairs = Sequence[tuple[int, int]]
_Crossing = tuple[Lane, Gap]
_Wish = tuple[float, int, int]
"""Who wants a place at a side or in a gap: the height it comes from, its line, and which of its points this is."""


@dataclass(frozen=True, slots=True)
class Route:
    """Curves, and straight lines where columns are crossed."""

    start: _Point
    steps: tuple[_Step, ...]

    @property
    def end(self) -> _Point:
        """Where the arrow points."""
        return self.steps[-1][-1]

    @property
    def path(self) -> str:
        """The `d` of a path."""
        steps = (("L" if len(step) == 1 else "C") + " ".join(f"{x} {y}" for x, y in step) for step in self.steps)
        return f"M{self.start[0]} {self.start[1]}" + "".join(steps)

    @property
    def middle(self) -> _Point:
        """A point about halfway, where it is a curve: in the gaps lines run close to each other."""
        starts = [self.start, *(step[-1] for step in self.steps)]
        curves = [(start, step) for start, step in zip(starts, self.steps, strict=False) if len(step) > 1]
        a, (b, c, d) = curves[len(curves) // 2]
        return round((a[0] + 3 * b[0] + 3 * c[0] + d[0]) / 8), round((a[1] + 3 * b[1] + 3 * c[1] + d[1]) / 8)


def edge_routes(places: Layout, pairs: _Pairs) -> list[Route]:
    """The lines between pairs of nodes, in order."""
    return _routes(pairs, places.boxes, Lanes(places).between_nodes)


def bundle_routes(places: Layout, pairs: _Pairs) -> list[Route]:
    """The lines between pairs of groups, in order."""
    return _routes(pairs, [group.box for group in places.groups], Lanes(places).between_groups)


def _routes(pairs: _Pairs, boxes: Sequence[Box], between: Callable[[int, int], Way]) -> list[Route]:
    ways = [between(a, b) for a, b in pairs]
    sides = [_sides(boxes[a], boxes[b], way) for (a, b), way in zip(pairs, ways, strict=True)]
    crossings = [_crossings(boxes[a], boxes[b], way) for (a, b), way in zip(pairs, ways, strict=True)]
    doors: dict[tuple[int, int], list[_Wish]] = {}
    gaps: dict[_Crossing, list[_Wish]] = {}
    for index, ((a, b), crossed, (leaves, enters)) in enumerate(zip(pairs, crossings, sides, strict=True)):
        heights = [boxes[a].middle, *(sum(gap) / 2 for _, gap in crossed), boxes[b].middle]
        doors.setdefault((a, leaves), []).append((heights[1], index, 0))
        doors.setdefault((b, enters), []).append((heights[-2], index, len(crossed) + 1))
        for number, crossing in enumerate(crossed, 1):
            gaps.setdefault(crossing, []).append((heights[number - 1] + heights[number + 1], index, number))
    at: dict[tuple[int, int], int] = {}
    for (box, _), wishes in doors.items():
        at |= _spread(boxes[box].y + _CORNER, boxes[box].bottom - _CORNER, 14, wishes)
    for (_, (low, high)), wishes in gaps.items():
        at |= _spread(low + 2, high - 2, 5, wishes)
    made = []
    for index, ((a, b), way, crossed, side) in enumerate(zip(pairs, ways, crossings, sides, strict=True)):
        heights_of = [at[index, number] for number in range(len(crossed) + 2)]
        made.append(_route(boxes[a], boxes[b], side, way, [lane for lane, _ in crossed], heights_of))
    return made


def _crossings(source: Box, destination: Box, way: Way) -> list[_Crossing]:
    """The gap of every lane that is nearest to the straight line from where one stands to the end."""
    if way.turn is not None:
        return [
            *((lane, _nearest(lane, source.middle)) for lane in way.out),
            *((lane, _nearest(lane, destination.middle)) for lane in way.back),
        ]
    found = []
    x, y = source.x + source.width / 2, source.middle
    end_x, end_y = destination.x + destination.width / 2, destination.middle
    for lane in way.out:
        middle = (lane.left + lane.right) / 2
        gap = _nearest(lane, y + (end_y - y) * (middle - x) / (end_x - x))
        found.append((lane, gap))
        x, y = middle, sum(gap) / 2
    return found


def _nearest(lane: Lane, height: float) -> Gap:
    return min(lane.gaps, key=lambda gap: (abs(sum(gap) / 2 - height), gap))


def _sides(source: Box, destination: Box, way: Way) -> tuple[int, int]:
    """1 for the right side, -1 for the left: of the source, and of the destination."""
    if way.turn is not None:
        return 1, 1
    return (1, -1) if source.x < destination.x else (-1, 1)


def _spread(low: int, high: int, most: int, wishes: Iterable[_Wish]) -> dict[tuple[int, int], int]:
    """A height for everybody, evenly around the middle, at most so far apart."""
    ordered = sorted(wishes)
    step = min(float(most), (high - low) / (len(ordered) - 1)) if len(ordered) > 1 else 0.0
    first = (low + high) / 2 - step * (len(ordered) - 1) / 2
    return {(index, end): round(first + step * number) for number, (_, index, end) in enumerate(ordered)}


def _route(
    source: Box,
    destination: Box,
    sides: tuple[int, int],
    way: Way,
    lanes: Sequence[Lane],
    heights: Sequence[int],
) -> Route:
    leave, enter = sides
    start = (source.right if leave == 1 else source.x, heights[0])
    end = (destination.right if enter == 1 else destination.x, heights[-1])
    steps: list[_Step] = []
    at, direction = start, leave
    for number, (lane, height) in enumerate(zip(lanes, heights[1:-1], strict=True)):
        if way.turn is not None and number == len(way.out):
            steps += _turn(at, way, height)
            at, direction = steps[-1][-1], -1
        near, far = (lane.left, lane.right) if direction == 1 else (lane.right, lane.left)
        steps += [_curve(at, (near, height), direction), ((far, height),)]
        at = (far, height)
    if way.turn is not None and not way.back:
        steps += _turn(at, way, end[1])
        steps += [(end,)] if end[0] != way.turn else []
    else:
        steps.append(_curve(at, end, direction))
    return Route(start, tuple(steps))


def _turn(at: _Point, way: Way, height: int) -> list[_Step]:
    """Out to the free room, around, to another height."""
    assert way.turn is not None
    away = abs(height - at[1])
    swing = 24 + min(14, away // 16) if way.narrow else 30 + min(90, away // 5)
    far = way.turn + swing
    curve = ((far, at[1]), (far, height), (way.turn, height))
    return [curve] if at[0] == way.turn else [((way.turn, at[1]),), curve]


def _curve(p: _Point, q: _Point, direction: int) -> _Step:
    """A curve that begins and ends level."""
    reach = max(12, round(abs(q[0] - p[0]) * 0.45))
    return (p[0] + direction * reach, p[1]), (q[0] - direction * reach, q[1]), q
