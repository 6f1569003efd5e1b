"""How lines run between boxes: smooth curves that leave and enter at the sides, each at a height of its own.

A line leaves to the right if its end stands to the right, to the left if it stands to the left, and swings around the
right side where the two stand above each other. Where many lines share a side they spread over it, ordered by where
they come from, so that they do not cross at the door.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from outgate.report.page_layout import Box

__all__ = ["Route", "routes"]

_CORNER = 8
"""Rounded corners are no door."""


@dataclass(frozen=True, slots=True)
class Route:
    """A cubic curve from its first point to its last."""

    points: tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]

    @property
    def path(self) -> str:
        """The `d` of a path."""
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = self.points
        return f"M{ax} {ay}C{bx} {by} {cx} {cy} {dx} {dy}"

    @property
    def middle(self) -> tuple[int, int]:
        """The point halfway along the parameter."""
        a, b, c, d = self.points
        return round((a[0] + 3 * b[0] + 3 * c[0] + d[0]) / 8), round((a[1] + 3 * b[1] + 3 * c[1] + d[1]) / 8)


def routes(pairs: Sequence[tuple[int, int]], boxes: Sequence[Box]) -> list[Route]:
    """The curve of every pair of boxes, in order."""
    doors: dict[tuple[int, int], list[tuple[float, int, int]]] = {}
    """By box and side: the height of the other end, the index of the pair, and which end of it this is."""
    sides = [_sides(boxes[a], boxes[b]) for a, b in pairs]
    for index, ((a, b), (leaves, enters)) in enumerate(zip(pairs, sides, strict=True)):
        doors.setdefault((a, leaves), []).append((boxes[b].middle, index, 0))
        doors.setdefault((b, enters), []).append((boxes[a].middle, index, 1))
    heights: dict[tuple[int, int], int] = {}
    for (box, _), lines in doors.items():
        for (_, index, end), height in zip(sorted(lines), _spread(boxes[box], len(lines)), strict=True):
            heights[index, end] = height
    return [
        _curve(boxes[a], boxes[b], side, heights[index, 0], heights[index, 1])
        for index, ((a, b), side) in enumerate(zip(pairs, sides, strict=True))
    ]


def _sides(source: Box, destination: Box) -> tuple[int, int]:
    """1 for the right side, -1 for the left: of the source, and of the destination."""
    if destination.x >= source.right:
        return 1, -1
    if source.x >= destination.right:
        return -1, 1
    return 1, 1


def _spread(box: Box, count: int) -> Iterable[int]:
    """So many heights on a side of a box, evenly around its middle, at most 14 apart."""
    room = box.height - 2 * _CORNER
    step = min(14.0, room / (count - 1)) if count > 1 else 0.0
    first = box.middle - step * (count - 1) / 2
    return (round(first + step * number) for number in range(count))


def _curve(source: Box, destination: Box, sides: tuple[int, int], leaves: int, enters: int) -> Route:
    leave, enter = sides
    a = (source.right if leave == 1 else source.x, leaves)
    d = (destination.right if enter == 1 else destination.x, enters)
    if leave == enter:
        swing = 28 + min(100, abs(enters - leaves) // 5)
        far = max(a[0], d[0]) + swing
        return Route((a, (far, leaves), (far, enters), d))
    reach = max(36, round(abs(d[0] - a[0]) * 0.45))
    return Route((a, (a[0] + leave * reach, leaves), (d[0] + enter * reach, enters), d))
