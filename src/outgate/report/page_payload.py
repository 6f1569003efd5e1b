"""What the script works with: the page as short JSON, every text once.

Thousands of connections share a few hundred texts (ports, reasons), so a connection holds indices into `strings`.
Policies are not repeated here: the script reads them where everybody reads them, in the document.
"""

from __future__ import annotations

from collections.abc import Sequence

from outgate.report.page_bundles import Bundle
from outgate.report.page_data import EXTERNAL, INGRESS_CONTROLLER, Page, PageNode
from outgate.report.page_layout import Box, Layout
from outgate.report.page_markup import script_json
from outgate.report.page_words import (
    CHANGES,
    edge_change,
    isolation_words,
    node_name,
    node_small,
    node_title,
    policy_title,
    rule_lines,
    rule_title,
)

__all__ = ["payload"]


def payload(page: Page, places: Layout, gathered: Sequence[Bundle]) -> str:
    """The JSON, fit to stand in a `<script>` element."""
    strings: dict[str, int] = {}

    def text(words: str) -> int:
        return strings.setdefault(words, len(strings))

    order = ["same", *CHANGES]
    edges = [
        [
            edge.source,
            edge.destination,
            text(edge.words),
            text(edge.before),
            order.index(edge_change(edge)),
            edge.egress,
            edge.ingress,
            text(edge.egress_words),
            text(edge.ingress_words),
        ]
        for edge in page.edges
    ]
    group_of = places.group_of()
    nodes = [[*_node(node), *_box(places.boxes[index]), group_of[index]] for index, node in enumerate(page.nodes)]
    rules = []
    for rule in page.rules:
        policy = page.policies[rule.policy]
        first, last = rule_lines(rule, policy) or (0, 0)
        rules.append([rule.policy, rule_title(rule, policy), rule.line, first, last])
    document = {
        "comparison": page.comparison,
        "changes": order,
        "signs": ["", *CHANGES.values()],
        "nodes": nodes,
        "groups": [[one.kind, one.label, *_box(one.box), one.members] for one in places.groups],
        "bundles": [[one.source, one.destination, one.edges] for one in gathered],
        "edges": edges,
        "rules": rules,
        "policies": [[policy_title(one), one.file, one.first_line] for one in page.policies],
        "strings": list(strings),
    }
    return script_json(document)


def _node(node: PageNode) -> list[object]:
    outside = {EXTERNAL: 1, INGRESS_CONTROLLER: 2}.get(node.kind, 0)
    words = [node_title(node), node_name(node), node_small(node), isolation_words(node)]
    return [outside, node.kind, *words, node.cidrs, node.change]


def _box(box: Box) -> tuple[int, int, int, int]:
    return box.x, box.y, box.width, box.height
