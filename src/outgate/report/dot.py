"""A pod's egress in the DOT language of Graphviz: solid edges are allowed, dotted ones denied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.analysis.edges import EgressGraph
from outgate.analysis.lookup import PodsTarget
from outgate.report.mermaid import edge_lines, outside_words, pods_words

__all__ = ["dot", "quoted", "quoted_lines"]


def dot(graph: EgressGraph) -> str:
    """The digraph, with a last newline."""
    return "\n".join(("digraph egress {", *_lines(graph), "}", ""))


def _lines(graph: EgressGraph) -> Iterator[str]:
    yield "    rankdir=LR"
    yield "    node [shape=box]"
    yield f"    subject [label={quoted(pods_words(graph.subject))}, shape=oval, penwidth=2]"
    for number, edge in enumerate(graph.edges):
        there = edge.destination
        words = pods_words(there) if isinstance(there, PodsTarget) else outside_words(there)
        shape = "" if isinstance(there, PodsTarget) else ", shape=parallelogram"
        style = "" if edge.allowed else ", style=dotted"
        yield f"    n{number} [label={quoted(words)}{shape}]"
        yield f"    subject -> n{number} [label={quoted_lines(edge_lines(edge))}{style}]"
    if graph.left_out:
        yield f'    more [label="{graph.left_out} more workloads"]'
        yield '    subject -> more [label="denied", style=dotted]'


def quoted(text: str) -> str:
    """A DOT string: only the quote and the backslash mean anything in one."""
    return quoted_lines((text,))


def quoted_lines(lines: Iterable[str]) -> str:
    """A DOT string of several lines."""
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
