"""The data of the script agrees with the page it was made from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from outgate.report.page_bundles import bundles
from outgate.report.page_data import Page
from outgate.report.page_layout import layout
from outgate.report.page_markup import visible
from outgate.report.page_payload import payload
from outgate.report.page_words import edge_change, node_title
from tests.report.pages import comparison, crowd, empty, hostile, small

SAMPLES = {"small": small(), "comparison": comparison(), "hostile": hostile(), "crowd": crowd(), "empty": empty()}


def read(page: Page) -> dict[str, Any]:
    """The data as the script has it."""
    places = layout(page)
    made: dict[str, Any] = json.loads(payload(page, places, bundles(page, places.group_of())))
    return made


@pytest.mark.parametrize("sample", SAMPLES)
def test_connections_are_the_same(sample: str) -> None:
    """Every text by its index, and every index in place."""
    page = SAMPLES[sample]
    data = read(page)
    strings = data["strings"]
    for edge, row in zip(page.edges, data["edges"], strict=True):
        source, destination, words, before, change, egress, ingress, leave, enter = row
        assert (source, destination) == (edge.source, edge.destination)
        assert (tuple(egress), tuple(ingress)) == (edge.egress, edge.ingress)
        assert data["changes"][change] == edge_change(edge)
        texts = [strings[index] for index in (words, before, leave, enter)]
        assert texts == [visible(one) for one in (edge.words, edge.before, edge.egress_words, edge.ingress_words)]
    assert data["comparison"] == page.comparison


@pytest.mark.parametrize("sample", SAMPLES)
def test_nodes_stand_where_the_picture_has_them(sample: str) -> None:
    """Lines that the script draws would miss boxes that stand elsewhere."""
    page = SAMPLES[sample]
    places = layout(page)
    data = read(page)
    group_of = places.group_of()
    for index, (node, row) in enumerate(zip(page.nodes, data["nodes"], strict=True)):
        box = places.boxes[index]
        assert row[2] == visible(node_title(node))
        assert row[-5:] == [box.x, box.y, box.width, box.height, group_of[index]]
    for group, row in zip(places.groups, data["groups"], strict=True):
        assert row[:2] == [group.kind, visible(group.label)]
        assert row[-1] == list(group.members)


def test_rules_know_their_lines() -> None:
    """The lines to mark, and 0 where none is known."""
    data = read(small())
    assert data["rules"] == [
        [0, "shop/web-egress egress[0]", 13, 13, 18],
        [0, "shop/web-egress egress[1]", 20, 20, 24],
        [1, "data/db-ingress ingress[0]", 40, 40, 49],
        [2, "data/cache ingress", 0, 0, 0],
    ]


def test_texts_are_written_once() -> None:
    """3 000 connections share a few hundred reasons."""
    data = read(crowd())
    assert len(data["strings"]) == len(set(data["strings"])) < 600
