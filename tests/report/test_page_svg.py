"""The picture: every part is there, named, and no text of a manifest is anything but text."""

from __future__ import annotations

import pytest

from outgate.report.page_bundles import bundles, opening
from outgate.report.page_data import Page
from outgate.report.page_layout import layout
from outgate.report.page_markup import visible
from outgate.report.page_svg import graph_svg
from outgate.report.page_words import CHANGES, edge_change, node_title
from tests.report.document import Element, parse
from tests.report.pages import comparison, crowd, empty, everything, hostile, small

SAMPLES = {
    "small": small(),
    "comparison": comparison(),
    "hostile": hostile(),
    "crowd": crowd(),
    "everything": everything(60),
    "beyond": crowd(320, 400),
    "empty": empty(),
}


def drawn(page: Page) -> Element:
    """The parsed picture."""
    places = layout(page)
    gathered = bundles(page, places.group_of())
    return parse(graph_svg(page, places, gathered, opening(page, gathered))).one("svg")


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_node_and_group_is_drawn(sample: str) -> None:
    """The script and the reader find each by its number and its name."""
    page = SAMPLES[sample]
    parts = {one.attributes["id"]: one for one in drawn(page).every() if "id" in one.attributes}
    for index, node in enumerate(page.nodes):
        assert parts[f"n{index}"].one("title").text().startswith(visible(node_title(node)))
    for index, _ in enumerate(layout(page).groups):
        assert {f"g{index}", f"m{index}"} <= set(parts)


@pytest.mark.parametrize("sample", ["small", "comparison", "hostile"])
def test_every_connection_of_a_small_page_is_drawn(sample: str) -> None:
    """With its change in its class, and the sign of it on the line."""
    page = SAMPLES[sample]
    picture = drawn(page)
    for index, edge in enumerate(page.edges):
        change = edge_change(edge)
        assert picture.one(id=f"e{index}").classes() == {"edge", change}
        assert [one.text() for one in picture.every(id=f"s{index}")] == ([CHANGES[change]] if change in CHANGES else [])


def test_a_crowd_is_drawn_by_namespace() -> None:
    """No line of its own for any of 3 000 connections; bundles between namespaces."""
    picture = drawn(SAMPLES["crowd"])
    assert picture.attributes["data-lines"] == "bundles"
    assert not [one for one in picture.every("path") if "edge" in one.classes()]
    titles = [one.one("title").text() for one in picture.every("g") if "bundle" in one.classes()]
    assert all("→" in title and "connection" in title for title in titles)
    assert titles


def test_beyond_300_workloads_only_namespaces_are_shown() -> None:
    """Their workloads are in the picture, hidden, so that opening one moves nothing."""
    page = SAMPLES["beyond"]
    picture = drawn(page)
    for index, group in enumerate(layout(page).groups):
        closed = group.kind == "namespace"
        assert ("closed" in picture.one(id=f"g{index}").classes()) == closed
        assert ("hidden" in picture.one(id=f"m{index}").classes()) == closed


def test_the_signs_of_what_guards() -> None:
    """One bar for a guarded direction, none for what has no policies."""
    page = SAMPLES["small"]
    picture = drawn(page)
    for index, node in enumerate(page.nodes):
        bars = [one for one in picture.one(id=f"n{index}").every("path") if "guard" in one.classes()]
        assert len(bars) == node.isolated_egress + node.isolated_ingress


def test_what_exists_on_one_side_alone_is_signed() -> None:
    """By a sign, not by colour alone."""
    page = SAMPLES["comparison"]
    picture = drawn(page)
    for index, node in enumerate(page.nodes):
        shown = picture.one(id=f"n{index}")
        signs = [one.text() for one in shown.every("text") if "node-sign" in one.classes()]
        assert signs == {"added": ["+"], "removed": ["×"]}.get(node.change, [])
        assert node.change in {"", *shown.classes()}


def test_the_picture_has_a_name_and_no_style_of_its_own() -> None:
    """Inline styles would be refused by the page's own policy; colours belong to the theme."""
    for page in SAMPLES.values():
        picture = drawn(page)
        assert picture.attributes["role"] == "img"
        assert next(picture.every(id="picture-title")).text()
        for one in picture.every():
            assert not {"style", "fill", "stroke", "onload", "href"} & set(one.attributes)
