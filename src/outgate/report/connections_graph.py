"""The whole list as a picture: Mermaid and DOT, workloads in boxes by namespace.

Connections that differ in nothing but their direction are one edge with two heads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from outgate.analysis.conditional import Conditionals
from outgate.analysis.connections import Connection, External, Party
from outgate.analysis.groups import Group
from outgate.analysis.opened import Named
from outgate.report.connections_text import nothing_asked, only_words, passing_words
from outgate.report.dot import quoted, quoted_lines
from outgate.report.mermaid import escape
from outgate.report.parties import party_words

__all__ = ["connections_dot", "connections_mermaid"]


@dataclass(slots=True)
class _Edge:
    source: int
    destination: int
    words: tuple[str, ...]
    """What passes, and line by line what is asked of it."""
    both: bool = False


@dataclass(slots=True)
class _Picture:
    """The nodes and edges of connections, in the order in which they come."""

    nodes: list[Party] = field(default_factory=list)
    edges: list[_Edge] = field(default_factory=list)

    @classmethod
    def of(cls, connections: Iterable[Connection], only: Conditionals) -> _Picture:
        picture = cls()
        numbers: dict[Party, int] = {}
        found: dict[tuple[int, int, tuple[str, ...]], _Edge] = {}
        for one in connections:
            ends = []
            for party in (one.source, one.destination):
                if party not in numbers:
                    numbers[party] = len(picture.nodes)
                    picture.nodes.append(party)
                ends.append(numbers[party])
            words = (passing_words(one), *only_words(one, only(one)))
            back = found.get((ends[1], ends[0], words))
            if back is not None:
                back.both = True
                continue
            edge = found[ends[0], ends[1], words] = _Edge(ends[0], ends[1], words)
            picture.edges.append(edge)
        return picture

    def namespaces(self) -> dict[str, list[int]]:
        """The workloads of each namespace."""
        found: dict[str, list[int]] = {}
        for number, party in enumerate(self.nodes):
            if isinstance(party, Group):
                found.setdefault(party.namespace, []).append(number)
        return dict(sorted(found.items()))


def _name(party: Party) -> str:
    if isinstance(party, Group):
        return party_words(party).removeprefix(f"{party.namespace}/")
    return party_words(party)


def connections_mermaid(connections: Iterable[Connection], only: Conditionals = nothing_asked) -> Iterator[str]:
    """The flowchart, line by line. `only` tells what of a connection passes on a condition alone."""
    picture = _Picture.of(connections, only)
    yield "flowchart LR\n"
    for index, (namespace, numbers) in enumerate(picture.namespaces().items()):
        yield f'    subgraph s{index}["namespace {escape(namespace)}"]\n'
        yield from (f'        n{number}["{escape(_name(picture.nodes[number]))}"]\n' for number in numbers)
        yield "    end\n"
    for number, party in enumerate(picture.nodes):
        if not isinstance(party, Group):
            left, right = ("[/", "/]") if isinstance(party, External | Named) else ("([", "])")
            yield f'    n{number}{left}"{escape(_name(party))}"{right}\n'
    for edge in picture.edges:
        arrow = "<-->" if edge.both else "-->"
        yield f'    n{edge.source} {arrow}|"{"<br/>".join(map(escape, edge.words))}"| n{edge.destination}\n'


def connections_dot(connections: Iterable[Connection], only: Conditionals = nothing_asked) -> Iterator[str]:
    """The digraph, line by line; `only` as for Mermaid."""
    picture = _Picture.of(connections, only)
    yield "digraph connections {\n    rankdir=LR\n    compound=true\n    node [shape=box]\n"
    for index, (namespace, numbers) in enumerate(picture.namespaces().items()):
        yield f"    subgraph cluster_{index} {{\n        label={quoted(namespace)}\n"
        yield from (f"        n{number} [label={quoted(_name(picture.nodes[number]))}]\n" for number in numbers)
        yield "    }\n"
    for number, party in enumerate(picture.nodes):
        if not isinstance(party, Group):
            shape = "parallelogram" if isinstance(party, External | Named) else "oval"
            yield f"    n{number} [label={quoted(_name(party))}, shape={shape}]\n"
    for edge in picture.edges:
        both = ", dir=both" if edge.both else ""
        yield f"    n{edge.source} -> n{edge.destination} [label={quoted_lines(edge.words)}{both}]\n"
    yield "}\n"
