"""A pod's egress as a Mermaid flowchart, which forges render where they find it in a document.

Allowed edges are solid and carry their ports; denied ones are dotted and say which end denies. The text is the same
for the same graph. Labels hold names of manifests, so every character that Mermaid could read as syntax is written
as an entity code (mermaid.js.org, flowchart syntax, "Entity codes to escape characters").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from outgate.analysis.edges import Edge, EgressGraph, Outside
from outgate.analysis.lookup import PodsTarget
from outgate.analysis.opened import Named
from outgate.analysis.spelling import spell_addresses, spell_transports
from outgate.report.conditions import asked_words

__all__ = ["edge_lines", "edge_words", "escape", "mermaid", "outside_words", "pods_words"]

_PLAIN = re.compile(r"[^A-Za-z0-9 ./,:*→·-]")
MOST_RANGES = 6


def mermaid(graph: EgressGraph) -> str:
    """The flowchart, with a last newline."""
    return "\n".join(("flowchart LR", *_nodes(graph), *_edges(graph), *_styles(graph), ""))


def _nodes(graph: EgressGraph) -> Iterator[str]:
    yield f'    subject(["{escape(pods_words(graph.subject))}"])'
    namespaces: dict[str, list[str]] = {}
    for number, edge in enumerate(graph.edges):
        if isinstance(edge.destination, PodsTarget):
            line = f'n{number}["{escape(pods_words(edge.destination))}"]'
            namespaces.setdefault(edge.destination.namespace, []).append(line)
    for index, (namespace, lines) in enumerate(sorted(namespaces.items())):
        yield f'    subgraph s{index}["namespace {escape(namespace)}"]'
        yield from (f"        {line}" for line in lines)
        yield "    end"
    for number, edge in enumerate(graph.edges):
        if not isinstance(edge.destination, PodsTarget):
            yield f'    n{number}[/"{escape(outside_words(edge.destination))}"/]'
    if graph.left_out:
        yield f'    more["{graph.left_out} more workloads"]'


def _edges(graph: EgressGraph) -> Iterator[str]:
    for number, edge in enumerate(graph.edges):
        words = "<br/>".join(map(escape, edge_lines(edge)))
        yield f'    subject -->|"{words}"| n{number}' if edge.allowed else f'    subject -. "{words}" .-> n{number}'
    if graph.left_out:
        yield '    subject -. "denied" .-> more'


def _styles(graph: EgressGraph) -> Iterator[str]:
    """Colours on top of the kinds of line, never instead of them: not everybody sees them."""
    denied = [f"n{number}" for number, edge in enumerate(graph.edges) if not edge.allowed]
    denied += ["more"] if graph.left_out else []
    yield "    style subject stroke-width:3px"
    if denied:
        yield "    classDef denied stroke-dasharray:4 4,opacity:0.7"
        yield f"    class {','.join(denied)} denied"


def pods_words(target: PodsTarget) -> str:
    """``production/web-api``, and for a workload its kind."""
    part = f"[{','.join(target.part)}]" if target.part else ""
    return f"{target.namespace}/{target.name}{part}" + ("" if target.kind == "Pod" else f" · {target.kind}")


def outside_words(outside: Outside | Named) -> str:
    """``203.0.113.0/24``, ``metadata service 169.254.169.254``, ``every other address``, ``api.example.com``."""
    if isinstance(outside, Named):
        return str(outside)
    if outside.rest:
        return "every address" if outside.addresses.v4.size() == 1 << 32 else "every other address"
    if outside.name:
        return f"{outside.name} {outside.addresses.lowest()}"
    return spell_addresses(outside.addresses)


def edge_words(edge: Edge) -> str:
    """The ports of an allowed edge; which end denies a denied one."""
    if edge.allowed:
        return spell_transports(edge.transports, MOST_RANGES)
    if edge.denied_at is None:
        return "denied: no port passes both ends"
    return f"denied at {edge.denied_at.value.lower()}"


def edge_lines(edge: Edge) -> list[str]:
    """The same, and below it what is asked of some ports."""
    return [edge_words(edge), *asked_words(edge.asked, edge.transports)]


def escape(label: str) -> str:
    """A label in which nothing is syntax. ``#35;`` and the like are numbers of Unicode code points."""
    return _PLAIN.sub(lambda match: f"#{ord(match[0])};", label)
