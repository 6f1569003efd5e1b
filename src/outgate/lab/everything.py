"""The flows that are probed when nobody names any: everything that the policies could mean.

    pods       every ordered pair, on every port that somebody mentions and one that nobody does, and an ICMP echo
    blocks     for each address block: inside, in each exception, just outside
    internet   an address that no policy mentions; the metadata addresses of clouds
    services   every port of every cluster address; every name, asked of the DNS server and then dialled
    nodes      the pod's own and another; and the world, towards the pods

Both families, wherever both ends have an address of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from outgate.lab.names import DNS_PORT, Zone, dns_services, service_name
from outgate.lab.outside import METADATA, METADATA_PORT, Outside, Position, blocks
from outgate.lab.plan import Draft, Plan, Planner, Via
from outgate.lab.ports import Ports, Transport
from outgate.lab.topology import Topology
from outgate.model import AnyRule, Direction, Pod, Policy, Service, Snapshot
from outgate.model.cilium import NameMatch
from outgate.model.cluster_policy import NamePeer
from outgate.model.objects import Address
from outgate.model.services import Backend, ServiceRoute, resolve
from outgate.packets import Protocol
from outgate.policy import Endpoint, Judge, Policies

__all__ = ["Scope", "plan_everything", "planner"]

_ECHO = {4: Protocol.ICMP, 6: Protocol.ICMPV6}
_HTTPS: Transport = (Protocol.TCP, 443)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is asked for beside the snapshot."""

    families: tuple[int, ...] = (4, 6)
    names: Mapping[str, Sequence[Address]] | None = None
    """Names outside the cluster, and their addresses."""
    namespace: str | None = None
    """Only flows with a pod of this namespace at one end."""


def planner(topology: Topology, policies: Policies, zone: Zone) -> Planner:
    """An empty plan for a lab, which knows its DNS servers: those behind the DNS Service, else pods labelled so."""
    snapshot = policies.snapshot
    behind: dict[int, tuple[Address, tuple[tuple[Address, int], ...]]] = {}
    listening: set[tuple[Address, Protocol, int]] = set()
    routes = [route for service in reversed(dns_services(snapshot)) for route in resolve(snapshot, service)]
    for route in routes or _dns_pods(snapshot):
        ends = _ends_of(route)
        if route.port != DNS_PORT or route.external or route.node_port or not ends:
            continue
        listening.update((address, Protocol[route.protocol], port) for address, port in ends)
        if route.protocol == "UDP":
            for version in (4, 6):
                same = tuple(end for end in ends if end[0].version == version)
                server = route.address or (same[0][0] if same else None)
                if same and server is not None and server.version == version:
                    behind[version] = (server, same)
    return Planner(topology, Judge(policies), behind, frozenset(listening), zone)


def _dns_pods(snapshot: Snapshot) -> Iterator[ServiceRoute]:
    """Pods that call themselves DNS servers, as kubeadm and kind label theirs, where the input has no Service for them.

    Clients ask the first of them; all of them answer.
    """
    pods = [pod for pod in snapshot.endpoints if pod.labels.get("k8s-app") == "kube-dns"]
    for pod in reversed(pods):
        ends = tuple(Backend(address, DNS_PORT, pod) for address in pod.addresses)
        yield from (ServiceRoute(None, DNS_PORT, protocol, "", ends) for protocol in ("UDP", "TCP"))


def plan_everything(topology: Topology, policies: Policies, zone: Zone, scope: Scope) -> Plan:
    """The whole plan for a lab.

    Raises:
        TooComplex: it would be too large.
    """
    made = planner(topology, policies, zone)
    everything = _Everything(topology, policies, zone, scope, made)
    parts = (
        everything.pairs(),
        everything.services(),
        everything.names(),
        everything.metadata(),
        everything.blocks(),
        everything.internet(),
        everything.nodes(),
        everything.inbound(),
    )
    for part in parts:
        made.add(part if scope.namespace is None else _concerning(scope.namespace, part, made))
    return Plan(tuple(made.probes), tuple(dict.fromkeys(everything.notes)), everything.ports.unmentioned)


class _Everything:
    def __init__(self, topology: Topology, policies: Policies, zone: Zone, scope: Scope, made: Planner) -> None:
        self.topology, self.zone, self.scope, self.made = topology, zone, scope, made
        self.snapshot: Snapshot = policies.snapshot
        self.pods: tuple[Pod, ...] = self.snapshot.endpoints
        self.ports = Ports(policies)
        self.outside = Outside(self.snapshot, topology.world.addresses)
        self.selection = policies.selection
        self.notes: list[str] = []

    def pairs(self) -> Iterator[Draft]:
        """Every pod to every pod by address; to itself once."""
        for source in self.pods:
            for destination in self.pods:
                ports = self.ports.between(source, destination)
                for one, other in self._ends(source, destination):
                    if source is destination or one.address == other.address:
                        for protocol, port in ports[:1]:
                            yield Draft(one, other.address, protocol, port, Via.POD)
                        continue
                    for protocol, port in ports:
                        yield Draft(one, other.address, protocol, port, Via.POD)
                    yield Draft(one, other.address, _ECHO[other.address.version], 0, Via.POD)

    def services(self) -> Iterator[Draft]:
        """Every pod to every port of every cluster address."""
        for service in self.snapshot.services:
            for route in resolve(self.snapshot, service):
                if route.address is None or route.external or route.address.version not in self.scope.families:
                    continue
                ends = _ends_of(route)
                if not ends:
                    self.notes.append(f"service {service} port {route.port} has no endpoints and is not probed")
                    continue
                for pod in self.pods:
                    if source := self._end(pod, route.address.version):
                        protocol = Protocol[route.protocol]
                        yield Draft(source, route.address, protocol, route.port, Via.SERVICE, ends, str(service))

    def names(self) -> Iterator[Draft]:
        """Every pod to the first port of every Service by name, and to the names given by hand."""
        if not self.made.dns:
            if self.snapshot.services or self.scope.names:
                self.notes.append(
                    "no DNS server: kube-system has no Service on port 53 with ready pods, and no pod is labelled "
                    "k8s-app=kube-dns, so names are not probed"
                )
            return
        for service in self.snapshot.services:
            yield from self._service_name(service)
        for name in sorted(self.scope.names or {}):
            for pod in self.pods:
                for version in self.scope.families:
                    if (source := self._asker(pod, version)) and (found := self._resolved(name, version)):
                        for protocol, port in self._ports_for(pod, found[0]):
                            yield Draft(source, found[0], protocol, port, Via.NAME, name=name.rstrip(".").lower())

    def _service_name(self, service: Service) -> Iterator[Draft]:
        routes = [one for one in resolve(self.snapshot, service) if not one.external and not one.node_port]
        name = service_name(service)
        if not routes or not routes[0].backends:
            return
        first = routes[0]
        for version in self.scope.families:
            found = self._resolved(name, version)
            # A headless name leads to the pods themselves: the client dials the port of the Service there.
            same = [one for one in routes if one.port == first.port and one.address in (None, *found)]
            ends = () if first.address is None else tuple(end for one in same[:1] for end in _ends_of(one))
            if not found or not same or (first.address is not None and not ends):
                continue
            address = found[0] if first.address is None else same[0].address or found[0]
            for pod in self.pods:
                if source := self._asker(pod, version):
                    yield Draft(
                        source, address, Protocol[first.protocol], first.port, Via.NAME, ends, str(service), name
                    )

    def metadata(self) -> Iterator[Draft]:
        """Every pod to the metadata addresses."""
        for address in METADATA:
            for source in self._sources(address.version):
                yield Draft(source, address, Protocol.TCP, METADATA_PORT, Via.ADDRESS, reason="metadata service")

    def blocks(self) -> Iterator[Draft]:
        """The addresses of egress blocks: from the pods that their policy selects; what is inside, from every pod."""
        for policy, rule in self._rules(Direction.EGRESS):
            for point in self.outside.points(policy, rule):
                if point.address.version not in self.scope.families:
                    continue
                for pod in self.pods:
                    selected = policy in self.selection.about(pod, Direction.EGRESS)
                    if not selected and point.position is not Position.INSIDE:
                        continue
                    if source := self._end(pod, point.address.version):
                        for protocol, port in self.ports.of_rule(rule):
                            yield Draft(source, point.address, protocol, port, Via.ADDRESS, reason=str(point))

    def internet(self) -> Iterator[Draft]:
        """Every pod to an address that nobody mentions."""
        for version in self.scope.families:
            address = self.outside.internet(version)
            if address is not None:
                for source in self._sources(version):
                    yield Draft(source, address, *_HTTPS, Via.ADDRESS, reason="no policy mentions it")

    def nodes(self) -> Iterator[Draft]:
        """Every pod to its own node and to another, and those nodes to the pod."""
        boxes = tuple(self.topology.nodes)
        for pod in self.pods:
            if pod.host_network:
                continue
            other = next((name for name in boxes if name != pod.node), None)
            for name in filter(None, (pod.node, other)):
                for version in self.scope.families:
                    end = Endpoint.of_node(self.snapshot.nodes[name], version)
                    source = self._end(pod, version)
                    if end is None or source is None:
                        continue
                    for protocol, port in self.ports.leaving(pod):
                        yield Draft(source, end.address, protocol, port, Via.NODE)
                    for protocol, port in self.ports.between(None, pod)[:2]:
                        yield Draft(end, source.address, protocol, port, Via.POD)

    def inbound(self) -> Iterator[Draft]:
        """The world to every pod, also from the addresses that ingress blocks name."""
        for pod in self.pods:
            if pod.host_network:
                continue
            for address in self.topology.world.addresses:
                yield from self._from_outside(address, pod, self.ports.between(None, pod), "")
        for policy, rule in self._rules(Direction.INGRESS):
            for point in self.outside.points(policy, rule):
                for pod in self.pods:
                    if policy in self.selection.about(pod, Direction.INGRESS):
                        yield from self._from_outside(point.address, pod, self.ports.of_rule(rule, pod), str(point))

    def _from_outside(self, address: Address, pod: Pod, ports: Iterable[Transport], reason: str) -> Iterator[Draft]:
        if end := self._end(pod, address.version):
            for protocol, port in ports:
                yield Draft(Endpoint(address), end.address, protocol, port, Via.POD, reason=reason)

    def _rules(self, direction: Direction) -> Iterator[tuple[Policy, AnyRule]]:
        for policy in self.snapshot.every_policy:
            if direction in policy.types:
                for rule in policy.rules(direction):
                    if any(blocks(rule)):
                        yield policy, rule

    def _ports_for(self, pod: Pod, address: Address) -> list[Transport]:
        """HTTPS, and the ports of what the pod's policies say of the address by block, and of any name."""
        found = {_HTTPS}
        for policy in self.selection.about(pod, Direction.EGRESS):
            for rule in policy.rules(Direction.EGRESS):
                by_name = any(isinstance(peer, NameMatch | NamePeer) for peer in rule.peers or ())
                if by_name or any(address in peer.cidr for peer in blocks(rule)):
                    found.update(one for one in self.ports.of_rule(rule) if one[1] != self.ports.unmentioned)
        return sorted(found)

    def _resolved(self, name: str, version: int) -> list[Address]:
        return sorted(one for one in self.zone.resolve(name) if one.version == version)

    def _asker(self, pod: Pod, version: int) -> Endpoint | None:
        """A pod that can ask for names, by its address of a family."""
        source = self._end(pod, version)
        return source if source is not None and self.made.resolver(source) is not None else None

    def _sources(self, version: int) -> Iterator[Endpoint]:
        for pod in self.pods:
            if source := self._end(pod, version):
                yield source

    def _end(self, pod: Pod, version: int) -> Endpoint | None:
        if version not in self.scope.families:
            return None
        end = Endpoint.of_pod(pod, version)
        if end is None or not pod.host_network:
            return end
        return Endpoint(end.address, pod, self.snapshot.nodes.get(pod.node))

    def _ends(self, source: Pod, destination: Pod) -> Iterator[tuple[Endpoint, Endpoint]]:
        for version in self.scope.families:
            one, other = self._end(source, version), self._end(destination, version)
            if one is not None and other is not None:
                yield one, other


def _concerning(namespace: str, drafts: Iterable[Draft], made: Planner) -> Iterator[Draft]:
    """The drafts with a pod of the namespace at one end."""
    for draft in drafts:
        ends = (draft.source, *(made.endpoint(one) for one, _ in draft.ends or ((draft.address, 0),)))
        if any(end.pod is not None and end.pod.namespace == namespace for end in ends):
            yield draft


def _ends_of(route: ServiceRoute) -> tuple[tuple[Address, int], ...]:
    return tuple((end.address, end.port) for end in route.backends)
