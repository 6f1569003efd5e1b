"""What an API server keeps: objects with versions, the changes that led to them, and lists as they were.

As with etcd there is one version for everything, and each write takes the next one. An object is kept as the text that
is sent, encoded once, and beside it only what selectors look at; a list as it was at a version is kept for those who
are in the middle of it, until `compact` forgets it together with the changes before now.
"""

from __future__ import annotations

import base64
import bisect
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from outgate.cluster.lists import RESOURCES, Resource

__all__ = ["Change", "Collection", "Expired", "Matches", "Store", "Stored", "selector"]

LISTS = 256
"""Lists of a kind that are remembered, the oldest go first."""

Manifest = dict[str, Any]
Key = tuple[str, str]
Backup = tuple[int, dict[str, dict[Key, "Stored"]]]
"""A version, and the objects as they were at it, by the path of their list."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """An object at one version, as it is sent within a list, and what selectors see of it."""

    key: Key
    version: int
    text: bytes
    labels: Mapping[str, str]
    fields: Mapping[str, str]


Matches = Callable[[Stored], bool]


@dataclass(slots=True, eq=False)
class Change:
    """One write: `before` is None for a new object; `gone` says that it was the last one."""

    before: Stored | None
    after: Stored
    gone: bool
    head: bytes
    _lines: dict[str, bytes] = field(default_factory=dict)

    def line(self, matches: Matches | None) -> bytes:
        """The event as who selects so sees it, a chunk of HTTP; empty where it is none of theirs."""
        before = self.before is not None and (matches is None or matches(self.before))
        after = not self.gone and (matches is None or matches(self.after))
        if not before and not after:
            return b""
        kind = "MODIFIED" if before and after else "ADDED" if after else "DELETED"
        if kind not in self._lines:
            self._lines[kind] = chunk(event(kind, self.head, self.after.text))
        return self._lines[kind]


def event(kind: str, head: bytes, text: bytes) -> bytes:
    """A line of a watch."""
    return b'{"type":"%b","object":%b%b}\n' % (kind.encode(), head, text[1:])


def chunk(data: bytes) -> bytes:
    """Data as one chunk of HTTP."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Expired(Exception):
    """What is asked for is forgotten."""


class Collection:
    """The objects of one kind. Its methods are called with the store's lock held."""

    def __init__(self, resource: Resource, lock: threading.RLock) -> None:
        self.resource = resource
        self.changed = threading.Condition(lock)
        self.objects: dict[Key, Stored] = {}
        self.changes: list[Change] = []
        self.versions: list[int] = []
        self.floor = 0
        self.head = b'{"kind":"%b","apiVersion":"%b",' % (resource.kind.encode(), resource.api_version.encode())
        self._lists: dict[tuple[int, str, str], list[Stored]] = {}

    def write(self, before: Stored | None, after: Stored, *, gone: bool) -> None:
        """Note a change and tell those who watch."""
        if gone:
            del self.objects[after.key]
        else:
            self.objects[after.key] = after
        self.changes.append(Change(before, after, gone, self.head))
        self.versions.append(after.version)
        self.changed.notify_all()

    def position(self, version: int) -> int:
        """Where the changes after a version begin. Raises Expired."""
        if version < self.floor:
            raise Expired
        return bisect.bisect_right(self.versions, version)

    def listed(self, version: int, now: int, fields: str, labels: str) -> list[Stored]:
        """All objects as they are now, or as they were at a version that is still known. Raises Expired."""
        name = (version, fields, labels)
        if name in self._lists:
            return self._lists[name]
        if version != now:
            raise Expired
        matches = selector(fields, labels)
        if matches is None:
            found = [self.objects[key] for key in sorted(self.objects)]
        else:
            found = [one for one in self.listed(now, now, "", "") if matches(one)]
        if len(self._lists) >= LISTS:
            del self._lists[next(iter(self._lists))]
        self._lists[name] = found
        return found

    def forget(self, now: int) -> None:
        """Forget how it was before now. Those who watch already have it all."""
        self.floor = now
        self._lists = {}


class Store:
    """Everything, under one lock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.version = 100
        self._made = 0
        self.collections = {resource.path: Collection(resource, self.lock) for resource in RESOURCES}
        self._kinds = {(one.api_version, one.kind): self.collections[one.path] for one in RESOURCES}
        self._names = {one.kind: self.collections[one.path] for one in RESOURCES}

    def of(self, kind: str) -> Collection:
        """The objects of a kind."""
        return self._names[kind]

    def put(self, value: Manifest) -> int:
        """Create an object or replace one of the same name; its new version."""
        with self.lock:
            collection = self._kinds[value["apiVersion"], value["kind"]]
            metadata = value["metadata"]
            namespace = metadata.get("namespace", "default") if collection.resource.namespaced else ""
            key = (namespace, metadata["name"])
            before = collection.objects.get(key)
            uid = metadata.get("uid") or (json.loads(before.text)["metadata"]["uid"] if before else self._uid())
            self.version += 1
            told: Manifest = {"namespace": namespace} if namespace else {}
            told |= {"uid": uid, "resourceVersion": str(self.version), "creationTimestamp": "2026-11-22T18:31:44Z"}
            # The items of a typed list do not say what they are.
            item = {name: one for name, one in value.items() if name not in ("apiVersion", "kind")}
            item["metadata"] = {**metadata, **told}
            if value["kind"] == "Namespace":
                # "The Kubernetes control plane sets an immutable label kubernetes.io/metadata.name on all namespaces."
                item["metadata"]["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": key[1]}
            collection.write(before, _stored(key, self.version, item), gone=False)
            return self.version

    def put_all(self, values: Iterable[Manifest]) -> int:
        """Many at once: nobody sees one without the others. The version of the last."""
        with self.lock:
            for value in values:
                self.put(value)
            return self.version

    def delete(self, kind: str, namespace: str, name: str) -> int:
        """Remove an object that is there; the version of its removal. Raises KeyError."""
        with self.lock:
            collection = self.of(kind)
            before = collection.objects[namespace, name]
            self.version += 1
            item = json.loads(before.text)
            # "The object's state immediately before deletion", at the version of the deletion.
            item["metadata"]["resourceVersion"] = str(self.version)
            collection.write(before, _stored(before.key, self.version, item), gone=True)
            return self.version

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """An object as it is now, whole."""
        with self.lock:
            collection = self.of(kind)
            found = collection.objects.get((namespace, name))
            return None if found is None else json.loads(collection.head + found.text[1:])

    def all(self, kind: str) -> list[Manifest]:
        """All objects of a kind."""
        with self.lock:
            collection = self.of(kind)
            return [json.loads(collection.head + one.text[1:]) for one in collection.objects.values()]

    def compact(self) -> None:
        """Forget all versions before this one."""
        with self.lock:
            self.version += 1
            for collection in self.collections.values():
                collection.forget(self.version)

    def backup(self) -> Backup:
        """All objects as they are, and the version."""
        with self.lock:
            return self.version, {path: dict(one.objects) for path, one in self.collections.items()}

    def restore(self, backup: Backup) -> None:
        """Be as it was at a backup: the version goes back, and the versions after it will be given out once more."""
        with self.lock:
            self.version, objects = backup
            for path, collection in self.collections.items():
                collection.objects = dict(objects[path])
                collection.changes, collection.versions = [], []
                collection.forget(self.version)

    def _uid(self) -> str:
        self._made += 1
        return f"00000000-0000-4000-8000-{self._made:012}"


def _stored(key: Key, version: int, item: Manifest) -> Stored:
    status, spec = item.get("status"), item.get("spec")
    fields = {"metadata.namespace": key[0], "metadata.name": key[1]}
    fields["spec.nodeName"] = spec.get("nodeName", "") if isinstance(spec, dict) else ""
    fields["status.phase"] = status.get("phase", "") if isinstance(status, dict) else ""
    labels = item["metadata"].get("labels")
    return Stored(key, version, msgspec.json.encode(item), labels if isinstance(labels, dict) else {}, fields)


def selector(fields: str, labels: str) -> Matches | None:
    """What two selectors say together; None where they say nothing.

    ``a=b``, ``a!=b``, and for labels ``a``, ``!a``, and ``a in (b,c)`` by itself.
    """
    name, among, listed = labels.partition(" in (")
    if among:
        values = listed.rstrip(")").split(",")
        return lambda one: one.labels.get(name) in values
    terms = [(*_term(text), False) for text in fields.split(",") if text]
    terms += [(*_term(text), True) for text in labels.split(",") if text]
    if not terms:
        return None

    def matches(one: Stored) -> bool:
        for name, equal, wanted, label in terms:
            has = (one.labels if label else one.fields).get(name)
            if (has is not None if wanted is None else has == wanted) is not equal:
                return False
        return True

    return matches


def _term(text: str) -> tuple[str, bool, str | None]:
    for sign, equal in (("!=", False), ("==", True), ("=", True)):
        name, found, value = text.partition(sign)
        if found:
            return name, equal, value
    return text.removeprefix("!"), not text.startswith("!"), None


def token(version: int, start: Key) -> str:
    """A continue token in the form of the server's own."""
    said = {"v": "meta.k8s.io/v1", "rv": version, "start": "/".join(start) + "\0"}
    return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()


def read_token(text: str) -> tuple[int, Key]:
    """The version and the place of a continue token."""
    said = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    namespace, _, name = said["start"].rstrip("\0").partition("/")
    return said["rv"], (namespace, name)
