"""Where a Service leads: its addresses and ports, and the backends behind each.

This is the translation that kube-proxy performs, as a pure function: `resolve` gives a `ServiceRoute` for each
address and port, `translate` answers for one packet. Policies are judged on what comes out (the backend's
address and port), and the lab's nodes perform exactly these routes.

EndpointSlices of the input are taken at their word, since they are what kube-proxy reads. Without one, the
endpoints are made from the selector as the endpoint slice controller makes them: ready pods, one address
for each family, and a named target port looked up on each pod by itself; a pod that has no port of that name
and protocol is no backend.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from outgate.model.objects import Address, EndpointSlice, Pod, Service, ServicePort, SliceEndpoint
from outgate.model.snapshot import Snapshot
from outgate.records import dataclass

__all__ = ["Backend", "ServiceRoute", "endpoint_addresses", "endpoints", "resolve", "translate"]


@dataclass(frozen=True, slots=True)
class Backend:
    """One end that a Service leads to. `pod` is None for an address that is no pod's of the input."""

    address: Address
    port: int
    pod: Pod | None = None


@dataclass(frozen=True, slots=True)
class ServiceRoute:
    """One port of a Service on one address, and the backends behind it.

    They are of the address's family, and of both where there is no one address. No backends: the Service exists
    and nobody is there; kube-proxy rejects such packets.
    """

    address: Address | None
    """None for a headless Service, whose backends are reached by their own addresses, and for a node port."""
    port: int
    protocol: str
    name: str
    backends: tuple[Backend, ...]
    external: bool = False
    """The address is one of ``externalIPs`` or of the load balancer."""
    node_port: bool = False
    """The port is one on each of the nodes' own addresses."""


def resolve(snapshot: Snapshot, service: Service) -> tuple[ServiceRoute, ...]:
    """Everything that a Service translates: for each port its cluster addresses, external ones, and the node port.

    An ExternalName translates nothing; it is a name for another name.
    """
    return () if service.external_name else tuple(_routes(snapshot, service))


def translate(snapshot: Snapshot, address: Address, protocol: str, port: int) -> ServiceRoute | None:
    """The route that a packet to that address and port takes; None where no Service claims it.

    A node port counts on every address of the snapshot's nodes; its backends are those of the address's family.
    """
    on_node = snapshot.node_of(address) is not None
    for service in snapshot.services:
        if on_node or address in service.cluster_ips or address in service.external_ips:
            for route in resolve(snapshot, service):
                meant = route.address == address or (on_node and route.node_port)
                if meant and (route.port, route.protocol) == (port, protocol):
                    same = tuple(end for end in route.backends if end.address.version == address.version)
                    return dataclasses.replace(route, backends=same)
    return None


def endpoints(snapshot: Snapshot, service: Service) -> tuple[SliceEndpoint, ...]:
    """The ready endpoints of a Service, whatever its ports: what a headless name resolves to.

    An endpoint from a slice has the pod's address of the lab where the slice names a pod that had none.
    """
    slices = _slices(snapshot, service)
    if slices:
        return tuple(dict.fromkeys(end for one in slices for end in _ready(snapshot, service, one)))
    return tuple(
        SliceEndpoint((address,), pod=pod.key, hostname=pod.hostname)
        for pod in snapshot.backends(service)
        for address in _by_family(pod)
    )


def endpoint_addresses(snapshot: Snapshot, service: Service) -> tuple[Address, ...]:
    """The addresses of these endpoints, of both families: what is answered for a headless name."""
    return tuple(address for end in endpoints(snapshot, service) for address in end.addresses)


def _routes(snapshot: Snapshot, service: Service) -> Iterator[ServiceRoute]:
    for one in service.ports:
        # Slices may repeat an end (services.k8s.io: "clients must be able to deduplicate"); it counts once.
        ends = tuple({(end.address, end.port): end for end in _backends(snapshot, service, one)}.values())
        if service.headless:
            yield ServiceRoute(None, one.port, one.protocol, one.name, ends)
            continue
        for address in dict.fromkeys((*service.cluster_ips, *service.external_ips)):
            same = tuple(end for end in ends if end.address.version == address.version)
            external = address not in service.cluster_ips
            yield ServiceRoute(address, one.port, one.protocol, one.name, same, external=external)
        if one.node_port:
            yield ServiceRoute(None, one.node_port, one.protocol, one.name, ends, node_port=True)


def _backends(snapshot: Snapshot, service: Service, port: ServicePort) -> Iterator[Backend]:
    slices = _slices(snapshot, service)
    for one in slices:
        # A slice's ports belong to the Service's by name (discovery/v1, EndpointPort.Name); one without a number
        # means all ports, which nothing can be translated to.
        numbers = [p.port for p in one.ports if (p.name, p.protocol) == (port.name, port.protocol) and p.port]
        for end in _ready(snapshot, service, one):
            pod = _pod_of(snapshot, end)
            yield from (Backend(end.addresses[0], number, pod) for number in numbers)
    if not slices:
        for pod in snapshot.backends(service):
            number = _target(pod, port)
            yield from (Backend(address, number, pod) for address in _by_family(pod) if number)


def _slices(snapshot: Snapshot, service: Service) -> tuple[EndpointSlice, ...]:
    mine = (service.namespace, service.name)
    return tuple(one for one in snapshot.slices if (one.namespace, one.service) == mine)


def _ready(snapshot: Snapshot, service: Service, one: EndpointSlice) -> Iterator[SliceEndpoint]:
    for end in one.endpoints:
        if end.addresses and (end.ready or service.publish_not_ready):
            yield _readdressed(snapshot, end)


def _readdressed(snapshot: Snapshot, end: SliceEndpoint) -> SliceEndpoint:
    """The endpoint with one address: its first, for all are alike ("fungible", discovery/v1, Endpoint.Addresses).

    Where it names a pod whose address the input leaves out, it is where that pod is.
    """
    first = end.addresses[0]
    pod = snapshot.pod(*end.pod) if end.pod else None
    if pod is not None and not pod.addressed:
        first = next((one for one in pod.addresses if one.version == first.version), first)
    return SliceEndpoint((first,), end.ready, end.pod, end.hostname)


def _pod_of(snapshot: Snapshot, end: SliceEndpoint) -> Pod | None:
    named = snapshot.pod(*end.pod) if end.pod else None
    return named or next(iter(snapshot.owners_of(end.addresses[0])), None)


def _by_family(pod: Pod) -> tuple[Address, ...]:
    """The pod's first address of each family."""
    return tuple({address.version: address for address in reversed(pod.addresses)}.values())[::-1]


def _target(pod: Pod, port: ServicePort) -> int:
    """The port on the pod; 0 where the pod has no port of that name and protocol."""
    if isinstance(port.target, int):
        return port.target or port.port
    named = (one.port for one in pod.ports if (one.name, one.protocol) == (port.target, port.protocol))
    return next(named, 0)
