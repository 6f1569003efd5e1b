"""The layout: nothing overlaps, groups hold their own, and the same page has the same picture."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.report.page_data import EXTERNAL, INGRESS_CONTROLLER, Page, PageNode
from outgate.report.page_layout import Box, Layout, layout
from tests.report.pages import comparison, crowd, edge, empty, everything, hostile, node, page_of, small

SAMPLES = {"small": small, "comparison": comparison, "hostile": hostile, "crowd": crowd, "everything": everything}


@st.composite
def pages(draw: st.DrawFn) -> Page:
    """Any number of nodes in any namespaces, with any connections, to themselves too."""
    kinds = st.sampled_from(["Deployment", "Pod", EXTERNAL, INGRESS_CONTROLLER])
    names = st.sampled_from(["", "a", "b", "shop", "x" * 70])
    nodes = draw(st.lists(st.builds(node, names, names, kinds), max_size=40))
    if not nodes:
        return empty()
    index = st.integers(0, len(nodes) - 1)
    pairs = draw(st.lists(st.tuples(index, index), max_size=60))
    return page_of(tuple(nodes), tuple(edge(a, b) for a, b in pairs))


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share more than an edge."""
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


def holds(outer: Box, inner: Box) -> bool:
    """Whether one box lies in another."""
    return outer.x <= inner.x and outer.y <= inner.y and inner.right <= outer.right and inner.bottom <= outer.bottom


def assert_sound(page: Page, places: Layout) -> None:
    """Everything a picture must not get wrong."""
    assert len(places.boxes) == len(page.nodes)
    assert not [pair for pair in combinations(places.boxes, 2) if overlap(*pair)]
    assert not [pair for pair in combinations([group.box for group in places.groups], 2) if overlap(*pair)]
    members = [member for group in places.groups for member in group.members]
    assert sorted(members) == list(range(len(page.nodes)))
    for group in places.groups:
        assert group.members
        assert all(holds(group.box, places.boxes[member]) for member in group.members)
        assert holds(Box(0, 0, places.width, places.height), group.box)
    standing = [one for column in places.columns for one in column]
    assert standing == list(range(len(places.groups)))


@pytest.mark.parametrize("sample", SAMPLES)
def test_samples_are_sound(sample: str) -> None:
    """No two boxes overlap, and every box lies in its container."""
    page = SAMPLES[sample]()
    assert_sound(page, layout(page))


@given(pages())
def test_every_layout_is_sound(page: Page) -> None:
    """The same for pages that nobody thought of."""
    assert_sound(page, layout(page))


@given(pages())
def test_the_same_page_has_the_same_picture(page: Page) -> None:
    """A picture that moves by itself cannot be compared with yesterday's."""
    assert layout(page) == layout(page)


@given(pages())
def test_a_group_is_a_namespace(page: Page) -> None:
    """Nodes of one namespace stand together; what is outside stands at the sides."""
    places = layout(page)

    def home(one: PageNode) -> tuple[str, str]:
        special = {EXTERNAL: "outside", INGRESS_CONTROLLER: "ingress"}
        return (special[one.kind], "") if one.kind in special else ("namespace", one.namespace)

    for group in places.groups:
        assert len({home(page.nodes[member]) for member in group.members}) == 1
    assert len(places.groups) == len({home(one) for one in page.nodes})
    assert len({group.box.x + group.box.width // 2 for group in places.groups}) >= len(places.columns)


def test_the_sides() -> None:
    """Controllers of ingress to the left of all, addresses outside to the right of all."""
    places = layout(small())
    kinds = [group.kind for group in places.groups]
    assert kinds[0] == "ingress"
    assert kinds[-1] == "outside"
    assert places.groups[0].box.right <= min(group.box.x for group in places.groups[1:])
    assert places.groups[-1].box.x >= max(group.box.right for group in places.groups[:-1])


def test_senders_stand_to_the_left_of_receivers() -> None:
    """Most lines run from left to right."""
    nodes = tuple(node(f"n{index}", f"ns{index // 6}") for index in range(12))
    page = page_of(nodes, tuple(edge(a, b) for a in range(6) for b in range(6, 12)))
    boxes = layout(page).boxes
    assert max(boxes[a].x for a in range(6)) < min(boxes[b].x for b in range(6, 12))


def test_the_sweeps_take_crossings_away() -> None:
    """Two columns whose partners are in opposite order are put into the same order."""
    size = 6
    nodes = tuple(node(f"a{index}", "left") for index in range(size)) + tuple(
        node(f"b{index}", "right") for index in range(size)
    )
    page = page_of(nodes, tuple(edge(index, 2 * size - 1 - index) for index in range(size)))
    boxes = layout(page).boxes
    partners = sorted((boxes[index].y, boxes[2 * size - 1 - index].y) for index in range(size))
    assert all(one[1] < other[1] for one, other in pairwise(partners))


def test_the_shape_is_that_of_a_screen() -> None:
    """A picture in one long row or pile would be seen through a slit."""
    for sample in (small(), crowd(), crowd(420, 100, namespaces=30)):
        places = layout(sample)
        assert 0.9 < places.width / places.height < 3.2


def test_nothing_to_draw() -> None:
    """An empty input has an empty picture, of some size."""
    places = layout(empty())
    assert (places.boxes, places.groups, places.columns) == ((), (), ())
    assert places.width > 0
    assert places.height > 0
    assert places.group_of() == []
