"""What is drawn first: everything while it can be told apart, and less of what is more."""

from __future__ import annotations

from outgate.report.page_bundles import MOST_LINES, MOST_WORKLOADS, Bundle, bundles, opening
from outgate.report.page_data import Page
from outgate.report.page_layout import layout
from tests.report.pages import comparison, crowd, edge, empty, everything, node, page_of, small


def gathered(page: Page) -> list[Bundle]:
    """The bundles of a page in its layout."""
    return bundles(page, layout(page).group_of())


def test_every_connection_is_in_one_bundle() -> None:
    """What is gathered is neither lost nor counted twice."""
    for page in (small(), comparison(), crowd(), everything(30), empty()):
        found = sorted(index for one in gathered(page) for index in one.edges)
        assert found == list(range(len(page.edges)))


def test_a_bundle_goes_from_group_to_group() -> None:
    """Each connection is in the bundle of the namespaces of its ends."""
    page = small()
    group_of = layout(page).group_of()
    for one in gathered(page):
        for index in one.edges:
            assert (group_of[page.edges[index].source], group_of[page.edges[index].destination]) == (
                one.source,
                one.destination,
            )


def test_a_bundle_counts_its_changes() -> None:
    """``3 +1 ×1``: by sign, as on single lines."""
    nodes = (node("a", "x"), node("b", "x"), node("c", "y"), node("d", "y"))
    changes = ("opened", "closed", "", "narrowed")
    pairs = ((0, 2), (0, 3), (1, 2), (1, 3))
    page = page_of(
        nodes, tuple(edge(*pair, change=change) for pair, change in zip(pairs, changes, strict=True)), comparison=True
    )
    (one,) = gathered(page)
    assert (one.label, one.changes) == ("4 +1 ×1 ≠1", True)
    assert Bundle(0, 1, (1, 2), 0, 0, 0).label == "2"
    assert not Bundle(0, 1, (1, 2), 0, 0, 0).changes


def test_a_small_page_shows_everything() -> None:
    """Every line, nothing to explain."""
    first = opening(small(), gathered(small()))
    assert (first.lines, first.closed, first.words) == ("each", False, "")
    assert first.drawn == tuple(range(len(small().edges)))


def test_many_connections_are_gathered_by_namespace() -> None:
    """3 000 lines are a grey area; what was done is said."""
    first = opening(crowd(), gathered(crowd()))
    assert (first.lines, first.closed, first.drawn) == ("bundles", False, ())
    assert first.words == "3\u202f000 connections: lines are gathered by namespace."


def test_a_ball_of_wool_is_not_drawn() -> None:
    """Everything allowed everywhere: even the lines between namespaces hide the picture."""
    first = opening(everything(), gathered(everything()))
    assert (first.lines, first.closed, first.drawn) == ("selection", False, ())
    assert "select" in first.words


def test_beyond_300_workloads_namespaces_are_closed() -> None:
    """Addresses outside are no workloads and do not count."""
    most = crowd(MOST_WORKLOADS, 10)
    assert len(most.nodes) > MOST_WORKLOADS
    assert not opening(most, gathered(most)).closed
    more = crowd(MOST_WORKLOADS + 1, 10)
    first = opening(more, gathered(more))
    assert first.closed
    assert "open" in first.words


def test_changes_are_drawn_one_by_one_in_a_crowd() -> None:
    """A comparison of large inputs is about the few lines that differ."""
    base = crowd(100, MOST_LINES + 40, namespaces=6)
    edges = tuple(
        edge(one.source, one.destination, before="every port", change="closed" if index % 60 == 0 else "")
        for index, one in enumerate(base.edges)
    )
    page = page_of(base.nodes, edges, comparison=True)
    first = opening(page, gathered(page))
    assert first.drawn == tuple(range(0, MOST_LINES + 40, 60))
    assert "one by one" in first.words
