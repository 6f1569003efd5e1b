"""A diff for people: what is wider stands first, and what is long is cut and counted."""

from __future__ import annotations

from outgate.report.diff_text import MOST_LINES, MOST_OF_WORKLOAD, diff_text
from outgate.testing import Manifest
from tests.analysis.two_sides import CLUSTER, allow, pods, two
from tests.report.diffs import CONDITIONS, EVERYTHING, NOTHING, reported


def text_of(old: list[Manifest], new: list[Manifest], *, everything: bool = False) -> str:
    """The text of a diff of two lists of manifests."""
    return diff_text(*reported(two(old, new)), everything=everything)


def test_the_sections_and_their_order() -> None:
    """Whoever has a minute reads the first lines, so what opens is there."""
    text = diff_text(*reported(EVERYTHING))
    titles = [line.split(":")[0] for line in text.splitlines() if line.isupper() or line.rstrip("0123456789").isupper()]
    assert titles == [
        "WIDER",
        "WIDER IN PART, NARROWER IN PART",
        "NARROWER",
        "ISOLATION",
        "NEW WORKLOADS",
        "WORKLOADS THAT ARE GONE",
        "POLICIES THAT DIFFER",
    ]


def test_what_is_asked_stands_where_nothing_else_differs() -> None:
    """A request that passes now on a port that was open before is what a review is for."""
    lines = diff_text(*reported(CONDITIONS)).splitlines()
    assert lines[0] == "no connection differs, conditions differ for 3 connections"
    at = lines.index("  widens   shop/a → 192.0.2.0/24  TCP 80")
    assert lines[at + 1].strip().startswith("was requests of HTTP GET /v1|<b> with X-A")
    assert lines[at + 2].strip() == "now anything"
    assert "  changes  shop/a → shop/b  TCP 80" in lines


def test_nothing() -> None:
    """A sentence, and where policies are written another way, that they are."""
    assert diff_text(*reported(NOTHING)) == "nothing differs: what was allowed is allowed, and nothing else is"
    same = text_of(
        [*CLUSTER, allow("a", {"ingress": [{}]}, app="web")], [*CLUSTER, allow("b", {"ingress": [{}]}, app="web")]
    )
    assert same.splitlines()[1:] == ["2 policies are written another way, with the same effect here"]


def test_a_section_is_cut_and_counted() -> None:
    """More lines than a person reads are counted; nothing is left out in silence, and all can be had."""
    many = [one for number in range(MOST_LINES + 5) for one in pods(f"app-{number:03}", 1, first=number)]
    sides = [*CLUSTER, *many], [*CLUSTER, *many, allow("web", {"policyTypes": ["Egress"]}, app="web")]
    found = text_of(*sides)
    assert f"NARROWER: {MOST_LINES + 7}" in found
    assert sum(line.startswith("  closed ") for line in found.splitlines()) == MOST_LINES
    assert "  and 7 more; -v lists all" in found
    everything = text_of(*sides, everything=True)
    assert sum(line.startswith("  closed ") for line in everything.splitlines()) == MOST_LINES + 7
    assert "more; -v" not in everything


def test_what_comes_with_a_workload_is_short() -> None:
    """A new workload that nothing isolates can talk to all others: that is one fact, and not a page."""
    new = [*CLUSTER, *pods("more", 1, first=8), *pods("new", 1, first=9)]
    found = text_of(new[:-1], new).splitlines()
    start = found.index("NEW WORKLOADS: 1")
    assert found[start + 1] == "  added    shop/Deployment/new: 8 connections"
    assert found[start + 2 : start + 3 + MOST_OF_WORKLOAD][-1] == "           and 3 more; -v lists all"
