"""The tables say everything, and say what is the same once."""

from __future__ import annotations

import re

import pytest

from outgate.report.page_data import Page
from outgate.report.page_markup import visible
from outgate.report.page_tables import connection_table, workload_table
from outgate.report.page_words import node_title
from tests.report.document import Element, parse
from tests.report.pages import comparison, crowd, edge, empty, everything, hostile, node, page_of, small

SAMPLES = {"small": small(), "comparison": comparison(), "hostile": hostile(), "crowd": crowd(), "empty": empty()}


def connections(page: Page) -> Element:
    """The parsed table."""
    return parse(connection_table(page)).one("table")


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_connection_is_in_the_table_once(sample: str) -> None:
    """Under its source, by the name of its destination."""
    page = SAMPLES[sample]
    table = connections(page)
    found = {}
    for body in table.every("tbody"):
        for item in body.every("b"):
            if "id" in item.attributes:
                assert item.attributes["id"] not in found
                found[item.attributes["id"]] = (int(body.attributes["data-from"]), item.text())
    assert found == {
        f"c{index}": (one.source, visible(node_title(page.nodes[one.destination])))
        for index, one in enumerate(page.edges)
    }


@pytest.mark.parametrize("sample", SAMPLES)
def test_heads_have_a_scope_and_tables_a_caption(sample: str) -> None:
    """A screen reader says the head with every cell, and the caption before the table."""
    for markup in (connection_table(SAMPLES[sample]), workload_table(SAMPLES[sample])):
        table = parse(markup).one("table")
        assert table.one("caption").text()
        assert all(one.attributes["scope"] in {"col", "row", "rowgroup"} for one in table.every("th"))
        heads = len(list(table.one("thead").every("th")))
        for row in table.every("tr"):
            width = sum(int(cell.attributes.get("colspan", 1)) for cell in row.children)
            assert width == heads


def test_a_row_says_what_and_why() -> None:
    """The ports, both reasons, and links to the lines of the rules."""
    rows = [
        row for row in connections(small()).every("tr") if any(one.attributes.get("id") == "c3" for one in row.every())
    ]
    (row,) = rows
    assert [cell.text() for cell in row.children] == [
        "203.0.113.0/24",
        "TCP 443",
        "allowed by shop/web-egress egress[1] shop/web-egress egress[1]:20",
        "addresses outside have no policies",
    ]
    assert row.one("a").attributes["href"] == "#p0l20"


def test_a_comparison_says_before_and_after() -> None:
    """With the sign and the word of the change."""
    table = connections(comparison())
    assert [one.text() for one in table.one("thead").every("th")][:4] == ["To", "Change", "Before", "After"]
    changes = {one.text() for one in table.every("span")}
    assert changes == {"+ opened", "× closed", "▲ widened", "▼ narrowed", "≠ changed"}
    closed = next(row for row in table.every("tr") if "closed" in row.classes())
    assert [cell.text() for cell in closed.children[2:4]] == ["every port", "nothing"]


def test_destinations_of_which_the_same_is_true_share_a_row() -> None:
    """A cluster without policies is a row for every source, though each reason names its destination."""
    page = everything(60)
    table = connections(page)
    sizes = [len(list(body.every("tr"))) for body in table.every("tbody")]
    assert sizes == [3] * 60  # the name of the source, the workloads, and the addresses, which have no namespace
    assert "no policy selects it" in table.text()


def test_what_differs_does_not_share_a_row() -> None:
    """Neither other ports nor other rules."""
    nodes = (node("a"), node("b"), node("c"), node("d"))
    edges = (edge(0, 1, "TCP 1"), edge(0, 2, "TCP 1"), edge(0, 3, "TCP 2"))
    rows = list(connections(page_of(nodes, edges)).every("tr"))
    assert [row.children[0].text() for row in rows] == ["To", "shop/a → 3 connections", "shop/b, shop/c", "shop/d"]


def test_links_lead_to_lines_that_are_there() -> None:
    """A rule whose line is not in the text leads to its policy."""
    links = [one.attributes["href"] for page in SAMPLES.values() for one in connections(page).every("a")]
    assert links
    assert all(re.fullmatch(r"#p\d+(l\d+)?", link) for link in links)
    assert "#p2" in [one.attributes["href"] for one in connections(small()).every("a")]


def test_the_table_of_workloads() -> None:
    """Every end of a connection, and how many it has; what was closed does not count."""
    page = comparison()
    table = parse(workload_table(page)).one("table")
    rows = {
        row.children[0].text(): [cell.text() for cell in row.children[1:]] for row in table.one("tbody").every("tr")
    }
    assert len(rows) == len(page.nodes)
    assert rows["shop/web"] == ["Deployment", "3", "egress guarded, ingress open", "3", "1", "unchanged"]
    assert rows["data/legacy"][-1] == "× removed"
    assert rows["shop/search"][-1] == "+ added"
    assert rows["203.0.113.0/24"] == ["External", "", "203.0.113.0/24", "0", "1", "unchanged"]
