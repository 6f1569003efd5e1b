"""The document `EgressGraph` (docs/schema/EgressGraph.json)."""

from __future__ import annotations

from outgate.analysis.edges import Edge, EgressGraph
from outgate.analysis.lookup import PodsTarget
from outgate.analysis.opened import Named
from outgate.report.conditions import asked_json
from outgate.report.parties import party_json
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
    return {
        "destination": _destination(edge),
        "verdict": "Allow" if edge.allowed else "Deny",
        **transports_json(edge.transports),
        "deniedAt": None if edge.allowed or edge.denied_at is None else edge.denied_at.value,
        **({"onlyIf": [asked_json(one) for one in edge.asked]} if edge.asked else {}),
    }


def _destination(edge: Edge) -> Json:
    match edge.destination:
        case PodsTarget():
            return target_json(edge.destination)
        case Named():
            return party_json(edge.destination)
    there = edge.destination
    found: Json = {"kind": "External", "cidrs": list(there.addresses.cidrs())}
    return found | ({"name": there.name} if there.name else {})
