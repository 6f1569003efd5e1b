"""From the text of one object to the model's value, with no more kept of it than the model has.

A pod is 5 to 10 kB of text, of which some hundred bytes matter. Pods are decoded into the lean type of
`outgate.model.parse_pods`, which also lets the pods of one template share their labels, ports and names; whatever is
unusual about one, and every other kind, takes the way of `outgate.model.parse`, so that a watch and a list can never
mean different things. No place is kept but of policies, whose rules say where they come from.

A pod on the network of its node whose status names no address has none here: they are its node's, which is another
kind.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from outgate.cluster.closed import closed_cilium_policy, closed_cluster_policy, closed_policy
from outgate.cluster.events import Broken, Watched
from outgate.cluster.lists import RESOURCES, Resource
from outgate.errors import InputError
from outgate.model.cilium import CidrGroup, CiliumObject, CiliumPolicy
from outgate.model.cilium_kinds import CILIUM_POLICIES, GROUP
from outgate.model.cluster_policy import ClusterPolicy, UnknownPeer
from outgate.model.cluster_policy_schemas import DEFINITIONS
from outgate.model.objects import EndpointSlice, Namespace, NetworkPolicy, Node, Pod, Service
from outgate.model.parse import Refused, parse_object
from outgate.model.parse_decode import plain_type
from outgate.model.parse_objects import HostPod
from outgate.model.parse_pods import PodReader, PodText
from outgate.model.parse_shapes import OBJECTS, POLICIES
from outgate.model.place import NOWHERE, Document

__all__ = ["KINDS", "Found", "Line", "Mark", "Page", "Reader", "read_line", "read_mark", "read_page"]

_OF_CILIUM = (*CILIUM_POLICIES, GROUP)
_WATCHED = (
    "Pod",
    "Namespace",
    "Node",
    "Service",
    "EndpointSlice",
    "NetworkPolicy",
    *(kind for _, kind in DEFINITIONS),
    *_OF_CILIUM,
)

KINDS: Mapping[str, Resource] = {one.kind: one for one in RESOURCES if one.kind in _WATCHED}
"""What can be watched, and where it is."""

REMEMBERED = 8192
"""Templates of pods after which a reader begins to remember anew: those that are gone must not fill the memory. The
pods of one template come one after the other in a list, so that they share all the same."""

_BAD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Line(msgspec.Struct):
    """One line of a watch (metav1.WatchEvent)."""

    type: str
    object: msgspec.Raw


class _ListMeta(msgspec.Struct):
    resourceVersion: str = ""  # noqa: N815 - the name in the text
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class _Annotations(msgspec.Struct):
    ends_initial: str = msgspec.field(default="", name="k8s.io/initial-events-end")


class _Meta(msgspec.Struct):
    resourceVersion: str = ""  # noqa: N815
    annotations: _Annotations = msgspec.field(default_factory=_Annotations)


class _Bookmark(msgspec.Struct):
    metadata: _Meta


_LINE = msgspec.json.Decoder(Line)
_LIST = msgspec.json.Decoder(_List)
_BOOKMARK = msgspec.json.Decoder(_Bookmark)
_POD = msgspec.json.Decoder(PodText)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list. `following` is the token of the next one, empty in the last."""

    items: list[msgspec.Raw]
    version: str
    following: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A bookmark: everything up to this version has been sent. `ends_initial`: all that there is, to begin with."""

    version: str
    ends_initial: bool


def read_line(text: bytes) -> Line | None:
    """A line of a watch; None where it is none, and nothing after it can be trusted."""
    try:
        return _LINE.decode(text)
    except _BAD:
        return None


def read_page(body: bytes) -> Page | None:
    """A page; None where this is no list."""
    try:
        found = _LIST.decode(body)
    except _BAD:
        return None
    return Page(found.items or [], found.metadata.resourceVersion, found.metadata.continue_)


def read_mark(text: msgspec.Raw | bytes) -> Mark | None:
    """The object of a bookmark; None where it cannot be read."""
    try:
        metadata = _BOOKMARK.decode(text).metadata
    except _BAD:
        return None
    return Mark(metadata.resourceVersion, metadata.annotations.ends_initial == "true")


@dataclass(frozen=True, slots=True)
class Found:
    """What the text of an object holds.

    `value` is None where nothing can be said in its place, `broken` where nothing is wrong with it. `key` is namespace
    and name, None where these cannot be read; `version` is then empty as well.
    """

    key: tuple[str, str] | None
    value: Watched | None
    version: str
    broken: Broken | None = None


class Reader:
    """Reads the objects of one kind of one cluster, as the server has them under this version."""

    def __init__(self, resource: Resource, cluster: str) -> None:
        self._resource = resource
        self._cluster = cluster
        shape = OBJECTS[resource.api_version, resource.kind]
        # Of a policy everything is read, because everything in it may be wrong.
        wanted = dict[str, Any] if shape in POLICIES else plain_type(shape)
        self._decoder: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(wanted)
        self._pods = PodReader("default")

    def read(self, text: msgspec.Raw | bytes) -> Found:
        """The object, or what stands for it."""
        found = self._pod(text) if self._resource.kind == "Pod" else None
        return found or self._object(text)

    def removed(self, text: msgspec.Raw | bytes) -> Found:
        """The last state of an object that is gone; of one that cannot be understood its key and uid."""
        found = self.read(text)
        if found.value is not None or found.key is None:
            return Found(found.key, found.value, found.version)
        value = self._whole(text)
        uid = _text(value.get("metadata") if isinstance(value, dict) else None, "uid")
        return Found(found.key, _BARE[self._resource.kind](*found.key, uid), found.version)

    def _pod(self, text: msgspec.Raw | bytes) -> Found | None:
        try:
            pod = _POD.decode(text)
        except _BAD:
            return None
        made = self._pods.read(pod, NOWHERE)
        if self._pods.remembered > REMEMBERED:
            self._pods = PodReader("default")
        if made is None or pod.metadata is msgspec.UNSET:
            return None
        one = made.pod if isinstance(made, HostPod) else made
        return Found(one.key, one, pod.metadata.resourceVersion)

    def _object(self, text: msgspec.Raw | bytes) -> Found:
        try:
            value: Any = self._decoder.decode(text)
        except _BAD:
            # A value of a type that we do not know: read whole, so that the words are right.
            value = self._whole(text)
        metadata = value.get("metadata") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(metadata, dict) or not _text(metadata, "name"):
            words = "this is no JSON that can be read" if value is None else "this is no object with a name"
            place = self._resource.place(self._cluster, {})
            return Found(None, None, "", Broken(self._resource.kind, "", "", (InputError(place, 0, "", words),)))
        metadata.pop("managedFields", None)
        value["apiVersion"], value["kind"] = self._resource.api_version, self._resource.kind
        return self._made(value, metadata)

    def _made(self, value: dict[str, Any], metadata: dict[str, Any]) -> Found:
        kind = self._resource.kind
        place = self._resource.place(self._cluster, metadata)
        namespace, name, version = (_text(metadata, field) for field in ("namespace", "name", "resourceVersion"))
        if not self._resource.namespaced:
            namespace = ""
        made = parse_object(Document(place, value, stored=True))
        if not isinstance(made, Refused):
            if kind in CILIUM_POLICIES:
                policies = tuple(one for one in made if isinstance(one, CiliumPolicy))
                uid = _text(metadata, "uid")
                return Found((namespace, name), CiliumObject(kind, namespace, name, policies, uid), version)
            (one,) = made
            one = one.pod if isinstance(one, HostPod) else one
            assert isinstance(one, Watched)
            return Found((namespace, name), one, version)
        stand_in: Watched | None = None
        if kind in CILIUM_POLICIES:
            stand_in = closed_cilium_policy(value, kind, namespace, name, place)
        elif kind == GROUP:
            # A group that nobody can read is one of no address: a rule that allows it allows nothing.
            stand_in = CidrGroup(name, ())
        elif self._resource.custom:
            stand_in = closed_cluster_policy(value, self._resource.api_version, kind, name, place)
        elif kind == "NetworkPolicy" and namespace:
            stand_in = closed_policy(value, namespace, name, place)
        return Found((namespace, name), stand_in, version, Broken(kind, namespace, name, made.errors))

    @staticmethod
    def _whole(text: msgspec.Raw | bytes) -> object:
        try:
            return msgspec.json.decode(text)
        except _BAD:
            return None


def _text(metadata: object, field: str) -> str:
    found = metadata.get(field) if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else ""


def _bare_cluster_policy(resource: Resource, _: str, name: str, uid: str) -> ClusterPolicy:
    version, kind = resource.api_version, resource.kind
    return ClusterPolicy(name, "Admin", 0, UnknownPeer(), uid=uid, api_version=version, kind=kind)


def _bare_cilium_policy(kind: str, namespace: str, name: str, uid: str) -> CiliumObject:
    return CiliumObject(kind, namespace, name, (), uid)


_OF_CLUSTER = frozenset(kind for _, kind in DEFINITIONS)
_BARE: Mapping[str, Callable[[str, str, str], Watched]] = {
    "Pod": lambda namespace, name, uid: Pod(namespace, name, uid=uid),
    "Namespace": lambda _, name, __: Namespace(name),
    "Node": lambda _, name, __: Node(name),
    "Service": lambda namespace, name, _: Service(namespace, name),
    "EndpointSlice": lambda namespace, name, _: EndpointSlice(namespace, name, ""),
    "NetworkPolicy": lambda namespace, name, uid: NetworkPolicy(namespace, name, uid=uid),
    **{one.kind: functools.partial(_bare_cluster_policy, one) for one in KINDS.values() if one.kind in _OF_CLUSTER},
    **{kind: functools.partial(_bare_cilium_policy, kind) for kind in CILIUM_POLICIES},
    GROUP: lambda _, name, uid: CidrGroup(name, (), uid=uid),
}
