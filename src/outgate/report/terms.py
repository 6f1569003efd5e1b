"""The JSON of what several documents speak of: ends, origins, transports (docs/schema)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outgate.analysis.lookup import (
    AddressTarget,
    BlockTarget,
    NameTarget,
    NodeTarget,
    PodsTarget,
    ServiceTarget,
    Target,
)
from outgate.packets import IntervalSet, Protocol, TransportSet
from outgate.policy import Endpoint, Origin

__all__ = [
    "API_VERSION",
    "Json",
    "end_json",
    "origin_json",
    "place_text",
    "target_json",
    "transports_json",
    "without_empty",
]

API_VERSION = "outgate.dev/v1"
Json = dict[str, Any]

_ORDER = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)


def origin_json(origin: Origin | None) -> Json | None:
    """Origin = {apiVersion, kind, namespace, name, rule, file, line}; line null where it is not known.

    ``path`` says where in the policy the rule stands, where its direction and its number alone do not.
    """
    if origin is None:
        return None
    return {
        "apiVersion": origin.api_version,
        "kind": origin.kind,
        "namespace": origin.namespace,
        "name": origin.name,
        "rule": origin.rule,
        **({"path": origin.path} if origin.section or origin.spec is not None else {}),
        "file": origin.file,
        "line": origin.line or None,
    }


def place_text(origin: Origin | None) -> str:
    """``file:line``; empty where there is none."""
    return str(origin.place) if origin is not None else ""


def target_json(target: Target) -> Json:
    """Node = {kind, namespace, name}, or {kind: External, cidrs} for addresses, with the DNS name if one was asked."""
    match target:
        case PodsTarget():
            part = {"part": list(target.part)} if target.part else {}
            return {"kind": target.kind, "namespace": target.namespace, "name": target.name, **part}
        case ServiceTarget(service=service):
            return {"kind": "Service", "namespace": service.namespace, "name": service.name}
        case NodeTarget(node=node):
            return {"kind": "Node", "name": node.name}
        case BlockTarget(network=network):
            return {"kind": "External", "cidrs": [str(network)]}
        case NameTarget(name=name):
            return {"kind": "External", "cidrs": ["0.0.0.0/0", "::/0"], "name": name}
        case AddressTarget(addresses=addresses, name=name):
            blocks = [f"{one}/{one.max_prefixlen}" for one in addresses]
            return {"kind": "External", "cidrs": blocks, **({"name": name} if name else {})}


def end_json(end: Endpoint) -> Json:
    """One end of one flow: whoever holds the address."""
    if end.pod is not None:
        return {"kind": "Pod", "namespace": end.pod.namespace, "name": end.pod.name}
    if end.node is not None:
        return {"kind": "Node", "name": end.node.name}
    return {"kind": "External", "cidrs": [f"{end.address}/{end.address.max_prefixlen}"]}


def transports_json(transports: TransportSet) -> Json:
    """{all, allowed: [{protocol, ports: [[low, high], ...]}]}. `all`: every port of TCP, UDP and SCTP."""
    return {
        "all": TransportSet.governed() <= transports,
        "allowed": [
            {"protocol": protocol.name, "ports": _spans(transports.of(protocol))}
            for protocol in _ORDER
            if transports.of(protocol)
        ],
    }


def _spans(spans: IntervalSet) -> list[list[int]]:
    return [[low, high] for low, high in spans]


def without_empty(document: Mapping[str, Any]) -> Json:
    """The optional fields that have something to say."""
    return {key: value for key, value in document.items() if value not in (None, "", [], {}, ())}
