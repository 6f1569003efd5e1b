"""Objects for the watch server, small, and one of them broken in a way that only its kind can be."""

from __future__ import annotations

from typing import Any

__all__ = ["namespace", "pod", "policy"]

Manifest = dict[str, Any]


def pod(name: str, *, namespace: str = "shop", node: str = "node-a", address: str = "", **labels: str) -> Manifest:
    """A pod that runs."""
    status: Manifest = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]} if address else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "web", **labels}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "ports": [{"containerPort": 8080}]}]},
        "status": status,
    }


def policy(name: str, *, namespace: str = "shop", **spec: object) -> Manifest:
    """A policy that denies all egress of its namespace, unless more is said."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], **spec},
    }


def namespace(name: str, **labels: str) -> Manifest:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
