"""From documents to a snapshot: each object decoded, checked and built, or set apart with its errors.

An object that the API server would refuse is not in the snapshot; the errors say why and where, and the work goes on
with the others. An object given twice counts once, the later one, as ``kubectl apply`` would leave it. What is not for
us is counted by apiVersion and kind and not looked at.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from outgate.errors import InputError
from outgate.model.cilium_kinds import CILIUM_KINDS, CILIUM_POLICIES, GROUP
from outgate.model.cluster_policy import ClusterPolicy
from outgate.model.cluster_policy_schemas import DEFINITIONS
from outgate.model.objects import (
    Binding,
    Callout,
    EndpointSlice,
    Ingress,
    Namespace,
    NetworkPolicy,
    Node,
    Owner,
    Pod,
    Service,
    ServiceAccount,
    Workload,
)
from outgate.model.parse_cluster_policy import read_cluster_policy
from outgate.model.parse_decode import Flaw, decode
from outgate.model.parse_envelope import envelope_problem, type_of
from outgate.model.parse_lists import items_of
from outgate.model.parse_objects import READERS, HostPod, Made, Troubles, replica_set_of
from outgate.model.parse_policy import network_policy
from outgate.model.parse_shapes import NETWORK_POLICY, OBJECTS
from outgate.model.parse_types import Struct
from outgate.model.place import Document, Place, spell
from outgate.model.snapshot import Snapshot
from outgate.model.switches import SETTINGS, settings
from outgate.model.validate import (
    identity_flaws,
    label_flaws,
    network_policy_flaws,
    network_policy_warnings,
)
from outgate.model.validate_cluster_policy import check_cluster_policy
from outgate.model.validate_text import quote
from outgate.records import dataclass

if (
    TYPE_CHECKING
):  # it takes time to make the types; only a reader of JSON has such pods, and few have Cilium's policies
    from outgate.model.cilium import CidrGroup, CiliumPolicy
    from outgate.model.parse_pods import PodReader, TypedPod

    Object = Made | NetworkPolicy | ClusterPolicy | CiliumPolicy | CidrGroup
    """What one object of the input makes."""

__all__ = ["Keep", "Parsed", "Refused", "parse", "parse_object"]

_CLUSTER_WIDE = (
    "Namespace",
    "Node",
    "ClusterRoleBinding",
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "APIService",
)
"""And the kinds of network-policy-api and of Cilium, which are read in a way of their own."""
_FREELY_NAMED = ("RoleBinding", "ClusterRoleBinding", "APIService")
"""Kinds whose names need only be a step of a path: ``system:node-proxier``, ``v1.``."""
_FROM_SERVER = ("uid", "resourceVersion")


Keep = Callable[[str, str, Mapping[str, Any]], None]
"""Is told apiVersion, kind and the decoded fields of every object that is used: what the answer rests on."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An object that is not in the snapshot, and why. `kind` and `name` are empty where it does not say."""

    api_version: str
    kind: str
    namespace: str
    name: str
    errors: tuple[InputError, ...]

    def __str__(self) -> str:
        who = "/".join(part for part in (self.namespace, self.name) if part)
        return " ".join(part for part in (self.kind, who) if part)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the documents hold. `objects` counts all of them, the refused ones and the `skipped` kinds included."""

    snapshot: Snapshot
    refused: tuple[Refused, ...] = ()
    warnings: tuple[InputError, ...] = ()
    objects: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[InputError, ...]:
        """Why objects were refused, in the order of the input."""
        return tuple(error for one in self.refused for error in one.errors)


def parse(
    documents: Iterable[Document | TypedPod],
    *,
    default_namespace: str = "default",
    stored: bool | None = False,
    keep: Keep | None = None,
) -> Parsed:
    """The snapshot of these documents.

    `default_namespace` is for namespaced objects that name none. With `stored` the objects come from a server that
    holds them: unknown fields are passed over, and what older rules let in (a sloppy CIDR) is read as the server
    reads it. None leaves that to each object: one with a ``uid`` or a ``resourceVersion`` ("Populated by the system.
    Read-only.") was printed by a server. A document may say so by itself. `keep` is told what is used; of an object
    given twice it is told twice.
    """
    reader = _Reader(default_namespace, stored, keep)
    for document in documents:
        if isinstance(document, Document):
            for one in items_of(document):
                reader.read(one)
        else:
            reader.pod(document)
    return reader.result()


def parse_object(document: Document) -> Refused | tuple[Object, ...]:
    """One object of a server by itself: what it makes before the rest of the input is known, or why it is refused.

    Nothing of the text is kept. A kind that is not read makes nothing.
    """
    reader = _Reader("default", stored=True, keep=None, bare=True)
    reader.read(document)
    return reader.refused[0] if reader.refused else tuple(one for many in reader.made.values() for one in many)


def _without_value(document: Document) -> Document:
    """The same, and what it says is read again when somebody asks."""
    return Document(
        document.file,
        None,
        document.locate,
        document.template,
        stored=document.stored,
        text=document.text,
        again=document.again,
    )


class _Reader:
    """Takes documents one at a time and keeps what they amount to."""

    def __init__(self, default_namespace: str, stored: bool | None, keep: Keep | None, *, bare: bool = False) -> None:
        self.default_namespace = default_namespace
        self.stored = stored
        self.keep = keep
        self.bare = bare
        self.made: dict[tuple[str, str, str], list[Object]] = {}
        self.refused: list[Refused] = []
        self.warnings: list[InputError] = []
        self.skipped: Counter[str] = Counter()
        self.generated: Counter[tuple[str, str, str]] = Counter()
        self.objects = 0
        self.settings: dict[tuple[str, str], Mapping[str, str]] = {}
        self.pods: PodReader | None = None

    def pod(self, typed: TypedPod) -> None:
        """A pod that was read into its type: made, or read the long way."""
        if self.pods is None:
            from outgate.model.parse_pods import PodReader  # noqa: PLC0415 - only where there are such pods

            self.pods = PodReader(self.default_namespace)
        place = Place(typed.document)
        # Who keeps what is used wants it decoded, as the long way does.
        made = self.pods.read(typed.pod, place) if self.keep is None else None
        if made is None:
            for document in typed.whole():
                self.read(document)
            return
        self.objects += 1
        pod = made.pod if isinstance(made, HostPod) else made
        self._keep("Pod", pod.namespace, pod.name, [made], place)

    def read(self, document: Document) -> None:
        """One object: made, refused or passed over."""
        self.objects += 1
        value = document.value
        if not isinstance(value, dict):
            words = f"this is {type_of(value)}, not an object with apiVersion, kind and metadata"
            self._refuse(document, "", "", {}, [Flaw((), words, ())])
            return
        version, kind = value.get("apiVersion"), value.get("kind")
        problem = envelope_problem(version, kind)
        if problem is not None:
            self._refuse(document, _text(version), _text(kind), _metadata_of(value), [problem])
            return
        assert isinstance(version, str)
        assert isinstance(kind, str)
        shape = OBJECTS.get((version, kind))
        of_ours = kind == "List" or (version, kind.removesuffix("List")) in OBJECTS
        if shape is None and of_ours and "items" in value:
            words = f"items must be a list, not {type_of(value['items'])}"
            self._refuse(document, version, kind, {}, [Flaw(("items",), words, ("items",))])
            return
        if shape is None:
            if (version, kind) != ("v1", "ConfigMap") or not self._setting(document):
                self.skipped[f"{version}/{kind}"] += 1
            return
        if (version, kind) in DEFINITIONS:
            self._cluster_policy(document, value, version, kind)
        elif (version, kind) in CILIUM_KINDS:
            self._cilium(document, value, version, kind)
        else:
            self._object(document, value, version, kind, shape)

    def _cluster_policy(self, document: Document, raw: dict[str, Any], version: str, kind: str) -> None:
        """A policy of the whole cluster: a custom resource, which the server checks in another way."""
        checked = check_cluster_policy(
            raw,
            version,
            kind,
            stored=self._is_stored(document, raw),
            repeated=document.repeated,
            line=document.locate,
        )
        self._warn(document, checked.warnings)
        metadata = checked.metadata
        if checked.flaws:
            self._refuse(document, version, kind, {**_known(metadata, raw), "namespace": ""}, checked.flaws)
            return
        metadata["name"] = metadata.get("name") or self._generate(kind, metadata)
        place = Place(_without_value(document) if self.bare else document)
        read = read_cluster_policy(version, kind, metadata, checked.spec, place)
        if read.broken:
            self._refuse(document, version, kind, metadata, read.broken)
            return
        self._keep(kind, "", metadata["name"], [read.policy], place)
        if self.keep is not None:
            self.keep(version, kind, {"metadata": metadata, "spec": checked.spec})
        self._warn(document, read.unknown)

    def _cilium(self, document: Document, raw: dict[str, Any], version: str, kind: str) -> None:
        """A policy of Cilium's, or a group of blocks: custom resources too, and looked at by an agent as well."""
        from outgate.model.parse_cilium import read_cilium  # noqa: PLC0415 - only where there is such an object
        from outgate.model.validate_cilium import check_cilium  # noqa: PLC0415 - likewise

        checked = check_cilium(
            raw,
            version,
            kind,
            namespace=self.default_namespace,
            stored=self._is_stored(document, raw),
            repeated=document.repeated,
            line=document.locate,
        )
        metadata = checked.value["metadata"]
        if checked.flaws:
            self._refuse(document, version, kind, _known(metadata, raw), checked.flaws)
            return
        metadata["name"] = metadata.get("name") or self._generate(kind, metadata)
        place = Place(_without_value(document) if self.bare else document)
        made: list[Object] = list(read_cilium(kind, checked.value, place))
        self._keep(kind, metadata.get("namespace", ""), metadata["name"], made, place)
        if self.keep is not None:
            self.keep(version, kind, checked.value)
        self._warn(document, checked.warnings)

    def _is_stored(self, document: Document, raw: Mapping[str, Any]) -> bool:
        return document.stored or (_from_server(raw) if self.stored is None else self.stored)

    def _object(self, document: Document, raw: dict[str, Any], version: str, kind: str, shape: Struct) -> None:
        policy = shape is NETWORK_POLICY
        stored = self._is_stored(document, raw)
        decoded = decode(raw, shape, strict=policy and not stored, repeated=document.repeated)
        metadata = decoded.value.setdefault("metadata", {})
        if kind not in _CLUSTER_WIDE:
            metadata["namespace"] = metadata.get("namespace") or self.default_namespace
        if decoded.wrong is not None or decoded.strict:
            flaws = [decoded.wrong] if decoded.wrong is not None else _in_order(document, decoded.strict)
            self._refuse(document, version, kind, _known(metadata, raw), flaws)
            return
        flaws = list(_flaws(decoded.value, kind, stored))
        if flaws:
            self._refuse(document, version, kind, metadata, flaws)
            return
        metadata["name"] = metadata.get("name") or self._generate(kind, metadata)
        key = (metadata.get("namespace", ""), metadata["name"])
        # Of a hundred thousand pods nobody needs the text again; a policy's is kept for those who explain it.
        place = Place(document if policy and not self.bare else _without_value(document))
        if policy:
            self._keep(kind, *key, [network_policy(decoded.value, place)], place)
            if self.keep is not None:
                self.keep(version, kind, decoded.value)
            self._warn(document, network_policy_warnings(decoded.value))
            return
        troubles = Troubles()
        made: list[Object] = list(READERS[kind](decoded.value, place, troubles))
        if troubles.flaws:
            self._refuse(document, version, kind, metadata, troubles.flaws)
            return
        self._keep(kind, *key, made, place)
        if self.keep is not None:
            self.keep(version, kind, decoded.value)
        self._warn(document, (*troubles.warnings, *_repetitions(document, shape)))

    def _setting(self, document: Document) -> bool:
        """Keep what a ConfigMap says of how the network is set, if it is one of those that do."""
        whole = document.value
        if isinstance(whole, dict) and "metadata" not in whole and document.again is not None:
            # A reader of JSON keeps of what is not ours no more than its kind.
            whole = document.again()
        if not isinstance(whole, dict):
            return False
        metadata = _metadata_of(whole)
        name = _text(metadata.get("name"))
        if name not in SETTINGS:
            return False
        namespace = _text(metadata.get("namespace")) or self.default_namespace
        found = settings(name, whole.get("data"))
        self.settings[namespace, name] = found
        if self.keep is not None:
            self.keep("v1", "ConfigMap", {"metadata": {"name": name, "namespace": namespace}, "data": found})
        return True

    def _generate(self, kind: str, metadata: Mapping[str, Any]) -> str:
        """A name for ``generateName``: the server appends five characters of its own choice, and so do we."""
        prefix = metadata.get("generateName", "")[:58]
        key = (kind, metadata.get("namespace", ""), prefix)
        self.generated[key] += 1
        return f"{prefix}{self.generated[key]:05d}"

    def _keep(self, kind: str, namespace: str, name: str, made: list[Object], place: Place) -> None:
        key = (kind, namespace, name)
        earlier = self.made.get(key)
        if earlier:
            who = "/".join(part for part in key[1:] if part)
            words = f"{kind} {who} is given again; this one replaces the one at {_place_of(earlier[0])}"
            self.warnings.append(InputError(place.file, place.line, "", words))
        self.made[key] = made

    def _refuse(
        self, document: Document, version: str, kind: str, metadata: Mapping[str, Any], flaws: Iterable[Flaw]
    ) -> None:
        errors = tuple(_error(document, flaw) for flaw in flaws)
        name = _text(metadata.get("name")) or _text(metadata.get("generateName"))
        self.refused.append(Refused(version, kind, _text(metadata.get("namespace")), name, errors))

    def _warn(self, document: Document, flaws: Iterable[Flaw]) -> None:
        self.warnings.extend(_error(document, flaw) for flaw in flaws)

    def result(self) -> Parsed:
        """All of it, with what only the whole input can tell filled in."""
        everything = [one for several in self.made.values() for one in several]
        nodes = [one for one in everything if isinstance(one, Node)]
        workloads = [one for one in everything if isinstance(one, Workload)]
        slices = [one for one in everything if isinstance(one, EndpointSlice)]
        return Parsed(
            Snapshot.of(
                namespaces=[one for one in everything if isinstance(one, Namespace)],
                pods=_pods(everything, nodes, workloads),
                nodes=nodes,
                services=[one for one in everything if isinstance(one, Service)],
                slices=_without_mirrored(slices, self.made),
                policies=[one for one in everything if isinstance(one, NetworkPolicy)],
                cluster_policies=[one for one in everything if isinstance(one, ClusterPolicy)],
                cilium_policies=_of_kinds(self.made, *CILIUM_POLICIES),
                cidr_groups=_of_kinds(self.made, GROUP),
                workloads=workloads,
                ingresses=[one for one in everything if isinstance(one, Ingress)],
                accounts=[one for one in everything if isinstance(one, ServiceAccount)],
                bindings=[one for one in everything if isinstance(one, Binding)],
                callouts=[one for one in everything if isinstance(one, Callout)],
                settings=self.settings,
            ),
            tuple(self.refused),
            tuple(self.warnings),
            self.objects,
            dict(sorted(self.skipped.items())),
        )


def _of_kinds(made: Mapping[tuple[str, str, str], list[Any]], *kinds: str) -> list[Any]:
    """What objects of these kinds have made, without a look at the types."""
    return [one for (kind, _, _), several in made.items() if kind in kinds for one in several]


def _pods(everything: Iterable[object], nodes: Iterable[Node], workloads: Iterable[Workload]) -> Iterator[Pod]:
    """The pods, those on a host network with their node's addresses."""
    hosts = {node.name: node.addresses for node in nodes}
    sets = {(one.namespace, one.name): one for one in workloads if one.kind == "ReplicaSet"}
    for one in everything:
        if isinstance(one, HostPod):
            yield _owned(dataclasses.replace(one.pod, addresses=hosts.get(one.pod.node, ())), sets)
        elif isinstance(one, Pod):
            yield _owned(one, sets) if sets else one


def _owned(pod: Pod, sets: Mapping[tuple[str, str], Workload]) -> Pod:
    """Where the ReplicaSet of a pod is in the input, it knows better than its name who owns it."""
    name = replica_set_of(pod)
    known = sets.get((pod.namespace, name)) if name else None
    if known is None or known.owner == pod.owner:
        return pod
    return dataclasses.replace(pod, owner=Owner("ReplicaSet", known.name))


def _without_mirrored(
    slices: Iterable[EndpointSlice], made: Mapping[tuple[str, str, str], object]
) -> Iterator[EndpointSlice]:
    """Endpoints of a Service that has slices say the same once more, and are left out."""
    several = list(slices)
    proper = {(one.namespace, one.service) for one in several if ("EndpointSlice", one.namespace, one.name) in made}
    for one in several:
        if ("EndpointSlice", one.namespace, one.name) in made or (one.namespace, one.service) not in proper:
            yield one


def _from_server(raw: Mapping[str, Any]) -> bool:
    """Say if an object carries what only a server writes: whoever creates an object may not even say it."""
    metadata = _metadata_of(raw)
    return any(isinstance(metadata.get(name), str) and metadata[name] for name in _FROM_SERVER)


def _flaws(value: Mapping[str, Any], kind: str, stored: bool) -> Iterator[Flaw]:
    """What the server would refuse in a decoded object."""
    if kind == "NetworkPolicy":
        yield from network_policy_flaws(value, stored=stored)
    elif not stored:
        free = kind in _FREELY_NAMED
        yield from identity_flaws(value["metadata"], namespaced=kind not in _CLUSTER_WIDE, freely_named=free)
        template = value.get("spec", {}).get("template")
        if template is not None:
            # The server leaves "metadata" out of this path.
            yield from label_flaws(template.get("metadata", {}).get("labels", {}), ("spec", "template", "labels"))


def _repetitions(document: Document, shape: Struct) -> Iterator[Flaw]:
    """Fields given twice in an object whose acceptance we do not judge: the last one counts, and it is said."""
    for path in document.repeated:
        if path and path[0] in shape.fields:
            words = f"duplicate field {quote(spell(path))}; the last one counts, and kubectl refuses the object"
            yield Flaw(path, words, path)


def _in_order(document: Document, flaws: Iterable[Flaw]) -> list[Flaw]:
    """Unknown and repeated fields as the server meets them: a repeated one where it comes again."""
    if not document.repeated:
        return list(flaws)
    return sorted(flaws, key=lambda flaw: document.repeated.get(flaw.at) or document.locate(flaw.at))


def _known(metadata: Mapping[str, Any], raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """What names an object that could not be decoded: what it says, and the namespace that it would have had."""
    return {**metadata, **{name: value for name, value in _metadata_of(raw).items() if value}}


def _metadata_of(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata as written, as far as it can name an object that is refused."""
    metadata = value.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _error(document: Document, flaw: Flaw) -> InputError:
    line = document.repeated.get(flaw.at) or document.locate(flaw.at)
    return InputError(document.file, line, spell(flaw.path), flaw.message)


def _place_of(made: Object) -> Place:
    return made.pod.place if isinstance(made, HostPod) else made.place


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
