"""A diff as a picture."""

from __future__ import annotations

import re

from outgate.report.diff_graph import MOST_EDGES, diff_dot, diff_mermaid
from tests.analysis.two_sides import CLUSTER, allow, pods, two
from tests.report.diffs import EVERYTHING, NOTHING, WILD


def test_mermaid_has_an_edge_for_each_change() -> None:
    """Opened is solid, closed dotted, changed thick: the kind is said without colours too."""
    text = diff_mermaid(EVERYTHING)
    edges = re.findall(r"^    n\d+ (-->|-\.|==>)\|?.*?\"(\w+): ", text, re.MULTILINE)
    assert {("-->", "opened"), ("-.", "closed"), ("==>", "changed")} == set(edges)
    assert len(edges) == len(EVERYTHING.changes)
    styled = [int(number) for line in re.findall(r"linkStyle ([\d,]+) ", text) for number in line.split(",")]
    assert sorted(styled) == list(range(len(edges)))


def test_dot_has_an_edge_for_each_change() -> None:
    """The same for Graphviz; every end that an edge names is a node."""
    text = diff_dot(EVERYTHING)
    edges = re.findall(r"^    n(\d+) -> n(\d+) \[label=\"(\w+): .*style=(\w+)", text, re.MULTILINE)
    assert {(kind, style) for *_, kind, style in edges} == {
        ("opened", "solid"),
        ("closed", "dotted"),
        ("changed", "bold"),
    }
    assert len(edges) == len(EVERYTHING.changes)
    nodes = set(re.findall(r"^ +n(\d+) \[label", text, re.MULTILINE))
    assert {end for one in edges for end in one[:2]} == nodes
    assert text.count("{") == text.count("}")


def test_nothing_is_said() -> None:
    """An empty picture would look like a broken one."""
    assert "nothing differs" in diff_mermaid(NOTHING)
    assert "nothing differs" in diff_dot(NOTHING)


def test_a_picture_is_cut_and_counted() -> None:
    """Mermaid draws nothing at all where there are too many edges."""
    many = [one for number in range(MOST_EDGES) for one in pods(f"app-{number:03}", 1, first=number)]
    found = two([*CLUSTER, *many], [*CLUSTER, *many, allow("web", {"policyTypes": ["Egress"]}, app="web")])
    for text in (diff_mermaid(found), diff_dot(found)):
        assert text.count("closed") == MOST_EDGES
        assert "and 2 more changes" in text


def test_a_name_is_no_syntax() -> None:
    """A quote in a name ends no label."""
    mermaid, dot = diff_mermaid(WILD), diff_dot(WILD)
    for line in mermaid.splitlines():
        assert line.count('"') in (0, 2)
    assert re.sub(r"\\.", "", dot, flags=re.DOTALL).count('"') % 2 == 0
