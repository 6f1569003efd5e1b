"""Pods by the shortest way: from their type straight to the model, where nothing is wrong with them.

A cluster has a hundred thousand pods and a few thousand of everything else. A reader of text that can decode into
types hands a pod over as a `TypedPod`; what is plainly right about it becomes a `Pod` here, and for all else (a name
that is missing, a label or an address that is none) the answer is None, and the object takes the long way through
`outgate.model.parse_objects`, which knows the words. Tests hold that the two ways lead to the same pod.

The pods of one workload have the same labels, owner and ports, and share them here: the text of the labels and of the
owner references is looked up before it is decoded, and equal ports are kept once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from outgate.model.hints import ANNOTATIONS, Hints, hints_of
from outgate.model.labels import Labels
from outgate.model.objects import Address, ContainerPort, Owner, Pod
from outgate.model.parse_decode import plain_type
from outgate.model.parse_objects import PORT_PROTOCOLS, HostPod, top_owner
from outgate.model.parse_shapes import ENV, METADATA
from outgate.model.parse_types import STRING_MAP
from outgate.model.place import Document, Place
from outgate.model.validate import label_flaws
from outgate.model.validate_cidr import read_address
from outgate.model.validate_text import dns_label, dns_subdomain

__all__ = ["PodReader", "PodText", "TypedPod"]

_NOTHING = msgspec.Raw()


class _Struct(msgspec.Struct, gc=False):
    """A struct that the collector need not follow; the fields have their names in the text."""


class _Annotations(msgspec.Struct, gc=False, frozen=True):
    """`outgate.model.hints.ANNOTATIONS`; what else a pod is annotated with is not decoded."""

    networks: str = msgspec.field(default="", name=ANNOTATIONS[0])
    istio: str = msgspec.field(default="", name=ANNOTATIONS[1])
    linkerd: str = msgspec.field(default="", name=ANNOTATIONS[2])
    role: str = msgspec.field(default="", name=ANNOTATIONS[3])


_NO_ANNOTATIONS = _Annotations()


class _Metadata(_Struct):
    name: str = ""
    generateName: str = ""  # noqa: N815 - the name in the text, here and below
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""  # noqa: N815
    labels: msgspec.Raw = _NOTHING
    ownerReferences: msgspec.Raw = _NOTHING  # noqa: N815
    deletionTimestamp: str | msgspec.UnsetType = msgspec.UNSET  # noqa: N815
    annotations: _Annotations = _NO_ANNOTATIONS


class _Port(_Struct):
    containerPort: Annotated[int, msgspec.Meta(ge=-(1 << 31), le=(1 << 31) - 1)] | msgspec.UnsetType = (  # noqa: N815
        msgspec.UNSET
    )
    protocol: str = ""
    name: str = ""


class _Container(_Struct):
    name: str = ""
    env: msgspec.Raw = _NOTHING
    restartPolicy: str = ""  # noqa: N815
    ports: tuple[_Port, ...] = ()


class _Spec(_Struct):
    nodeName: str = ""  # noqa: N815
    hostNetwork: bool = False  # noqa: N815
    serviceAccountName: str = ""  # noqa: N815
    serviceAccount: str = ""  # noqa: N815
    automountServiceAccountToken: bool | msgspec.UnsetType = msgspec.UNSET  # noqa: N815
    hostname: str = ""
    subdomain: str = ""
    containers: tuple[_Container, ...] = ()
    initContainers: tuple[_Container, ...] = ()  # noqa: N815


class _Ip(_Struct):
    ip: str = ""


class _Condition(_Struct):
    type: str | None = None
    status: str | None = None


class _Status(_Struct):
    phase: str = ""
    podIP: str = ""  # noqa: N815
    podIPs: tuple[_Ip, ...] = ()  # noqa: N815
    hostIP: str = ""  # noqa: N815
    hostIPs: tuple[_Ip, ...] = ()  # noqa: N815
    conditions: tuple[_Condition, ...] = ()


class PodText(_Struct):
    """A pod with what the model takes of it, as `outgate.model.parse_shapes` has it; labels and owners are text."""

    kind: str | None = None
    apiVersion: str | None = None  # noqa: N815
    metadata: _Metadata | msgspec.UnsetType = msgspec.UNSET
    spec: _Spec | msgspec.UnsetType = msgspec.UNSET
    status: _Status | msgspec.UnsetType = msgspec.UNSET


@dataclass(slots=True, eq=False)
class TypedPod:
    """A pod read into its type. `document` has no value; `whole` reads the same text for the long way.

    What cannot be read at all `whole` reports, as the reader of text would have done, and yields nothing.
    """

    pod: PodText
    document: Document
    whole: Callable[[], Iterable[Document]]


_LABELS: msgspec.json.Decoder[dict[str, str]] = msgspec.json.Decoder(plain_type(STRING_MAP))
_OWNERS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(plain_type(METADATA.fields["ownerReferences"]))
_ENV: msgspec.json.Decoder[Any] = msgspec.json.Decoder(plain_type(ENV))
_NO_SPEC, _NO_STATUS = _Spec(), _Status()


class PodReader:
    """Reads pods, and remembers what they have in common."""

    def __init__(self, default_namespace: str) -> None:
        self._default_namespace = default_namespace
        self._kinds: dict[tuple[bytes, bytes], tuple[Labels, Owner | None] | None] = {}
        self._ports: dict[tuple[tuple[int, str, str], ...], tuple[ContainerPort, ...]] = {}
        self._hints: dict[tuple[object, ...], Hints | None] = {}
        self._names: dict[str, str] = {}
        self._good: set[str] = set()

    def read(self, text: PodText, place: Place) -> Pod | HostPod | None:
        """The pod; None where it must be looked at more closely."""
        metadata = text.metadata
        if metadata is msgspec.UNSET or not metadata.name or any(dns_subdomain(metadata.name)):
            return None
        kind = (bytes(metadata.labels), bytes(metadata.ownerReferences))
        try:
            shared = self._kinds[kind]
        except KeyError:
            shared = self._kinds[kind] = _shared(*kind)
        namespace = metadata.namespace or self._default_namespace
        if shared is None or not self._is_good(namespace, metadata.generateName):
            return None
        spec = _NO_SPEC if text.spec is msgspec.UNSET else text.spec
        status = _NO_STATUS if text.status is msgspec.UNSET else text.status
        addresses = _pod_addresses(status, host=spec.hostNetwork)
        hints = self._hints_of(metadata, spec)
        ports = self._container_ports(spec)
        if addresses is None or hints is None or ports is None:
            return None
        pod = Pod(
            self._names.setdefault(namespace, namespace),
            metadata.name,
            shared[0],
            addresses,
            self._names.setdefault(spec.nodeName, spec.nodeName),
            ports,
            spec.hostNetwork,
            status.phase in ("Succeeded", "Failed"),
            metadata.deletionTimestamp is msgspec.UNSET and _is_ready(status),
            shared[1],
            uid=metadata.uid,
            hostname=spec.hostname,
            subdomain=spec.subdomain,
            hints=hints,
            place=place,
        )
        return HostPod(pod) if spec.hostNetwork and not addresses else pod

    @property
    def remembered(self) -> int:
        """How many templates and the like are remembered, for who reads pods without an end."""
        return len(self._kinds) + len(self._ports) + len(self._hints) + len(self._names) + len(self._good)

    def _is_good(self, namespace: str, generated: str) -> bool:
        """Whether nothing is wrong with the namespace and the prefix of a name; most pods share theirs with others."""
        good = self._good
        if namespace not in good:
            if any(dns_label(namespace)):
                return False
            good.add(namespace)
        if generated and generated not in good:
            # Without the dash on which it ends a prefix must be a name (`identity_flaws` says why).
            if any(dns_subdomain(generated.removesuffix("-"))):
                return False
            good.add(generated)
        return True

    def _container_ports(self, spec: _Spec) -> tuple[ContainerPort, ...] | None:
        """As `outgate.model.parse_objects` counts them: sidecars run as long as the pod, other init containers not.

        None where one is no port at all.
        """
        ports = [port for container in spec.containers for port in container.ports]
        for container in spec.initContainers:
            if container.restartPolicy == "Always":
                ports += container.ports
        said = tuple(
            [
                (port.containerPort, port.protocol or "TCP", port.name)
                for port in ports
                if port.containerPort is not msgspec.UNSET
            ]
        )
        made = self._ports.get(said)
        if made is None:
            if not all(protocol in PORT_PROTOCOLS and 1 <= number <= 65535 for number, protocol, _ in said):
                return None
            made = self._ports[said] = tuple(ContainerPort(*one) for one in said)
        return made

    def _hints_of(self, metadata: _Metadata, spec: _Spec) -> Hints | None:
        """The hints; None where the environment is none. Environments are compared as text, and decoded once."""
        said = metadata.annotations
        key = (
            spec.serviceAccountName or spec.serviceAccount,
            spec.automountServiceAccountToken,
            None if said is _NO_ANNOTATIONS else (said.networks, said.istio, said.linkerd, said.role),
            tuple([(one.name, bytes(one.env)) for one in spec.containers]),
            tuple([(one.name, bytes(one.env), one.restartPolicy) for one in spec.initContainers])
            if spec.initContainers
            else (),
        )
        try:
            return self._hints[key]
        except KeyError:
            made = self._hints[key] = _hints(said, spec)
            return made


def _hints(said: _Annotations, spec: _Spec) -> Hints | None:
    given = (said.networks, said.istio, said.linkerd, said.role)
    made: dict[str, object] = {"serviceAccountName": spec.serviceAccountName or spec.serviceAccount}
    if spec.automountServiceAccountToken is not msgspec.UNSET:
        made["automountServiceAccountToken"] = spec.automountServiceAccountToken
    try:
        for field, many in (("containers", spec.containers), ("initContainers", spec.initContainers)):
            made[field] = [
                {
                    "name": one.name,
                    "restartPolicy": one.restartPolicy,
                    "env": _ENV.decode(one.env) if bytes(one.env) else [],
                }
                for one in many
            ]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return hints_of({"annotations": dict(zip(ANNOTATIONS, given, strict=True))}, made)


def _shared(labels: bytes, owners: bytes) -> tuple[Labels, Owner | None] | None:
    """The labels and the owner of pods with these texts; None where something is wrong with them."""
    try:
        decoded = _LABELS.decode(labels) if labels else {}
        metadata = {"labels": decoded, "ownerReferences": _OWNERS.decode(owners) if owners else []}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if any(True for _ in label_flaws(decoded, ())) else (decoded, top_owner(metadata))


def _pod_addresses(status: _Status, *, host: bool) -> tuple[Address, ...] | None:
    """The addresses, looked for where the long way looks and in its order; None where one is none."""
    found = _addresses(status.podIP, status.podIPs)
    return _addresses(status.hostIP, status.hostIPs) if host and found == () else found


def _addresses(one: str, many: tuple[_Ip, ...]) -> tuple[Address, ...] | None:
    found: list[Address] = []
    for text in [entry.ip for entry in many if entry.ip] or ([one] if one else []):
        address = read_address(text)
        if address is None:
            return None
        found.append(address)
    return _distinct(found)


def _distinct(found: list[Address]) -> tuple[Address, ...]:
    if len(found) < 2 or (len(found) == 2 and found[0].version != found[1].version):
        return tuple(found)
    return tuple(dict.fromkeys(found))


def _is_ready(status: _Status) -> bool:
    """The condition Ready, of a pod that is not ending."""
    for one in status.conditions:
        if one.type == "Ready":
            return one.status == "True"
    return not status.conditions
