"""Policies about names, and pods for them, for the tests of names that move."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["ASKING", "HEADLESS", "NAME", "asking", "names", "pods", "rules"]

NAME = "api.example.com"
_SERVERS = {"toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns"}}]}


HEADLESS = """\
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 443}]}
---
"""
"""A Service without an address in front of the pods db."""


def asking(*patterns: str) -> dict[str, Any]:
    """A rule that lets ask the cluster DNS, for these names if there are any."""
    port: dict[str, Any] = {"ports": [{"port": "53", "protocol": "ANY"}]}
    if patterns:
        port["rules"] = {"dns": [{"matchPattern": one} for one in patterns]}
    return {**_SERVERS, "toPorts": [port]}


ASKING = asking()


def names(*texts: str, port: int = 443, protocol: str = "TCP", **more: Any) -> dict[str, Any]:
    """A rule about names."""
    peers = [{"matchPattern" if "*" in one else "matchName": one} for one in texts]
    return {"toFQDNs": peers, "toPorts": [{"ports": [{"port": str(port), "protocol": protocol}], **more}]}


def rules(app: str, *egress: dict[str, Any], **more: Any) -> str:
    """A policy of Cilium's for the pods of an app."""
    spec = {"endpointSelector": {"matchLabels": {"app": app}}, "egress": list(egress), **more}
    metadata = {"name": app, "namespace": "shop"}
    whole = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": metadata, "spec": spec}
    return json.dumps(whole) + "\n---\n"


def pods(app: str, *names: str, node: str = "n1") -> str:
    """Pods of an app on a node."""
    return "".join(
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}}}\n"
        f"spec: {{nodeName: {node}, containers: [{{name: c, image: x}}]}}\n---\n"
        for name in names or (app,)
    )
