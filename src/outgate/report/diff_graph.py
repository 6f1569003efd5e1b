"""A diff as a picture, in the languages of Mermaid and of Graphviz: only what changed, opened solid and closed dotted.

Colours stand on top of the kinds of line and the words on them, never instead: not everybody sees them. A picture of
more edges than a person can follow is cut, and says by how many.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.changes import Change, Kind
from outgate.analysis.connections import Party
from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.groups import Group
from outgate.report.diff_words import Sections, shift_words
from outgate.report.dot import quoted
from outgate.report.mermaid import escape
from outgate.report.parties import party_words

__all__ = ["MOST_EDGES", "diff_dot", "diff_mermaid"]

MOST_EDGES = 200
"""Mermaid itself refuses more than 500 (mermaid.js.org, "maxEdges")."""

_COLOURS = {Kind.OPENED: "#1a7f37", Kind.CLOSED: "#cf222e", Kind.CHANGED: "#9a6700"}


class _Picture:
    """The edges that are drawn, what opens first, and numbers for their ends."""

    def __init__(self, found: ConnectionDiff) -> None:
        parts = Sections.of(found)
        every = [*parts.wider, *parts.both, *parts.narrower, *parts.added, *parts.removed]
        self.edges: list[Change] = every[:MOST_EDGES]
        self.left_out = len(every) - len(self.edges)
        self.nodes: dict[Party, int] = {}
        for edge in self.edges:
            for end in (edge.source, edge.destination):
                self.nodes.setdefault(end, len(self.nodes))

    def namespaces(self) -> dict[str, list[tuple[int, Group]]]:
        """The workloads, by namespace."""
        found: dict[str, list[tuple[int, Group]]] = {}
        for node, number in self.nodes.items():
            if isinstance(node, Group):
                found.setdefault(node.namespace, []).append((number, node))
        return dict(sorted(found.items()))

    def others(self) -> Iterator[tuple[int, Party]]:
        """What is in no namespace."""
        return ((number, node) for node, number in self.nodes.items() if not isinstance(node, Group))


def _words(edge: Change) -> str:
    return f"{edge.kind.value}: {shift_words(edge.shift)}"


def diff_mermaid(found: ConnectionDiff) -> str:
    """A flowchart, with a last newline."""
    return "\n".join(("flowchart LR", *_mermaid_lines(_Picture(found)), ""))


def _mermaid_lines(picture: _Picture) -> Iterator[str]:
    for index, (namespace, groups) in enumerate(picture.namespaces().items()):
        yield f'    subgraph s{index}["namespace {escape(namespace)}"]'
        for number, group in groups:
            yield f'        n{number}["{escape(party_words(group))}"]'
        yield "    end"
    for number, node in picture.others():
        yield f'    n{number}[/"{escape(party_words(node))}"/]'
    for edge in picture.edges:
        ends = picture.nodes[edge.source], picture.nodes[edge.destination]
        words = escape(_words(edge))
        if edge.kind is Kind.CLOSED:
            yield f'    n{ends[0]} -. "{words}" .-> n{ends[1]}'
        else:
            arrow = "-->" if edge.kind is Kind.OPENED else "==>"
            yield f'    n{ends[0]} {arrow}|"{words}"| n{ends[1]}'
    if not picture.edges:
        yield '    same["nothing differs"]'
    if picture.left_out:
        yield f'    more["and {picture.left_out} more changes"]'
    for kind, colour in _COLOURS.items():
        mine = [str(place) for place, edge in enumerate(picture.edges) if edge.kind is kind]
        if mine:
            yield f"    linkStyle {','.join(mine)} stroke:{colour}"


def diff_dot(found: ConnectionDiff) -> str:
    """A digraph, with a last newline."""
    return "\n".join(("digraph diff {", *_dot_lines(_Picture(found)), "}", ""))


def _dot_lines(picture: _Picture) -> Iterator[str]:
    yield "    rankdir=LR"
    yield "    node [shape=box]"
    for index, (namespace, groups) in enumerate(picture.namespaces().items()):
        yield f"    subgraph cluster{index} {{"
        yield f"        label={quoted('namespace ' + namespace)}"
        for number, group in groups:
            yield f"        n{number} [label={quoted(party_words(group))}]"
        yield "    }"
    for number, node in picture.others():
        yield f"    n{number} [label={quoted(party_words(node))}, shape=parallelogram]"
    styles = {Kind.OPENED: "solid", Kind.CLOSED: "dotted", Kind.CHANGED: "bold"}
    for edge in picture.edges:
        ends = f"n{picture.nodes[edge.source]} -> n{picture.nodes[edge.destination]}"
        style = f'style={styles[edge.kind]}, color="{_COLOURS[edge.kind]}"'
        yield f"    {ends} [label={quoted(_words(edge))}, {style}]"
    if not picture.edges:
        yield '    same [label="nothing differs"]'
    if picture.left_out:
        yield f'    more [label="and {picture.left_out} more changes"]'
