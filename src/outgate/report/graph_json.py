"""The document `EgressGraph` (docs/schema/EgressGraph.json)."""

from __future__ import annotations

from outgate.analysis.edges import Edge, EgressGraph
from outgate.analysis.lookup import PodsTarget
from outgate.report.terms import API_VERSION, Json, target_json, transports_json

__all__ = ["graph_json"]


def graph_json(graph: EgressGraph) -> Json:
    """The graph as plain data."""
    return {
        "apiVersion": API_VERSION,
        "kind": "EgressGraph",
        "source": target_json(graph.subject),
        "isolated": graph.isolated,
        "edges": [_edge(edge) for edge in graph.edges],
        "deniedLeftOut": graph.left_out,
    }


def _edge(edge: Edge) -> Json:
    there = edge.destination
    destination = (
        target_json(there)
        if isinstance(there, PodsTarget)
        else {
            "kind": "External",
            "cidrs": list(there.addresses.cidrs()),
            **({"name": there.name} if there.name else {}),
        }
    )
    return {
        "destination": destination,
        "verdict": "Allow" if edge.allowed else "Deny",
        **transports_json(edge.transports),
        "deniedAt": None if edge.allowed or edge.denied_at is None else edge.denied_at.value,
    }
