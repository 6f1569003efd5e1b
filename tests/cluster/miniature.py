"""A cluster that can be probed: it starts pods, obeys policies or not, and fails as it is told to.

There is no time in it but that of `Clock`, which goes on only where somebody waits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.apiserver import Asked, Reply, status

__all__ = ["Clock", "Miniature"]


class Clock:
    """Seconds that pass by waiting."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """How many have passed."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Let them pass."""
        self.now += seconds


@dataclass
class Miniature:
    """Answers as an API server with a kubelet and a network behind it. `obeys`: the policy types that it enforces."""

    obeys: tuple[str, ...] = ("Egress", "Ingress")
    trouble: Callable[[Asked], Reply | None] = lambda _: None
    address: str = "10.1.0.10"
    reachable: bool = True
    """Whether the client reaches the server where no policy says otherwise."""
    frozen: bool = False
    """Whether the client's readiness stays what it is, as that of a node whose kubelet is dead."""
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    uid: str = "uid-1"

    def __call__(self, asked: Asked) -> Reply:
        """One request."""
        if asked.method != "GET":
            self.writes.append(f"{asked.method} {asked.path.rpartition('/namespaces')[2]}")
        trouble = self.trouble(asked)
        if trouble is not None:
            return trouble
        match asked.method:
            case "POST":
                return self.create(asked)
            case "DELETE":
                return self.delete(asked)
        if asked.path not in self.objects:
            return status(404, "NotFound", f"{asked.path} not found")
        return Reply(body={**self.objects[asked.path], "status": self.status(asked.path)})

    def create(self, asked: Asked) -> Reply:
        """Make an object; one of its name must not be there."""
        value = json.loads(asked.body)
        path = f"{asked.path}/{value['metadata']['name']}"
        if path in self.objects:
            return status(409, "AlreadyExists", "already exists")
        value["metadata"]["uid"] = self.uid
        self.objects[path] = value
        return Reply(201, value)

    def delete(self, asked: Asked) -> Reply:
        """Remove an object, a namespace with all in it."""
        options = json.loads(asked.body)
        if asked.path not in self.objects:
            return status(404, "NotFound", "not found")
        wanted = options.get("preconditions", {}).get("uid", self.uid)
        if wanted != self.objects[asked.path]["metadata"]["uid"]:
            return status(409, "Conflict", "the UID in the precondition does not match")
        name = asked.path.rpartition("/")[2]
        del self.objects[asked.path]
        if "/pods" not in asked.path and "networkpolicies" not in asked.path:
            self.objects = {path: one for path, one in self.objects.items() if f"/namespaces/{name}/" not in path}
        return Reply(200, {"kind": "Status", "status": "Success"})

    def status(self, path: str) -> dict[str, Any]:
        """What the kubelet would write."""
        if "/pods/" not in path:
            return {"phase": "Active"}
        ready = "True" if path.endswith("server") or self.frozen or self.reaches() else "False"
        return {"phase": "Running", "podIP": self.address, "conditions": [{"type": "Ready", "status": ready}]}

    def reaches(self) -> bool:
        """Whether the client's request arrives."""
        served = any(path.endswith("/pods/server") for path in self.objects)
        types = {kind for one in self.objects.values() for kind in one.get("spec", {}).get("policyTypes", ())}
        return self.reachable and served and not types & set(self.obeys)
