"""The page as tables, for readers without scripts, without eyes, or with paper.

These say everything that the picture says. Connections are grouped by their source, and destinations of which the
same is true for the same reason share a row: in a cluster without policies that is the difference between a page and
ninety thousand rows. Every destination carries the number of its connection (`c77`), which is how the script makes it
something to press.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from outgate.report.page_data import EXTERNAL, INGRESS_CONTROLLER, Page, PageEdge
from outgate.report.page_markup import element, escape
from outgate.report.page_words import (
    CHANGES,
    count,
    edge_change,
    isolation_words,
    node_title,
    rule_title,
    without_name,
)

__all__ = ["connection_table", "workload_table"]

MOST_LINKS = 12
"""Links to rules in one cell; the words say the rest."""
_MOST = 8
"""Blocks in one cell."""


def workload_table(page: Page) -> str:
    """Every node, its isolation and the number of its connections."""
    out, into = [0] * len(page.nodes), [0] * len(page.nodes)
    for edge in page.edges:
        if not (page.comparison and edge.change == "closed"):
            out[edge.source] += 1
            into[edge.destination] += 1
    heads = ["Workload", "Kind", "Pods", "Policies", "Connections out", "Connections in"]
    heads += ["Change"] if page.comparison else []
    rows = []
    for index, node in enumerate(page.nodes):
        outside = node.kind in {EXTERNAL, INGRESS_CONTROLLER}
        cells = [
            _cell(escape(node.kind)),
            _cell("" if outside else str(node.pods), "count"),
            _cell(escape(_blocks(node.cidrs) if node.kind == EXTERNAL else isolation_words(node))),
            _cell(str(out[index]), "count"),
            _cell(str(into[index]), "count"),
            *([_cell(_change_words(node.change))] if page.comparison else []),
        ]
        head = element("th", element("b", escape(node_title(node)), id=f"w{index}"), scope="row")
        rows.append(element("tr", head + "".join(cells)))
    caption = f"All {count(len(page.nodes), 'end')} of connections: workloads, addresses outside, controllers"
    return _table(caption, heads, element("tbody", "".join(rows)))


def connection_table(page: Page) -> str:
    """Every connection, by its source."""
    heads = ["To", "Change", "Before", "After"] if page.comparison else ["To", "Allowed"]
    heads += ["Why it may leave", "Why it may enter"]
    by_source: dict[int, dict[tuple[object, ...], list[int]]] = {}
    for index, edge in enumerate(page.edges):
        by_source.setdefault(edge.source, {}).setdefault(_sameness(page, edge), []).append(index)
    bodies = []
    for source, rows in sorted(by_source.items()):
        name = element("b", escape(node_title(page.nodes[source])))
        total = element("i", count(sum(map(len, rows.values())), "connection"))
        head = element("tr", element("th", f"{name} → {total}", scope="rowgroup", colspan=len(heads)))
        lines = (_connection_row(page, edges) for edges in rows.values())
        bodies.append(element("tbody", head + "".join(lines), data_from=source))
    caption = f"{count(len(page.edges), 'connection')}, by source"
    return _table(caption, heads, "".join(bodies))


def _sameness(page: Page, edge: PageEdge) -> tuple[object, ...]:
    """What two connections of one source must share to share a row."""
    why = without_name(edge.ingress_words, page.nodes[edge.destination])
    return edge.words, edge.before, edge.change, edge.egress, edge.ingress, edge.egress_words, why


def _connection_row(page: Page, edges: Sequence[int]) -> str:
    first = page.edges[edges[0]]
    names = [
        element("b", escape(node_title(page.nodes[page.edges[index].destination])), id=f"c{index}") for index in edges
    ]
    cells = [_cell(", ".join(names), "to")]
    if page.comparison:
        cells.append(_cell(_change_words(first.change)))
        cells.append(_cell(escape(first.before or "nothing"), "ports"))
        cells.append(_cell(escape(first.words or "nothing"), "ports"))
    else:
        cells.append(_cell(escape(first.words), "ports"))
    leave = without_name(first.egress_words, page.nodes[first.source])
    enter = without_name(first.ingress_words, page.nodes[first.destination])
    cells += [_cell(_reason(page, leave, first.egress)), _cell(_reason(page, enter, first.ingress))]
    change = edge_change(first)
    return element("tr", "".join(cells), class_=change if change != "same" else None)


def _change_words(change: str) -> str:
    sign = {**CHANGES, "added": "+", "removed": "×"}.get(change)
    return element("span", escape(f"{sign} {change}"), class_=f"change {change}") if sign else "unchanged"


def _reason(page: Page, words: str, rules: Sequence[int]) -> str:
    """The words, and the rules with their places."""
    return " ".join([escape(words), *_links(page, rules)])


def _links(page: Page, rules: Sequence[int]) -> Iterator[str]:
    for number in rules[:MOST_LINKS]:
        rule = page.rules[number]
        policy = page.policies[rule.policy]
        inside = 0 <= rule.line - policy.first_line <= policy.text.count("\n")
        target = f"p{rule.policy}l{rule.line}" if rule.line and inside else f"p{rule.policy}"
        line = f":{rule.line}" if rule.line else ""
        yield element("a", escape(rule_title(rule, policy) + line), href=f"#{target}")
    if len(rules) > MOST_LINKS:
        yield f"and {len(rules) - MOST_LINKS} more"


def _cell(content: str, class_: str | None = None) -> str:
    return element("td", content, class_=class_)


def _table(caption: str, heads: Sequence[str], bodies: str) -> str:
    head = element("tr", "".join(element("th", escape(one), scope="col") for one in heads))
    return element("table", element("caption", escape(caption)) + element("thead", head) + bodies)


def _blocks(cidrs: Sequence[str]) -> str:
    """Blocks, of many the first; the details of a node have them all."""
    return (
        ", ".join(cidrs) if len(cidrs) <= _MOST else f"{', '.join(cidrs[:_MOST])} and {len(cidrs) - _MOST} more blocks"
    )
