"""A diff as a picture, in the languages of Mermaid and of Graphviz: only what changed, opened solid and closed dotted.

A connection that is there before and after, and of which something else is asked, has an edge of its own, thick as
those that changed. What differs and is no edge (who is isolated) is counted in a box.

Colours stand on top of the kinds of line and the words on them, never instead: not everybody sees them. A picture of
more edges than a person can follow is cut, and says by how many.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.asking import Movements
from outgate.analysis.changes import Change, Kind
from outgate.analysis.condition_changes import ConditionChange
from outgate.analysis.connections import Party
from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.groups import Group
from outgate.report.diff_words import (
    Sections,
    condition_kind,
    condition_words,
    headline,
    isolation_differs,
    moved_words,
    shift_words,
)
from outgate.report.dot import quoted, quoted_lines
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
        every: list[Change | ConditionChange] = [*parts.wider, *parts.both]
        every += [one for one in found.conditions if not one.narrows]
        every += parts.narrower
        every += [one for one in found.conditions if one.narrows]
        every += [*parts.added, *parts.removed]
        self.edges = every[:MOST_EDGES]
        self.asked = Movements(found.before, found.after, found.pieces)
        self.notes = _notes(found, drawn=len(self.edges), every=len(every))
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

    def words(self, edge: Change | ConditionChange) -> list[str]:
        """What became of it, line by line."""
        if isinstance(edge, ConditionChange):
            first, *rest = condition_words(edge)
            return [f"{condition_kind(edge)}: {first}", *rest]
        return [f"{edge.kind.value}: {shift_words(edge.shift)}", *moved_words(edge, self.asked)]

    def others(self) -> Iterator[tuple[int, Party]]:
        """What is in no namespace."""
        return ((number, node) for node, number in self.nodes.items() if not isinstance(node, Group))


def _notes(found: ConnectionDiff, *, drawn: int, every: int) -> list[str]:
    """What the edges do not say, each in a box: that there are none, that some are left out, that isolation differs."""
    if not drawn:
        return [headline(found)]
    notes = [f"and {every - drawn:,} more changes"] if every > drawn else []
    return notes + ([isolation_differs(found)] if found.isolation else [])


def _kind(edge: Change | ConditionChange) -> Kind:
    return Kind.CHANGED if isinstance(edge, ConditionChange) else edge.kind


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
        words = "<br/>".join(map(escape, picture.words(edge)))
        if _kind(edge) is Kind.CLOSED:
            yield f'    n{ends[0]} -. "{words}" .-> n{ends[1]}'
        else:
            arrow = "-->" if _kind(edge) is Kind.OPENED else "==>"
            yield f'    n{ends[0]} {arrow}|"{words}"| n{ends[1]}'
    for index, words in enumerate(picture.notes):
        yield f'    note{index}["{escape(words)}"]'
    for kind, colour in _COLOURS.items():
        mine = [str(place) for place, edge in enumerate(picture.edges) if _kind(edge) is kind]
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
        style = f'style={styles[_kind(edge)]}, color="{_COLOURS[_kind(edge)]}"'
        yield f"    {ends} [label={quoted_lines(picture.words(edge))}, {style}]"
    for index, words in enumerate(picture.notes):
        yield f"    note{index} [label={quoted(words)}]"
