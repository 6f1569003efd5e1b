"""Not a check: groups, Services and nodes that a peer of Cilium's means, and that are not there.

Cilium takes a name that nobody has for nobody: a denial of it denies nothing, and says nothing. Whether the thing is
somewhere else cannot be known; where the input has others of its kind and place, most likely the name is mistyped.
"""

from __future__ import annotations

from collections.abc import Mapping

from outgate.checks.nearest import Carried, nearest_labels, nearest_names
from outgate.model import Snapshot
from outgate.model.cilium import GroupPeer, NodesPeer, ServicePeer
from outgate.model.labels import Labels, LabelSelector

__all__ = ["why_absent"]

Why = tuple[str, str]
"""What is not there, and what comes near."""


def why_absent(snapshot: Snapshot, peer: object) -> Why | None:
    """Why a peer is known to mean nothing that there is; None where it is not known to."""
    match peer:
        case GroupPeer():
            groups = {one.name: one.labels for one in snapshot.cidr_groups}
            return _absent(peer.name, peer.groups, groups, "CiliumCIDRGroup")
        case ServicePeer():
            mine = (one for one in snapshot.services if peer.namespace in {"", one.namespace})
            there = {f"{one.namespace}/{one.name}": one.labels for one in mine}
            return _absent(f"{peer.namespace}/{peer.name}", peer.services, there, "Service")
        case NodesPeer():
            return _absent("", peer.nodes, {one.name: one.labels for one in snapshot.nodes.values()}, "Node")
    return None


def _absent(name: str, selector: LabelSelector | None, there: Mapping[str, Labels], kind: str) -> Why | None:
    if not there or name in there:
        return None
    if selector is None:
        return f"there is no {kind} {name}", nearest_names(name, there)
    if any(selector.matches(labels) for labels in there.values()):
        return None
    return f"no {kind} has {selector}", nearest_labels(selector, Carried(there.values()))
