"""Lines: they start and end at their boxes, cross none, and do not lie on each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given

from outgate.report.page_data import Page
from outgate.report.page_layout import Box, Layout, layout
from outgate.report.page_routes import Route, bundle_routes, edge_routes
from tests.report.pages import crowd, edge, everything, node, page_of, small
from tests.report.test_page_layout import pages

SAMPLES = {"small": small(), "crowd": crowd(90, 400, namespaces=9), "everything": everything(40)}


def ends(page: Page) -> list[tuple[int, int]]:
    """The pairs that are connected."""
    return [(one.source, one.destination) for one in page.edges]


def on_side(point: tuple[int, int], box: Box) -> bool:
    """Whether a point is on the left or right side of a box, and not at a corner."""
    return point[0] in {box.x, box.right} and box.y < point[1] < box.bottom


def points(route: Route) -> Iterator[tuple[float, float]]:
    """Points along a line, close to each other."""
    at = route.start
    for step in route.steps:
        # A straight line is a curve whose inner points lie on it.
        b, c, d = step if len(step) == 3 else (at, step[-1], step[-1])
        for number in range(41):
            t = number / 40
            u = 1 - t
            yield (
                u**3 * at[0] + 3 * u * u * t * b[0] + 3 * u * t * t * c[0] + t**3 * d[0],
                u**3 * at[1] + 3 * u * u * t * b[1] + 3 * u * t * t * c[1] + t**3 * d[1],
            )
        at = d


@pytest.mark.parametrize("sample", SAMPLES)
def test_lines_attach_to_their_boxes(sample: str) -> None:
    """A line that ends in the air leads nowhere."""
    page = SAMPLES[sample]
    places = layout(page)
    for (a, b), route in zip(ends(page), edge_routes(places, ends(page)), strict=True):
        assert on_side(route.start, places.boxes[a])
        assert on_side(route.end, places.boxes[b])


@given(pages())
def test_every_line_attaches_to_its_boxes(page: Page) -> None:
    """The same for pages that nobody thought of."""
    places = layout(page)
    for (a, b), route in zip(ends(page), edge_routes(places, ends(page)), strict=True):
        assert on_side(route.start, places.boxes[a])
        assert on_side(route.end, places.boxes[b])


@pytest.mark.parametrize("sample", ["small", "crowd"])
def test_lines_pass_behind_no_box(sample: str) -> None:
    """A line behind a box looks as if it ended there."""
    page = SAMPLES[sample]
    places = layout(page)
    checked = 0
    for (a, b), route in zip(ends(page), edge_routes(places, ends(page)), strict=True):
        others = [box for index, box in enumerate(places.boxes) if index not in {a, b}]
        inside = [
            (point, box)
            for point in points(route)
            for box in others
            if box.x + 1 < point[0] < box.right - 1 and box.y + 1 < point[1] < box.bottom - 1
        ]
        assert not inside, (a, b)
        checked += 1
    assert checked > 10


def test_lines_that_share_a_side_have_doors_of_their_own() -> None:
    """Two lines that lie on each other are one line to the eye."""
    page = SAMPLES["small"]
    places = layout(page)
    found = edge_routes(places, ends(page))
    doors = Counter(point for route in found for point in (route.start, route.end))
    assert [point for point, count in doors.items() if count > 1] == []


def test_bundles_attach_to_containers() -> None:
    """Lines between namespaces do as lines between boxes do."""
    places: Layout = layout(SAMPLES["crowd"])
    pairs = [(a, b) for a in range(len(places.groups)) for b in range(len(places.groups)) if a != b]
    for (a, b), route in zip(pairs, bundle_routes(places, pairs), strict=True):
        assert on_side(route.start, places.groups[a].box)
        assert on_side(route.end, places.groups[b].box)


def test_a_path_is_written_as_svg_reads_it() -> None:
    """Only absolute moves, lines and curves, of whole numbers."""
    page = SAMPLES["crowd"]
    for route in edge_routes(layout(page), ends(page)):
        assert re.fullmatch(r"M\d+ -?\d+((L\d+ -?\d+)|C\d+( -?\d+){5})+", route.path)
        x, y = route.middle
        assert isinstance(x, int)
        assert isinstance(y, int)


def test_a_connection_to_itself_is_a_loop() -> None:
    """The list leaves such pairs out; a page that has one must not fail."""
    page = page_of((node("a"),), (edge(0, 0),))
    (route,) = edge_routes(layout(page), [(0, 0)])
    assert route.start[0] == route.end[0]
    assert route.start != route.end
