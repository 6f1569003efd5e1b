"""The document `ProfileDifferences` (docs/schema/ProfileDifferences.json)."""

from __future__ import annotations

from collections.abc import Iterable

from outgate.analysis.groups import Group
from outgate.analysis.plugin_differences import Depends, End
from outgate.report.parties import party_json
from outgate.report.terms import API_VERSION, Json, target_json, transports_json

__all__ = ["plugin_differences_json"]


def plugin_differences_json(found: Iterable[Depends]) -> Json:
    """The flows as plain data."""
    return {"apiVersion": API_VERSION, "kind": "ProfileDifferences", "flows": [_flow(one) for one in found]}


def _flow(one: Depends) -> Json:
    return {
        "source": _end(one.source),
        "destination": _end(one.destination),
        "ownNode": one.own_node,
        "ports": transports_json(one.transports)["allowed"],
        "allowedBy": list(one.allowed_by),
        "deniedBy": list(one.denied_by),
        "reasons": list(one.reasons),
    }


def _end(end: End) -> Json:
    return party_json(end) if isinstance(end, Group) else target_json(end)
