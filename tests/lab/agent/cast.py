"""The cluster of the agent's tests: two nodes, three pods and a spare, both families."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from outgate.testing import Manifest, namespace, node, pod, policy

__all__ = ["CLUSTER", "allow", "deny", "exchange", "relabelled", "silent"]

CLUSTER: list[Manifest] = [
    node("n1", ["192.168.5.1", "fd00:5::1"]),
    node("n2", ["192.168.5.2", "fd00:5::2"]),
    namespace("a", team="red"),
    namespace("b", team="blue"),
    pod("a/one", ["10.1.0.10", "fd00:1::10"], on="n1", app="one"),
    pod("a/two", ["10.1.0.11", "fd00:1::11"], on="n1", app="two"),
    pod("b/three", ["10.1.1.10", "fd00:1:1::10"], on="n2", app="three", ports=[{"name": "web", "containerPort": 7000}]),
]
"""Pods one and two share node n1; pod three is on n2."""


def deny(
    path: str = "a/deny", direction: str = "Egress", annotations: Mapping[str, str] | None = None, **labels: str
) -> Manifest:
    """A policy that isolates and allows nothing; for pod one, unless labels say otherwise."""
    made = policy(path, {"podSelector": {"matchLabels": labels or {"app": "one"}}, "policyTypes": [direction]})
    made["metadata"]["annotations"] = dict(annotations or {})
    return made


def allow(
    path: str, to: Mapping[str, object] | None, *ports: object, direction: str = "Egress", **labels: str
) -> Manifest:
    """A policy that allows a peer (None: anybody) on ports of TCP and UDP; for pod one, unless labels say otherwise."""
    egress = direction == "Egress"
    rule: dict[str, object] = {} if to is None else {"to" if egress else "from": [to]}
    if ports:
        rule["ports"] = [{"port": port, "protocol": protocol} for port in ports for protocol in ("TCP", "UDP")]
    spec = {
        "podSelector": {"matchLabels": labels or {"app": "one"}},
        "policyTypes": [direction],
        "egress" if egress else "ingress": [rule],
    }
    return policy(path, spec)


def relabelled(manifest: Manifest, **labels: str) -> Manifest:
    """The same object with other labels."""
    return {**manifest, "metadata": {**manifest["metadata"], "labels": labels}}


def exchange(client: socket.socket, server: socket.socket) -> None:
    """A word each way."""
    client.sendall(b"there")
    assert server.recv(16) == b"there"
    server.sendall(b"back")
    assert client.recv(16) == b"back"


def silent(receiver: socket.socket) -> bool:
    """Whether nothing has come."""
    receiver.setblocking(False)
    try:
        return not receiver.recv(16)
    except BlockingIOError:
        return True
    finally:
        receiver.setblocking(True)
