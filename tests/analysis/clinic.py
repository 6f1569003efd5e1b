"""Clusters for a doctor: nodes, and the DaemonSets of network plugins as their own manifests put them there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from outgate.analysis.doctor_facts import Facts, Line, Served
from outgate.analysis.doctor_networks import Network, networks
from outgate.model.parse import parse
from outgate.model.place import Document
from outgate.testing import Manifest, node, pod

__all__ = ["config", "daemon", "facts_of", "line_of", "network_of", "nodes", "pods_of"]


def daemon(
    path: str,
    labels: Mapping[str, str],
    *containers: Mapping[str, object],
    kind: str = "DaemonSet",
    bare: bool = False,
) -> Manifest:
    """A DaemonSet with these containers, or, if it is `bare`, without a word of how they are started."""
    space, _, name = path.rpartition("/")
    started = [{"name": "main", "image": "example/main:1", **one} for one in containers or ({},)]
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": space},
        "spec": {"template": {"metadata": {"labels": dict(labels)}, "spec": {"containers": [] if bare else started}}},
    }


def pods_of(path: str, labels: Mapping[str, str], *on: str, ready: bool = True) -> list[Manifest]:
    """The pods of a DaemonSet, one on each of these nodes."""
    space, _, name = path.rpartition("/")
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": name, "uid": name, "controller": True}
    made = []
    for number, where in enumerate(on):
        one = pod(f"{space}/{name}-{number}", [], on=where, host_network=True, labels=labels)
        one["metadata"]["ownerReferences"] = [owner]
        one["status"]["conditions"] = [{"type": "Ready", "status": "True" if ready else "False"}]
        made.append(one)
    return made


def nodes(
    *names: str, info: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None
) -> list[Manifest]:
    """Nodes of Linux, of this version, or of what `info` says."""
    told = {"kubeletVersion": "v1.31.2", "kernelVersion": "6.1.0-13-amd64", "operatingSystem": "linux", **(info or {})}
    made = []
    for number, name in enumerate(names):
        one = node(name, [f"192.168.50.{number + 1}"], **(labels or {}))
        one["status"]["nodeInfo"] = told
        made.append(one)
    return made


def config(name: str, data: Mapping[str, str], space: str = "kube-system") -> Manifest:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": space}, "data": data}


def facts_of(manifests: Iterable[Manifest], *, live: Served | None = None, **more: Any) -> Facts:
    """What is known of these objects; nothing in them may be broken."""
    parsed = parse([Document("cluster.yaml", one) for one in manifests])
    assert parsed.errors == ()
    return Facts(parsed.snapshot, live, **more)


def network_of(*manifests: Manifest, live: Served | None = None) -> Network:
    """The one plugin that is found."""
    (found,) = networks(facts_of(manifests, live=live))
    return found


def line_of(lines: Iterable[Line], topic: str) -> Line:
    """The one line about something."""
    (found,) = (line for line in lines if line.topic == topic)
    return found
