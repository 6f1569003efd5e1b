"""Where the API server, the cluster's DNS and the nodes are, as far as the input says, and who gets there.

A place is a few doors: an address, a protocol, a port, behind whatever Service leads there, since policies see what
comes out of the translation. Whether a workload gets through a door is asked of `judge`, on both ends, so a profile
that reads Services another way is obeyed. Where the input does not say where a place is, the answer is "unknown", and
not "no", except for a workload that reaches everything, or nothing at all.

    API server   the endpoints of Service default/kubernetes; else, as likely, port 6443 of control-plane nodes
    cluster DNS  what Services named kube-dns, coredns, ... lead to; else pods labelled as DNS; the cache of nodes
"""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
from collections.abc import Iterable, Iterator

from outgate.analysis.on_condition import Conditional, asked_of_trace
from outgate.analysis.routes import routes_of
from outgate.model import Pod, Service, Snapshot
from outgate.packets import Address, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES
from outgate.policy import Endpoint, Flow, Judge, Origin, Rule, Trace
from outgate.policy.grid import Grid
from outgate.policy.rules import Action, BlockMatch
from outgate.records import dataclass

__all__ = [
    "NODE_CACHE",
    "Door",
    "DoorAsked",
    "Found",
    "Place",
    "Reach",
    "api_server",
    "asked_at",
    "cluster_dns",
    "cluster_dns_services",
    "distinct",
    "doors_of",
    "passage",
    "rules_through",
    "speaks_of",
]

_API_PORT = 6443
"""What kubeadm, and most who are not clouds, let the API server listen on."""

_DNS_SERVICES = {
    "kube-system": ("kube-dns", "coredns", "rke2-coredns-rke2-coredns", "kube-dns-upstream"),
    "openshift-dns": ("dns-default",),
}
_DNS_LABELS = {
    "kube-system": (
        *(("k8s-app", value) for value in ("kube-dns", "coredns")),
        *(("app.kubernetes.io/name", value) for value in ("coredns", "kube-dns")),
    ),
    "openshift-dns": (("dns.operator.openshift.io/daemonset-dns", "default"),),
}
_DNS_NUMBERS = (53, 5353)
NODE_CACHE = ipaddress.ip_address("169.254.20.10")
"""Where NodeLocal DNSCache listens on each node (kubernetes.io, "Using NodeLocal DNSCache")."""


class Found(enum.Enum):
    """How a place is known."""

    KNOWN = "known"
    LIKELY = "likely"
    UNKNOWN = "unknown"


class Reach(enum.Enum):
    """Whether a workload gets there."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Door:
    """One way in: who is there, and on which port. `dialled`: the Service's address and port in front of it."""

    end: Endpoint
    protocol: Protocol
    port: int
    dialled: tuple[Address, int] | None = None

    def __str__(self) -> str:
        there = f"[{self.end.address}]" if self.end.address.version == 6 else str(self.end.address)
        if self.end.pod is not None:
            there = str(self.end.pod)
        return f"{there}:{self.port}/{self.protocol.name}"


DoorAsked = tuple[Conditional, ...]
"""What each end asks of what goes through a door; empty where it is open."""


@dataclass(frozen=True, slots=True)
class Place:
    """All doors of one thing. `source` says where they were found, or what is missing."""

    found: Found
    doors: tuple[Door, ...]
    source: str


def api_server(snapshot: Snapshot) -> Place:
    """The API server of the cluster."""
    doors = tuple(_through("default", "kubernetes", snapshot))
    if doors:
        return Place(Found.KNOWN, doors, "the endpoints of Service default/kubernetes")
    nodes = [node for node in snapshot.nodes.values() if node.is_control_plane]
    doors = tuple(
        Door(Endpoint.at(snapshot, address), Protocol.TCP, _API_PORT) for node in nodes for address in node.addresses
    )
    if doors:
        return Place(Found.LIKELY, doors, f"port {_API_PORT} of the control-plane nodes")
    return Place(
        Found.UNKNOWN, (), "neither endpoints of Service default/kubernetes nor control-plane nodes are in the input"
    )


def cluster_dns_services(snapshot: Snapshot) -> tuple[Service, ...]:
    """The Services of the cluster's DNS that are in the input."""
    named = (snapshot.service(space, name) for space, names in _DNS_SERVICES.items() for name in names)
    return tuple(one for one in named if one is not None)


def cluster_dns(snapshot: Snapshot) -> Place:
    """The resolvers of the cluster."""
    named = [
        door for space, names in _DNS_SERVICES.items() for name in names for door in _through(space, name, snapshot)
    ]
    # Of the ports behind, those of DNS: the Service has them at 53; without it, the pods have them there or at 5353.
    doors = [door for door in named if (door.dialled[1] if door.dialled else door.port) in _DNS_NUMBERS]
    source = "what the DNS Services of the cluster lead to"
    if not doors:
        doors = list(_labelled(snapshot))
        source = "pods that are labelled as cluster DNS"
    if any(pod.labels.get("k8s-app") == "node-local-dns" for pod in snapshot.endpoints):
        cache = Endpoint.at(snapshot, NODE_CACHE)
        doors += [Door(cache, protocol, 53) for protocol in (Protocol.UDP, Protocol.TCP)]
    if doors:
        return Place(Found.KNOWN, tuple(doors), source)
    return Place(Found.UNKNOWN, (), "no cluster DNS is in the input")


def _through(namespace: str, name: str, snapshot: Snapshot) -> Iterator[Door]:
    """What a Service leads to; its slices alone where the Service itself is not in the input."""
    service = snapshot.service(namespace, name)
    if service is not None:
        yield from doors_of(snapshot, service)
        return
    for one in snapshot.slices:
        if (one.namespace, one.service) == (namespace, name):
            for end in one.endpoints:
                for port in one.ports:
                    for address in end.addresses[:1] if end.ready and port.port else ():
                        yield Door(Endpoint.at(snapshot, address), Protocol[port.protocol], port.port or 0)


def doors_of(snapshot: Snapshot, service: Service) -> Iterator[Door]:
    """What a Service leads to, dialled by its addresses within the cluster."""
    for route in routes_of(snapshot, service):
        dialled = None if route.address is None else (route.address, route.port)
        for backend in route.backends:
            end = Endpoint.at(snapshot, backend.address)
            if backend.pod is not None and not backend.pod.host_network:
                end = Endpoint(backend.address, backend.pod)
            yield Door(end, Protocol[route.protocol], backend.port, dialled)


def distinct(grid: Grid, doors: Iterable[Door]) -> Iterator[Door]:
    """One door of those behind which pods are treated alike: cluster DNS may have a pod on every node."""
    doors = tuple(doors)
    wanted = {door.end.pod.key for door in doors if door.end.pod is not None}
    kinds = {pod.key: number for number, pods in enumerate(grid.identities.pods) for pod in pods if pod.key in wanted}
    seen: set[object] = set()
    for door in doors:
        pod = door.end.pod
        who = door.end.address if pod is None else (kinds.get(pod.key, pod.key), door.end.address.version)
        kind = (who, door.protocol, door.port, door.dialled)
        if kind not in seen:
            seen.add(kind)
            yield door


def _labelled(snapshot: Snapshot) -> Iterator[Door]:
    for pod in snapshot.endpoints:
        if any(pod.labels.get(key) == value for key, value in _DNS_LABELS.get(pod.namespace, ())):
            yield from _listening(pod)


def _listening(pod: Pod) -> Iterator[Door]:
    """The ports of a pod that its names tell to be DNS (53, or 5353 on OpenShift); 53 where it names none."""
    named = {(one.protocol, one.port) for one in pod.ports if one.name in ("dns", "dns-tcp")}
    for family in FAMILIES:
        end = Endpoint.of_pod(pod, family)
        if end is not None:
            for protocol, port in sorted(named or {("UDP", 53), ("TCP", 53)}):
                yield Door(end, Protocol[protocol], port)


def passage(judge: Judge, pod: Pod, doors: Iterable[Door]) -> Iterator[tuple[Door, Trace]]:
    """What is judged at each door that a pod has an address for.

    The pod is taken to be on no node: what hangs on its node is not the workload's.
    """
    anywhere = dataclasses.replace(pod, node="")
    for door in doors:
        start = Endpoint.of_pod(anywhere, door.end.address.version)
        if start is not None:
            yield door, judge.judge(Flow(start, door.end, door.protocol, door.port, door.dialled))


def asked_at(door: Door, trace: Trace) -> DoorAsked:
    """What is asked of what passes a door."""
    return asked_of_trace(trace, TransportSet.ports(door.protocol, door.port))


def rules_through(judge: Judge, pod: Pod, door: Door, trace: Trace) -> Iterator[Origin]:
    """Every rule at either end that lets a pod through a door; `trace` has the first of each end."""
    for side, subject, peer in (
        (trace.egress, pod, door.end),
        (trace.ingress, door.end.pod, trace.flow.source),
    ):
        if side.decided_by is None or subject is None:
            continue
        yield side.decided_by
        decider = side.outcome.rule if side.outcome is not None else None
        for rule in judge.policies.isolation(subject, side.direction).every_rule() if decider is not None else ():
            # What a later tier says of it is not asked any more.
            beside = decider is not None and (rule.tier, rule.action) == (decider.tier, Action.ACCEPT)
            if beside and speaks_of(judge, rule, peer, door):
                yield rule.origin


def speaks_of(judge: Judge, rule: Rule, peer: Endpoint, door: Door) -> bool:
    """Whether a rule speaks of a connection with a peer through a door, whatever it says of it."""
    if rule.ports is not None and not rule.ports.numbers.contains(door.protocol, door.port):
        ports = door.end.pod.ports if door.end.pod is not None else ()
        mine = {(port.protocol, port.name) for port in ports if port.port == door.port}
        if not any((name.protocol.name, name.name) in mine for name in rule.ports.names):
            return False
    if rule.peers is None:
        return True
    selection = judge.policies.selection
    return any(
        selection.is_peer(
            match, peer.pod, isinstance(match, BlockMatch) and peer.address in match.addresses, on_node=peer.on_node
        )
        for match in rule.peers
    )
