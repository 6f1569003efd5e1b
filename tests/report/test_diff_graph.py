"""A diff as a picture."""

from __future__ import annotations

import re

from outgate.report.diff_graph import MOST_EDGES, diff_dot, diff_mermaid
from tests.analysis.two_sides import CLUSTER, allow, pods, two
from tests.report.diffs import ASKED, CONDITIONS, EVERYTHING, NOTHING, WILD


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


def test_conditions_are_edges() -> None:
    """A picture that says "nothing differs" where every request passes now would be believed."""
    for text in (diff_mermaid(CONDITIONS), diff_dot(CONDITIONS)):
        assert "nothing differs" not in text
        assert len(re.findall(r"^    n\d+ (?:==>|-> n\d+ \[)", text, re.MULTILINE)) == len(CONDITIONS.conditions)
        assert len(re.findall("widens: TCP 80", text)) == sum(one.widens for one in CONDITIONS.conditions) == 2
    (block, _) = (line for line in diff_mermaid(CONDITIONS).splitlines() if "widens" in line)
    assert block.endswith('<br/>was requests of HTTP GET /v1#124;#60;b#62; with X-A<br/>now anything"| n2')
    assert all(line.count('"') in (0, 2) for line in diff_mermaid(CONDITIONS).splitlines())


def test_what_is_asked_of_a_change() -> None:
    """A line below the ports."""
    text = diff_mermaid(ASKED)
    assert '"closed: TCP 80<br/>was only for requests of HTTP GET *"' in text
    assert '"opened: TCP 80<br/>with 192.0.2.0/25, only for requests of HTTP GET *"' in text
    assert "opened: TCP 80-81\\nTCP 80 only for requests of HTTP GET *\\nTCP 81 only for" in diff_dot(ASKED)


def test_what_is_no_edge_is_counted() -> None:
    """Isolation alone is a difference, and stands beside edges too."""
    alone = two(CLUSTER, [*CLUSTER, allow("web", {"policyTypes": ["Ingress"], "ingress": [{}]}, app="web")])
    assert not alone.changes
    assert alone.isolation
    for draw in (diff_mermaid, diff_dot):
        assert "no connection differs, isolation differs for 1 workload" in draw(alone)
        assert re.search(r'note0.*"isolation differs for \d+ workload', draw(EVERYTHING))
