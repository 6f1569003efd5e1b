"""A cluster in a file: all that Outgate looks at, and nothing else.

The file is a ``List`` in JSON, one object a line, so that `diff` and `grep` are of use on it. An object has the fields
that `outgate.model.parse` reads (names, labels, ports, addresses, selectors, owners; of a policy its ``spec`` and its
annotations as well). What a pod's containers run, their volumes, and whatever else may be a secret is not there because
it was never read: see `outgate.model.parse_shapes`. Of their environment the few variables that `outgate.model.hints`
names are there, a proxy's URL without its password. How the network plugin is switched is said in arguments, in
annotations of nodes and in ConfigMaps; of these only the settings that `outgate.model.switches` knows by name are
there, with nothing beside them.

Reading the file gives the Snapshot that it was made from. Objects of a server keep their ``uid`` and
``resourceVersion``, by which the reader knows that they are to be read as the server reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from outgate.model.cilium_kinds import CILIUM_KINDS
from outgate.model.cluster_policy_schemas import DEFINITIONS
from outgate.model.hints import SIDECARS, trimmed
from outgate.model.parse_shapes import OBJECTS
from outgate.model.switches import bare_annotations, bare_containers

__all__ = ["Saved"]

# What others refer to comes first; kinds that are not named here follow in the order of the model's table.
_CUSTOM = tuple(dict.fromkeys(kind for _, kind in (*DEFINITIONS, *CILIUM_KINDS)))
_FIRST = ("Namespace", "Node", "ConfigMap")
_LAST = ("Pod", "Service", "Endpoints", "EndpointSlice", "Ingress", "NetworkPolicy", *_CUSTOM)
_DROPPED = ("generateName", "managedFields", "selfLink", "generation", "creationTimestamp", "finalizers")

_Key = tuple[int, str, str, str]


class Saved:
    """Collects the objects of an input: give `keep` to `outgate.cluster.load`, then write `lines`."""

    def __init__(self) -> None:
        self._objects: dict[_Key, dict[str, Any]] = {}

    def keep(self, version: str, kind: str, value: Mapping[str, Any]) -> None:
        """Take an object as it was decoded; a later one of the same name replaces it."""
        metadata = {name: one for name, one in value["metadata"].items() if name not in _DROPPED}
        if kind == "Node":
            metadata["annotations"] = bare_annotations(metadata.get("annotations", {}))
            if not metadata["annotations"]:
                del metadata["annotations"]
        elif kind in ("DaemonSet", "Deployment"):
            value = _bare(value)
        # Whatever a policy for the cluster says that is not known decides how it is read, and stays as it is.
        value = value if kind in _CUSTOM else trimmed(value)
        key = (_ORDER[kind], kind, metadata.get("namespace", ""), metadata["name"])
        self._objects[key] = {"apiVersion": version, "kind": kind, **value, "metadata": metadata}

    def __len__(self) -> int:
        return len(self._objects)

    def lines(self) -> Iterator[str]:
        """The text of the file, a line at a time, without their ends."""
        yield '{"apiVersion":"v1","kind":"List","items":['
        encoder = msgspec.json.Encoder(order="sorted")
        left = len(self._objects)
        for _, value in sorted(self._objects.items()):
            left -= 1
            yield encoder.encode(value).decode() + ("," if left else "")
        yield "]}"


def _bare(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A workload without what its containers run, but for what is known by name."""
    spec = value.get("spec", {})
    template = spec.get("template", {})
    inner = template.get("spec", {})
    if not inner.get("containers"):
        return value
    bare = bare_containers(inner["containers"])
    for one, whole in zip(bare, inner["containers"], strict=True):
        if whole.get("name") in SIDECARS:
            one["name"] = whole["name"]
    inner = {**inner, "containers": bare}
    return {**value, "spec": {**spec, "template": {**template, "spec": inner}}}


def _ordered() -> list[str]:
    known = [kind for _, kind in OBJECTS if kind not in {*_FIRST, *_LAST}]
    return [*_FIRST, *known, *_LAST]


_ORDER: Mapping[str, int] = {kind: number for number, kind in enumerate(_ordered())}
