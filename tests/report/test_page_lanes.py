"""Free ways: every gap of every lane is free, and the lanes are those between the two ends."""

from __future__ import annotations

from itertools import pairwise

import pytest

from outgate.report.page_data import Page
from outgate.report.page_lanes import Lane, Lanes, Way
from outgate.report.page_layout import Box, layout
from tests.report.pages import crowd, edge, everything, node, page_of, small


@pytest.mark.parametrize(
    "page", [small(), crowd(90, 300, namespaces=9), everything(40)], ids=["small", "crowd", "everything"]
)
def test_gaps_hold_no_box(page: Page) -> None:
    """A line in a gap passes behind nothing."""
    places = layout(page)
    lanes = Lanes(places)
    group_of = places.group_of()
    for one in page.edges:
        for lane in crossed(lanes, one.source, one.destination):
            own = {group_of[one.source], group_of[one.destination]}
            foreign = [group.box for index, group in enumerate(places.groups) if index not in own]
            for low, high in lane.gaps:
                assert low < high
                way = Box(lane.left, low, lane.right - lane.left, high - low)
                assert not [
                    box
                    for box in (*places.boxes, *foreign)
                    if _overlap(box, way) and not _beside(box, lane.left, lane.right)
                ]


def test_between_containers_of_one_column_lines_turn_beside_it() -> None:
    """They leave to the right, past the boxes beside them, turn where the column ends, and come back."""
    places = layout(crowd(90, 300, namespaces=9))
    lanes = Lanes(places)
    column = next(column for column in places.columns if len(column) > 1)
    above, below = (places.groups[one] for one in column[:2])
    way = lanes.between_nodes(above.members[0], below.members[0])
    assert way.turn == max(places.groups[one].box.right for one in column)
    for lanes_of, group in ((way.out, above), (way.back, below)):
        assert len(lanes_of) == len({places.boxes[member].x for member in group.members}) - 1


def crossed(lanes: Lanes, source: int, destination: int) -> tuple[Lane, ...]:
    """Every lane of a way."""
    way = lanes.between_nodes(source, destination)
    return way.out + way.back


def _overlap(one: Box, other: Box) -> bool:
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


def _beside(box: Box, left: int, right: int) -> bool:
    return box.right <= left or box.x >= right


@pytest.mark.parametrize("page", [small(), crowd(90, 300, namespaces=9)], ids=["small", "crowd"])
def test_lanes_lie_between_the_ends_and_in_order(page: Page) -> None:
    """From the source to the destination, whichever way that is."""
    places = layout(page)
    lanes = Lanes(places)
    crossed = 0
    for one in page.edges:
        way = lanes.between_nodes(one.source, one.destination)
        found = list(way.out)
        if way.turn is not None:
            continue
        a, b = places.boxes[one.source], places.boxes[one.destination]
        forward = a.x < b.x
        left, right = (a.right, b.x) if forward else (b.right, a.x)
        assert all(left <= lane.left and lane.right <= right for lane in found)
        order = found if forward else found[::-1]
        assert all(one_lane.right < other.left for one_lane, other in pairwise(order))
        crossed += len(found)
    assert crossed > 0


def test_no_lane_where_one_stands_above_the_other() -> None:
    """Such lines swing around the side."""
    page = page_of((node("a"), node("b"), node("c", "data")), (edge(0, 1),))
    lanes = Lanes(layout(page))
    assert lanes.between_nodes(0, 1) == Way((), (), layout(page).boxes[0].right, narrow=True)
    assert lanes.between_groups(0, 0) == Way((), (), layout(page).groups[0].box.right)


def test_the_columns_between_two_containers() -> None:
    """Each is crossed once, above, below or between its containers."""
    nodes = tuple(node("x", f"ns{index}") for index in range(9))
    page = page_of(nodes, tuple(edge(a, b) for a in range(9) for b in range(9) if a < b))
    places = layout(page)
    first, last = places.columns[0][0], places.columns[-1][0]
    found = Lanes(places).between_groups(first, last).out
    assert len(found) == len(places.columns) - 2 > 0
    assert [len(lane.gaps) for lane in found] == [len(column) + 1 for column in places.columns[1:-1]]
    assert Lanes(places).between_groups(last, first) == Way(found[::-1])
