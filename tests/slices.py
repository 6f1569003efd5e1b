"""EndpointSlices, as their manifests are written."""

from __future__ import annotations

from outgate.testing import Manifest

__all__ = ["endpoint_slice"]


def endpoint_slice(path: str, *addresses: str, name: str = "", port: int = 80) -> Manifest:
    """A slice of the Service of that path with one port; `name` is its own, if it has another. Of one family."""
    space, _, service = path.partition("/")
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name or service,
            "namespace": space,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv6" if any(":" in one for one in addresses) else "IPv4",
        "endpoints": [{"addresses": [one]} for one in addresses],
        "ports": [{"port": port}],
    }
