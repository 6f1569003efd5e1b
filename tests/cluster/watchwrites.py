"""Requests to the watch server that are neither list nor watch: one object read, made, patched or removed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from outgate.cluster.lists import RESOURCES, Resource

if TYPE_CHECKING:
    from tests.cluster.watchserver import WatchServer
    from tests.cluster.watchstreams import Request

__all__ = ["written"]


def written(server: WatchServer, request: Request) -> tuple[int, Any]:
    """The answer: code and body. Writes to kinds that are not kept (events, leases) are noted and accepted."""
    body: Any = json.loads(request.body) if request.body else {}
    if request.method != "GET":
        server.written.append((request.method, request.path, body))
    resource, namespace, name = _meant(request.path)
    if resource is None:
        return (201, body) if request.method == "POST" else (404, {"message": "404 page not found", "code": 404})
    if request.method == "POST":
        server.put({**body, "metadata": {**body["metadata"], **({"namespace": namespace} if namespace else {})}})
        return 201, server.store.get(resource.kind, namespace, body["metadata"]["name"])
    with server.store.lock:
        found = server.store.get(resource.kind, namespace, name)
        if found is None:
            return 404, {"kind": "Status", "message": f'{resource.plural} "{name}" not found', "code": 404}
        if request.method == "DELETE":
            server.delete(resource.kind, namespace, name)
        elif request.method == "PATCH" and request.headers.get("content-type") != "application/merge-patch+json":
            return 415, {"kind": "Status", "message": "the body of the request was in an unknown format", "code": 415}
        elif request.method == "PATCH":
            # RFC 7386, "application/merge-patch+json"; a subresource (status) is a part of the same object.
            server.put(_merged(found, body))
            found = server.store.get(resource.kind, namespace, name)
    return 200, found


def _meant(path: str) -> tuple[Resource | None, str, str]:
    for resource in RESOURCES:
        root = resource.path.rpartition("/")[0]
        if resource.namespaced:
            end = rf"/namespaces/([^/]+)/{resource.plural}(?:/([^/]+)(?:/status)?)?"
            found = re.fullmatch(re.escape(root) + end, path)
            if found is not None:
                return resource, found[1], found[2] or ""
        else:
            found = re.fullmatch(rf"{re.escape(resource.path)}(?:/([^/]+)(?:/status)?)?", path)
            if found is not None:
                return resource, "", found[1] or ""
    return None, "", ""


def _merged(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict) or not isinstance(value, dict):
        return patch
    made = dict(value)
    for name, one in patch.items():
        if one is None:
            made.pop(name, None)
        else:
            made[name] = _merged(made.get(name, {}), one)
    return made
