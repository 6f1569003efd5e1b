"""The API objects, cut down to the fields that decide about traffic.

They are values: frozen, compared without their places, defaulted as the API server would have
stored them. `None` and an empty tuple mean different things only where the API says so; where it
does not (a null, an absent and an empty list are one to the server), the empty tuple stands for all.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Mapping
from dataclasses import field

from outgate.model.hints import NO_HINTS, Hints
from outgate.model.labels import EVERYTHING, Labels, LabelSelector
from outgate.model.place import NOWHERE, Place
from outgate.records import dataclass

__all__ = [
    "CLUSTER_DOMAIN",
    "OWN_PREFIX",
    "Address",
    "Binding",
    "BlockPeer",
    "Called",
    "Callout",
    "Container",
    "ContainerPort",
    "Direction",
    "EndpointSlice",
    "Ingress",
    "Namespace",
    "Network",
    "NetworkPolicy",
    "Node",
    "Owner",
    "Peer",
    "Pod",
    "PodPeer",
    "PolicyPort",
    "PolicyRule",
    "Service",
    "ServiceAccount",
    "ServicePort",
    "SliceEndpoint",
    "SlicePort",
    "Workload",
]

_CONTROL_PLANE = frozenset({"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"})

CLUSTER_DOMAIN = "cluster.local"
"""What the names of cluster DNS end with: the kubelet's default, and nothing in manifests says another."""
OWN_PREFIX = "outgate.dev/"
"""What the keys of our own annotations and labels begin with."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Direction(enum.Enum):
    """Egress first, always: it is the order in which a packet meets them."""

    EGRESS = "Egress"
    INGRESS = "Ingress"


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A port that a container declares. `name` is empty where none is given."""

    port: int
    protocol: str = "TCP"
    name: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """The workload that a pod belongs to: the controlling owner, a ReplicaSet followed to its Deployment."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace. ``kubernetes.io/metadata.name`` is always among the labels, as the server sets it."""

    name: str
    labels: Labels = field(default_factory=dict)
    declared: bool = True
    """False where no Namespace object was in the input and only the name is known."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Those that begin with ``outgate.dev/``."""
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, or the pod that a workload's template would make (`assumed`)."""

    namespace: str
    name: str
    labels: Labels = field(default_factory=dict)
    addresses: tuple[Address, ...] = ()
    """``status.podIPs``; for an assumed or pending pod, a stand-in that no real network uses (see Snapshot)."""
    node: str = ""
    ports: tuple[ContainerPort, ...] = ()
    host_network: bool = False
    finished: bool = False
    """Phase Succeeded or Failed: no longer an endpoint, and its address may belong to somebody else."""
    ready: bool = True
    owner: Owner | None = None
    assumed: bool = False
    """Made from a workload's template because the input has no pod of it."""
    addressed: bool = True
    """False where `addresses` are stand-ins and not what the cluster said."""
    uid: str = ""
    hostname: str = ""
    subdomain: str = ""
    hints: Hints = NO_HINTS
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name): unique in a snapshot."""
        return self.namespace, self.name

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a template, as far as it tells how the network works (see `outgate.model.switches`)."""

    name: str = ""
    image: str = ""
    """The last step of the image's name, with its tag: where it comes from says nothing here. Known ones only."""
    switches: tuple[str, ...] = ()
    """Of its arguments the known ones, as ``--name=value``."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob: a template of pods."""

    kind: str
    namespace: str
    name: str
    labels: Labels = field(default_factory=dict)
    """The labels of the pod template."""
    ports: tuple[ContainerPort, ...] = ()
    host_network: bool = False
    replicas: int = 1
    owner: Owner | None = None
    node: str = ""
    hints: Hints = NO_HINTS
    containers: tuple[Container, ...] | None = None
    """Those of a DaemonSet or a Deployment of which something is known by name; None where the input says nothing."""
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Node:
    """A node. `addresses` are its InternalIP and ExternalIP entries."""

    name: str
    labels: Labels = field(default_factory=dict)
    addresses: tuple[Address, ...] = ()
    pod_cidrs: tuple[Network, ...] = ()
    place: Place = field(default=NOWHERE, compare=False, repr=False)
    kubelet: str = ""
    """``status.nodeInfo.kubeletVersion``; like the others of this object empty where it does not say."""
    kernel: str = ""
    system: str = ""
    """``status.nodeInfo.operatingSystem``: linux or windows."""
    switches: tuple[str, ...] | None = None
    """How a k3s server was started, as far as it is known; None where nothing is."""

    @property
    def is_control_plane(self) -> bool:
        """Whether a label of its role says that the API server runs here."""
        return not _CONTROL_PLANE.isdisjoint(self.labels)


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service. `target` is the number or the name judged on the pod; defaulted to `port`."""

    port: int
    protocol: str = "TCP"
    target: int | str = 0
    name: str = ""
    node_port: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """A Service. `cluster_ips` is empty for a headless one and for an ExternalName."""

    namespace: str
    name: str
    cluster_ips: tuple[Address, ...] = ()
    selector: Labels | None = None
    """None where the Service has no selector: its endpoints come from slices that somebody else keeps."""
    ports: tuple[ServicePort, ...] = ()
    headless: bool = False
    external_name: str = ""
    external_ips: tuple[Address, ...] = ()
    """``spec.externalIPs`` and ``status.loadBalancer.ingress[].ip``."""
    publish_not_ready: bool = False
    labels: Labels = field(default_factory=dict)
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def dns_name(self) -> str:
        """Its whole name in cluster DNS ("Kubernetes DNS-Based Service Discovery", 2.3)."""
        return f"{self.name}.{self.namespace}.svc.{CLUSTER_DOMAIN}"


@dataclass(frozen=True, slots=True)
class SliceEndpoint:
    """One endpoint of a slice."""

    addresses: tuple[Address, ...]
    ready: bool = True
    pod: tuple[str, str] | None = None
    hostname: str = ""


@dataclass(frozen=True, slots=True)
class SlicePort:
    """One port of a slice: the number on the endpoint. None where the slice means all ports."""

    port: int | None
    protocol: str = "TCP"
    name: str = ""


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """discovery.k8s.io/v1 EndpointSlice, or one subset of a core/v1 Endpoints."""

    namespace: str
    name: str
    service: str
    """The label ``kubernetes.io/service-name``; empty where it is missing."""
    endpoints: tuple[SliceEndpoint, ...] = ()
    ports: tuple[SlicePort, ...] = ()
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Ingress:
    """networking.k8s.io/v1 Ingress, as far as it says which Services its controller sends to.

    Hosts, paths and TLS decide which request goes where; for traffic it counts that some do.
    """

    namespace: str
    name: str
    class_name: str = ""
    """``spec.ingressClassName``; empty where the cluster's default class is meant."""
    backends: tuple[tuple[str, int | str], ...] = ()
    """Services of the same namespace, each with the number or the name of one of its ports: no two alike."""
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A ServiceAccount: whose token pods get, and what a cloud knows it as."""

    namespace: str
    name: str
    token: bool | None = None
    """``automountServiceAccountToken``; what a pod says itself comes first, and without either it gets one."""
    identities: tuple[tuple[str, str], ...] = ()
    """The annotations that make it an account of a cloud."""
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Binding:
    """A RoleBinding, or a ClusterRoleBinding (`namespace` is empty): who may do what a role says."""

    kind: str
    namespace: str
    name: str
    role: tuple[str, str] = ("", "")
    """Kind and name."""
    accounts: tuple[tuple[str, str], ...] = ()
    """The subjects that are ServiceAccounts: namespace and name."""
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Called:
    """A Service that the API server calls, and where that is said."""

    namespace: str
    service: str
    port: int = 443
    needed: bool = True
    """Without an answer the API server refuses what it was asked to do (``failurePolicy: Fail``, the default)."""
    name: str = ""
    """The name of the webhook."""
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Callout:
    """What makes the API server call Services of the cluster: a webhook configuration, or an APIService."""

    kind: str
    name: str
    called: tuple[Called, ...] = ()
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class PodPeer:
    """A peer by selectors. At least one of the two is given.

    `namespaces` None: the policy's own namespace. `pods` None: no constraint on the pod.
    """

    pods: LabelSelector | None
    namespaces: LabelSelector | None
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class BlockPeer:
    """A peer by addresses; `excepts` are taken out of this block and of no other."""

    cidr: Network
    excepts: tuple[Network, ...] = ()
    place: Place = field(default=NOWHERE, compare=False, repr=False)


Peer = PodPeer | BlockPeer


@dataclass(frozen=True, slots=True)
class PolicyPort:
    """One entry of ``ports``. `port` None: every port of the protocol. `end_port` is inclusive."""

    protocol: str = "TCP"
    port: int | str | None = None
    end_port: int | None = None
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One ingress or egress rule. No peers: any peer. No ports: any port of any protocol."""

    peers: tuple[Peer, ...] = ()
    ports: tuple[PolicyPort, ...] = ()
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """networking.k8s.io/v1 NetworkPolicy, defaulted.

    `types` is what ``policyTypes`` means after defaulting; a section whose type is not among them is
    kept here and has no effect.
    """

    namespace: str
    name: str
    pods: LabelSelector = EVERYTHING
    types: frozenset[Direction] = frozenset({Direction.INGRESS})
    egress: tuple[PolicyRule, ...] = ()
    ingress: tuple[PolicyRule, ...] = ()
    uid: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    api_version: str = "networking.k8s.io/v1"
    kind: str = "NetworkPolicy"
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    def rules(self, direction: Direction) -> tuple[PolicyRule, ...]:
        """The section of one direction, whether or not `types` makes it count."""
        return self.egress if direction is Direction.EGRESS else self.ingress

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
