"""Results of probes, as a lab would give them."""

from __future__ import annotations

import ipaddress
from typing import Any

from outgate.model import ContainerPort, Direction, Document, Node, Place, Pod
from outgate.packets import Protocol
from outgate.policy import Endpoint, Origin, Side, Verdict
from outgate.report.lab import LabReport, ProbeResult

__all__ = ["ALLOW", "DENY", "node", "pod", "report", "result", "world"]

ALLOW, DENY = Verdict.ALLOW, Verdict.DENY


def pod(
    name: str, number: int = 1, *ports: int, version: int = 4, namespace: str = "shop", node: str = "n1"
) -> Endpoint:
    """A pod by its address of one family."""
    address = ipaddress.ip_address(f"10.0.0.{number}" if version == 4 else f"fd00::{number:x}")
    return Endpoint(address, Pod(namespace, name, {}, (address,), node, tuple(ContainerPort(port) for port in ports)))


def node(name: str = "n1") -> Endpoint:
    """A node."""
    address = ipaddress.ip_address("172.18.0.1")
    return Endpoint(address, None, Node(name, {}, (address,)))


def world(address: str) -> Endpoint:
    """An address outside."""
    return Endpoint(ipaddress.ip_address(address))


def side(direction: Direction, verdict: Verdict, line: int = 3) -> Side:
    """What one end says; a denial comes from a policy called deny-all, in a file."""
    if verdict.allows:
        return Side(direction, verdict, False, None, "no policy selects it")
    place = Place(Document("deny.yaml", None, lambda _: line))
    origin = Origin("networking.k8s.io/v1", "NetworkPolicy", "shop", "deny-all", direction, place=place)
    return Side(direction, verdict, True, origin, "isolated by deny-all", (origin,))


def result(
    source: Endpoint, destination: Endpoint, port: int, expected: Verdict, observed: Verdict | None = None, **more: Any
) -> ProbeResult:
    """One result; what is observed is what was expected, unless told otherwise."""
    fields: dict[str, Any] = {
        "address": destination.address,
        "protocol": Protocol.TCP,
        "via": "pod" if destination.pod else "node" if destination.node else "address",
        "evidence": "seen",
        "egress": side(Direction.EGRESS, expected),
        "ingress": side(Direction.INGRESS, ALLOW),
    }
    return ProbeResult(
        source, destination, port=port, expected=expected, observed=observed or expected, **{**fields, **more}
    )


def report(*probes: ProbeResult, **more: Any) -> LabReport:
    """A report of some probes."""
    topology = {"pods": [{"name": "a"}, {"name": "b"}], "nodes": [{"name": "n1"}]}
    return LabReport(**{"topology": topology, "probes": probes, "seconds": 1.234, "unmentioned": 49152, **more})
