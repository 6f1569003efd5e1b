"""What a probe makes in a cluster, and the rights that it needs for it.

The pods are as small and as harmless as pods get: they pass the `restricted` Pod Security Standard, have no service
account token, ask for next to nothing, and end by themselves after an hour whatever happens to whoever made them.

Nothing is run in them from outside. The client says what it sees by being ready or not: its readiness probe, which the
kubelet runs inside it, is a request to the server. So the right to read pods is enough to watch, and every look of the
kubelet is a new connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outgate.model import Direction

__all__ = [
    "CLIENT",
    "DEFAULT_IMAGE",
    "LIFETIME",
    "PROBE_LABEL",
    "RBAC",
    "SERVER",
    "client_pod",
    "deny",
    "namespace",
    "server_pod",
]

DEFAULT_IMAGE = "busybox:1.36"
"""It has a web server and a client in a few megabytes. Any image with sh, httpd, wget and sleep will do."""

PROBE_LABEL = "outgate.dev/probe"
LIFETIME = 3600
"""Seconds after which the pods end by themselves."""

SERVER, CLIENT = "server", "client"
_PORT = 8080

_SECURITY: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65534,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def namespace(name: str, token: str) -> dict[str, Any]:
    """The probe's own namespace. The token says whose it is, should another have the name."""
    labels = {PROBE_LABEL: token, "app.kubernetes.io/managed-by": "outgate"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def server_pod(image: str) -> dict[str, Any]:
    """It answers at port 8080."""
    script = f"echo ok > /www/index.html && exec httpd -f -p {_PORT} -h /www"
    container = {
        "ports": [{"containerPort": _PORT}],
        "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "www", "mountPath": "/www"}],
    }
    return _pod(SERVER, image, container, [{"name": "www", "emptyDir": {"sizeLimit": "1Mi"}}])


def client_pod(image: str, address: str) -> dict[str, Any]:
    """It is ready as long as the server at the address answers."""
    there = f"[{address}]" if ":" in address else address
    asking = ["wget", "-q", "-T", "2", "-O", "/dev/null", f"http://{there}:{_PORT}/"]
    container = {
        "command": ["sleep", str(LIFETIME)],
        "readinessProbe": {
            "exec": {"command": asking},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            # One lost packet is no policy.
            "failureThreshold": 2,
        },
    }
    return _pod(CLIENT, image, container, [])


def _pod(name: str, image: str, container: Mapping[str, Any], volumes: list[dict[str, Any]]) -> dict[str, Any]:
    resources = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"}}
    whole = {"name": name, "image": image, "securityContext": _SECURITY, "resources": resources, **container}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {PROBE_LABEL: name}},
        "spec": {
            "containers": [whole],
            "volumes": volumes,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        },
    }


def deny(direction: Direction) -> dict[str, Any]:
    """The policy that cuts the two off: no egress of the client, or no ingress of the server."""
    who = CLIENT if direction is Direction.EGRESS else SERVER
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"deny-{direction.value.lower()}"},
        "spec": {"podSelector": {"matchLabels": {PROBE_LABEL: who}}, "policyTypes": [direction.value]},
    }


RBAC = """\
# What outgate doctor --probe needs beside the right to list what it reads.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: outgate-doctor-probe
rules:
  - apiGroups: [""]
    resources: [namespaces]
    verbs: [get, create, delete]
  - apiGroups: [""]
    resources: [pods]
    verbs: [get, create, delete]
  - apiGroups: [networking.k8s.io]
    resources: [networkpolicies]
    verbs: [create, delete]
"""
"""A ClusterRole, since the name of the namespace is not known before."""
