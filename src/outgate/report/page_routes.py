"""How lines run between boxes: smooth curves that leave and enter at the sides, each at a height of its own.

A line leaves to the right if its end stands to the right, to the left if it stands to the left, and swings around the
right side where the two stand above each other. On its way it crosses every column in a gap. Where many lines share a
side or a gap they spread over it, ordered by where they come from, so that they neither lie on each other nor cross at
the door.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from outgate.report.page_lanes import Gap, Lane, Lanes
from outgate.report.page_layout import Box, Layout

__all__ = ["Route", "bundle_routes", "edge_routes"]

_CORNER = 8
"""Rounded corners are no door."""

_Point = tuple[int, int]
_Curve = tuple[_Point, _Point, _Point, _Point]
_Pairs = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Route:
    """Cubic curves, each from where the last one ended, and straight where they cross a column."""

    start: _Point
    curves: tuple[_Curve, ...]

    @property
    def end(self) -> _Point:
        """Where the arrow points."""
        return self.curves[-1][3]

    @property
    def path(self) -> str:
        """The `d` of a path."""
        words = [f"M{self.start[0]} {self.start[1]}"]
        for index, (a, b, c, d) in enumerate(self.curves):
            if index and a != self.curves[index - 1][3]:
                words.append(f"L{a[0]} {a[1]}")
            words.append(f"C{b[0]} {b[1]} {c[0]} {c[1]} {d[0]} {d[1]}")
        return "".join(words)

    @property
    def middle(self) -> _Point:
        """A point about halfway."""
        a, b, c, d = self.curves[len(self.curves) // 2]
        return round((a[0] + 3 * b[0] + 3 * c[0] + d[0]) / 8), round((a[1] + 3 * b[1] + 3 * c[1] + d[1]) / 8)


def edge_routes(places: Layout, pairs: _Pairs) -> list[Route]:
    """The lines between pairs of nodes, in order."""
    return _routes(pairs, places.boxes, Lanes(places).between_nodes)


def bundle_routes(places: Layout, pairs: _Pairs) -> list[Route]:
    """The lines between pairs of groups, in order."""
    return _routes(pairs, [group.box for group in places.groups], Lanes(places).between_groups)


def _routes(pairs: _Pairs, boxes: Sequence[Box], lanes: Callable[[int, int], list[Lane]]) -> list[Route]:
    ways = [_way(boxes[a], boxes[b], lanes(a, b)) for a, b in pairs]
    sides = [_sides(boxes[a], boxes[b]) for a, b in pairs]
    # Who wants a place at which side of which box, or in which gap: where it comes from, its line, and which of its
    # points this is.
    doors: dict[tuple[int, int], list[tuple[float, int, int]]] = {}
    gaps: dict[tuple[int, Gap], list[tuple[float, int, int]]] = {}
    for index, ((a, b), way, (leaves, enters)) in enumerate(zip(pairs, ways, sides, strict=True)):
        heights = [boxes[a].middle, *(sum(gap) / 2 for _, gap in way), boxes[b].middle]
        doors.setdefault((a, leaves), []).append((heights[1], index, 0))
        doors.setdefault((b, enters), []).append((heights[-2], index, len(way) + 1))
        for number, (lane, gap) in enumerate(way, 1):
            gaps.setdefault((lane.left, gap), []).append((heights[number - 1] + heights[number + 1], index, number))
    at: dict[tuple[int, int], int] = {}
    for (box, _), lines in doors.items():
        low, high = boxes[box].y + _CORNER, boxes[box].bottom - _CORNER
        at |= _spread(low, high, 14, lines)
    for (_, (low, high)), lines in gaps.items():
        at |= _spread(low + 2, high - 2, 5, lines)
    return [
        _route(boxes[a], boxes[b], side, way, [at[index, number] for number in range(len(way) + 2)])
        for index, ((a, b), side, way) in enumerate(zip(pairs, sides, ways, strict=True))
    ]


def _way(source: Box, destination: Box, lanes: Sequence[Lane]) -> list[tuple[Lane, Gap]]:
    """The gap of every lane that is nearest to the straight line from where one stands to the end."""
    way = []
    x, y = source.x + source.width / 2, source.middle
    end_x, end_y = destination.x + destination.width / 2, destination.middle
    for lane in lanes:
        middle = (lane.left + lane.right) / 2
        wish = y + (end_y - y) * (middle - x) / (end_x - x)
        gap = min(lane.gaps, key=lambda one: (abs(sum(one) / 2 - wish), one))
        way.append((lane, gap))
        x, y = middle, sum(gap) / 2
    return way


def _sides(source: Box, destination: Box) -> tuple[int, int]:
    """1 for the right side, -1 for the left: of the source, and of the destination."""
    if destination.x >= source.right:
        return 1, -1
    if source.x >= destination.right:
        return -1, 1
    return 1, 1


def _spread(low: int, high: int, most: int, lines: Iterable[tuple[float, int, int]]) -> dict[tuple[int, int], int]:
    """A height for everybody, evenly around the middle, at most so far apart."""
    ordered = sorted(lines)
    step = min(float(most), (high - low) / (len(ordered) - 1)) if len(ordered) > 1 else 0.0
    first = (low + high) / 2 - step * (len(ordered) - 1) / 2
    return {(index, end): round(first + step * number) for number, (_, index, end) in enumerate(ordered)}


def _route(
    source: Box, destination: Box, sides: tuple[int, int], way: Sequence[tuple[Lane, Gap]], heights: Sequence[int]
) -> Route:
    leave, enter = sides
    a = (source.right if leave == 1 else source.x, heights[0])
    d = (destination.right if enter == 1 else destination.x, heights[-1])
    if leave == enter:
        far = max(a[0], d[0]) + 28 + min(100, abs(d[1] - a[1]) // 5)
        return Route(a, ((a, (far, a[1]), (far, d[1]), d),))
    points = [a]
    for (lane, _), height in zip(way, heights[1:-1], strict=True):
        near, far = (lane.left, lane.right) if leave == 1 else (lane.right, lane.left)
        points += [(near, height), (far, height)]
    points.append(d)
    steps = list(pairwise(points))[::2]
    return Route(a, tuple((p, *_reaches(p, q, leave), q) for p, q in steps))


def _reaches(p: _Point, q: _Point, direction: int) -> tuple[_Point, _Point]:
    """The two inner points of a curve that begins and ends level."""
    reach = max(12, round(abs(q[0] - p[0]) * 0.45))
    return (p[0] + direction * reach, p[1]), (q[0] - direction * reach, q[1])
