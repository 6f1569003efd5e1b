"""Where one pod may go: the edges of its egress, coarse enough to be looked at.

An edge leads to a workload (or a pod that belongs to none), or to a part of the address space: the coarsest partition
that the pod's policies make, split by nothing else. What is denied is drawn where it tells something: workloads that
cannot be reached at all, the metadata address of the clouds, and the rest of the addresses.

An edge to a workload carries the ports that pass to *each* of its pods, by an address of either family. DNS names that
rules open are destinations too, wherever they lead. What is asked of ports beyond their numbers, an edge says as
the list of connections does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import replace

from outgate.analysis.asking import Asking
from outgate.analysis.blocks import beyond_the_cluster
from outgate.analysis.connections import Connections, External, Party
from outgate.analysis.lookup import PodsTarget
from outgate.analysis.on_condition import Asked
from outgate.analysis.opened import Named
from outgate.analysis.ports import PairPorts, pair_ports
from outgate.errors import TooComplex
from outgate.model import Direction, Pod, Snapshot
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.packets.addresses import FAMILIES
from outgate.policy import Endpoint, Judge
from outgate.policy.grid import Grid
from outgate.records import dataclass

__all__ = ["METADATA", "Edge", "EgressGraph", "Outside", "egress_graph"]

METADATA = ipaddress.ip_address("169.254.169.254")
"""Where AWS, Azure, GCP and OpenStack hand credentials to whoever asks."""

MOST_PAIRS = 50_000
"""Pairs of pods behind one picture; about ten seconds."""
MOST_DENIED = 12
"""Denied workloads that are drawn; the others are counted."""

_GOVERNED = TransportSet.governed()


@dataclass(frozen=True, slots=True)
class Outside:
    """A part of the addresses outside. `name` where people know it by one."""

    addresses: AddressSet
    name: str = ""
    rest: bool = False
    """Whether this is all that no other edge speaks of."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One destination and what passes to it. Empty `transports`: denied, at the end `denied_at` (None: at both)."""

    destination: PodsTarget | Outside | Named
    transports: TransportSet
    denied_at: Direction | None = None
    """Which end denies everything; None where both let something pass and nothing passes both."""
    asked: tuple[Asked, ...] = ()
    """What is asked of some of it, of some of the pods at least."""

    @property
    def allowed(self) -> bool:
        """Whether any connection can be made."""
        return bool(self.transports & _GOVERNED)


@dataclass(frozen=True, slots=True)
class EgressGraph:
    """The picture: allowed edges first, each part by namespace and name."""

    subject: PodsTarget
    isolated: bool
    """Whether any policy selects the subject for egress."""
    edges: tuple[Edge, ...]
    left_out: int = 0
    """Denied workloads that are not drawn."""


def egress_graph(judge: Judge, subject: PodsTarget) -> EgressGraph:
    """The egress of a pod or workload. Raises TooComplex where too many pairs of pods would have to be asked."""
    snapshot = judge.policies.snapshot
    groups = _groups(snapshot, subject)
    if len(subject.pods) * sum(len(group.pods) for group in groups) > MOST_PAIRS:
        raise TooComplex(f"more than {MOST_PAIRS:,} pairs of pods", hint="draw one pod of the workload")
    inside = [_to_group(judge, subject.pods, group) for group in groups]
    outside = list(_to_outside(judge, subject.pods))
    denied = sorted((edge for edge in inside if not edge.allowed), key=_is_ordinary)
    above = _Above.of(judge, subject)
    edges = [
        *(above.asking(edge) for edge in inside if edge.allowed),
        *(above.asking(edge) for edge in outside if edge.allowed),
        *above.names(),
        *denied[:MOST_DENIED],
        *(edge for edge in outside if not edge.allowed),
    ]
    isolated = any(judge.policies.decision(pod, Direction.EGRESS).governed for pod in subject.pods)
    return EgressGraph(subject, isolated, tuple(edges), max(0, len(denied) - MOST_DENIED))


class _Above:
    """What the list of connections says of a subject above addresses and ports; made only where a policy may ask."""

    def __init__(self, found: Connections | None, subject: PodsTarget) -> None:
        self._found = found
        self._groups = () if found is None else found.of_pods(pod.key for pod in subject.pods)
        self._asking = None if found is None else Asking(found)

    @classmethod
    def of(cls, judge: Judge, subject: PodsTarget) -> _Above:
        snapshot = judge.policies.snapshot
        asks = bool(snapshot.cilium_policies or snapshot.cluster_policies)
        return cls(Connections(Grid(judge.policies)) if asks else None, subject)

    def asking(self, edge: Edge) -> Edge:
        """The edge, with what is asked of it."""
        if self._found is None or self._asking is None:
            return edge
        there: Iterable[Party] = ()
        match edge.destination:
            case PodsTarget(pods=pods):
                there = self._found.of_pods(pod.key for pod in pods)
            case Outside(addresses=addresses):
                there = (External(addresses),)
        return replace(edge, asked=self._between(there, edge.transports))

    def names(self) -> Iterator[Edge]:
        """The names that are open for each of the pods, on the ports that are for each."""
        opened: dict[Named, list[TransportSet]] = {}
        for group in self._groups if self._found is not None else ():
            for line in self._found.to_names(group):  # type: ignore[union-attr]  # as the line above says
                opened.setdefault(line.destination, []).append(line.transports)  # type: ignore[arg-type]  # they are names
        for named, many in opened.items():
            everywhere = TransportSet.any()
            for transports in many:
                everywhere &= transports
            if len(many) == len(self._groups) and everywhere & _GOVERNED:
                yield Edge(named, everywhere, asked=self._between((named,), everywhere))

    def _between(self, there: Iterable[Party], transports: TransportSet) -> tuple[Asked, ...]:
        assert self._asking is not None, "asked only where there is a list"
        asked = (one for end in there for group in self._groups for one in self._asking(group, end, transports))
        return tuple(dict.fromkeys(asked))


def _is_ordinary(edge: Edge) -> bool:
    """False for cluster DNS, which is drawn first: without it nothing else is found."""
    pods = edge.destination.pods if isinstance(edge.destination, PodsTarget) else ()
    return not any(pod.labels.get("k8s-app") == "kube-dns" for pod in pods)


def _groups(snapshot: Snapshot, subject: PodsTarget) -> list[PodsTarget]:
    """Everybody else: each workload, and each pod that belongs to none."""
    own = {pod.key for pod in subject.pods}
    members: dict[tuple[str, str, str], list[Pod]] = {}
    for pod in snapshot.endpoints:
        if pod.key not in own:
            key = (pod.namespace, pod.owner.name, pod.owner.kind) if pod.owner else (pod.namespace, pod.name, "Pod")
            members.setdefault(key, []).append(pod)
    return [PodsTarget(kind, namespace, name, tuple(pods)) for (namespace, name, kind), pods in sorted(members.items())]


def _to_group(judge: Judge, sources: tuple[Pod, ...], group: PodsTarget) -> Edge:
    pairs: list[PairPorts] = []
    everywhere = TransportSet.any()
    for source in sources:
        for pod in group.pods:
            # By an address of either family, as on the list; two pods with none in common cannot talk.
            mine = [pair_ports(judge, start, end) for start, end in _ends(source, pod)]
            passing = TransportSet()
            for pair in mine:
                passing |= pair.allowed
            everywhere &= passing
            pairs += mine
    return Edge(group, everywhere, None if everywhere & _GOVERNED else _denied_at(pairs))


def _ends(source: Pod, destination: Pod) -> Iterator[tuple[Endpoint, Endpoint]]:
    """The two by their addresses of each family that both have."""
    for family in FAMILIES:
        start, end = Endpoint.of_pod(source, family), Endpoint.of_pod(destination, family)
        if start is not None and end is not None:
            yield start, end


def _denied_at(pairs: Iterable[PairPorts]) -> Direction | None:
    for pair in pairs:
        for direction in Direction:
            if not pair.side(direction) & _GOVERNED:
                return direction
    return None


def _to_outside(judge: Judge, sources: tuple[Pod, ...]) -> Iterator[Edge]:
    allowed = PacketSet.any()
    for pod in sources:
        allowed &= beyond_the_cluster(judge, pod, Direction.EGRESS)
    metadata = allowed.transports(METADATA)
    parts = [(addresses, transports) for addresses, transports in allowed if transports & _GOVERNED]
    parts.sort(key=lambda part: (part[0].size(), part[0].cidrs()))
    for addresses, transports in parts:
        yield Edge(Outside(addresses, rest=addresses == AddressSet.any()), transports)
    denied = AddressSet.any() - AddressSet.union_of(addresses for addresses, _ in parts)
    if denied or len(parts) > 1:
        at = None if metadata & _GOVERNED else Direction.EGRESS
        yield Edge(Outside(AddressSet.of((METADATA,)), "metadata service"), metadata & _GOVERNED, at)
    if denied and denied != AddressSet.of((METADATA,)):
        yield Edge(Outside(denied, rest=True), TransportSet(), Direction.EGRESS)
