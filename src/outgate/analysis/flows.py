"""From the ends of a question to the flows that policies judge.

A flow has one source address and one destination address. A workload has many; a Service is none at all: the
node translates its address to one of the endpoints behind it *before* policy looks (docs/decisions/0003), so a
question about a Service is a question about each of its endpoints. Where nothing can answer behind a Service
there is no flow to judge, only a `failure`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.analysis.lookup import (
    AddressTarget,
    BlockTarget,
    NameTarget,
    NodeTarget,
    PodsTarget,
    ServiceTarget,
    Target,
)
from outgate.analysis.routes import routes_of
from outgate.analysis.targets import TransportAsked
from outgate.errors import UnknownName, UsageError
from outgate.model import Pod, Service, Snapshot
from outgate.model.services import ServiceRoute, endpoint_addresses, resolve, translate
from outgate.packets import Address, Protocol
from outgate.packets.addresses import FAMILIES, Family
from outgate.policy import Endpoint, Flow
from outgate.records import dataclass

__all__ = ["Aim", "Aims", "aims", "choose_family", "echo", "ends", "families_of", "has_ports"]


@dataclass(frozen=True, slots=True)
class Aim:
    """The far side of a flow. `dialled` is the Service address and port that the client used, if it used one.

    `service` is that Service where it was reached by one of its own addresses.
    """

    end: Endpoint
    protocol: int
    coordinate: int
    dialled: tuple[Address, int] | None = None
    service: Service | None = None

    def flow(self, source: Endpoint) -> Flow:
        """The new connection from a source."""
        return Flow(source, self.end, self.protocol, self.coordinate, self.dialled, self.service)


@dataclass(frozen=True, slots=True)
class Aims:
    """Everything that a destination leads to. `failure` says why a connection fails before any policy is asked."""

    aims: tuple[Aim, ...] = ()
    failure: str = ""


def echo(protocol: int) -> int:
    """The coordinate of the packet asked about where a protocol has no ports: for ICMP an echo request."""
    # RFC 792: type 8; RFC 4443, 4.1: type 128. Both with code 0.
    return {int(Protocol.ICMP): 8 << 8, int(Protocol.ICMPV6): 128 << 8}.get(protocol, 0)


def has_ports(protocol: int | None) -> bool:
    """Whether a protocol has ports; None stands for the default, TCP. These are also the ones a Service translates."""
    return protocol is None or (protocol in tuple(Protocol) and Protocol(protocol).has_ports)


def choose_family(source: Target, destination: Target, asked: Family | None) -> Family:
    """The family of the question: the one asked for, else IPv4 if both ends have it, else IPv6.

    Raises UsageError where the destination has no address of that family.
    """
    theirs, ours = families_of(destination), families_of(source)
    if asked is not None:
        if asked not in theirs:
            raise UsageError(f"{destination} has no IPv{asked} address in the input")
        return asked
    for family in FAMILIES:
        if family in theirs and family in ours:
            return family
    if not theirs:
        raise UsageError(f"the pods of {destination} have no address family in common; ask for one of them")
    return min(theirs)


def families_of(target: Target) -> set[Family]:
    """The families that a target can be reached by, or can send in: of several pods, those that all have."""
    match target:
        case PodsTarget(pods=pods):
            return {family for family in FAMILIES if all(Endpoint.of_pod(pod, family) for pod in pods)}
        case AddressTarget(addresses=addresses):
            return {one.version for one in addresses}
        case BlockTarget(network=network):
            return {network.version}
        case NodeTarget(node=node):
            return {one.version for one in node.addresses}
        case ServiceTarget(service=service):
            # A Service without an address of its own: whichever family its endpoints have.
            return {one.version for one in service.cluster_ips} or set(FAMILIES)
        case NameTarget():
            return set(FAMILIES)


def ends(snapshot: Snapshot, target: Target, family: Family) -> tuple[Endpoint, ...]:
    """The ends of flows that start at a target: one for each pod or address.

    A pod without an address of the family stands with another of its addresses: its egress policies judge it all
    the same. Raises UsageError for a Service.
    """
    match target:
        case PodsTarget(pods=pods):
            return tuple(Endpoint.of_pod(pod, family) or Endpoint(pod.addresses[0], pod) for pod in pods)
        case AddressTarget(addresses=addresses):
            chosen = [one for one in addresses if one.version == family] or addresses
            return tuple(Endpoint.at(snapshot, one) for one in chosen)
        case NodeTarget(node=node):
            return (Endpoint.of_node(node, family) or Endpoint(node.addresses[0], None, node),)
        case ServiceTarget():
            raise UsageError(f"{target} sends nothing by itself", hint="name a pod or a workload behind it")
    raise AssertionError(f"a block or a name has no ends, it has pieces: {target}")


def aims(snapshot: Snapshot, target: Target, asked: TransportAsked, family: Family) -> Aims:
    """What a destination leads to, for one port or one protocol without ports.

    Raises UnknownName for the name of a port that the destination does not have.
    """
    protocol = asked.protocol if asked.protocol is not None else int(Protocol.TCP)
    match target:
        case ServiceTarget(service=service):
            return _service_aims(snapshot, service, asked, family)
        case PodsTarget(pods=pods):
            return Aims(tuple(_pod_aim(pod, asked, family) for pod in pods))
        case AddressTarget(addresses=addresses):
            mine = [one for one in addresses if one.version == family]
            return _joined(_address_aims(snapshot, one, asked) for one in mine)
    there = ends(snapshot, target, family)
    return Aims(tuple(Aim(end, protocol, _number(asked, str(target))) for end in there))


def _pod_aim(pod: Pod, asked: TransportAsked, family: Family) -> Aim:
    end = Endpoint.of_pod(pod, family)
    if end is None:
        raise UsageError(f"{pod} has no IPv{family} address in the input")
    if not isinstance(asked.port, str):
        protocol = asked.protocol if asked.protocol is not None else int(Protocol.TCP)
        return Aim(end, protocol, asked.port if asked.port is not None else echo(protocol))
    named = {(p.protocol, p.name): (int(Protocol[p.protocol]), p.port) for p in pod.ports if p.name}
    mine = [found for (_, name), found in named.items() if name == asked.port and asked.protocol in (None, found[0])]
    if not mine:
        known = ", ".join(f"{name} ({protocol})" for protocol, name in named) or "none"
        raise UnknownName(f"{pod} has no container port named {asked.port}; its named ports: {known}")
    # TCP is the default also where a name stands for a port of each protocol.
    return Aim(end, *min(mine))


def _address_aims(snapshot: Snapshot, address: Address, asked: TransportAsked) -> Aims:
    service = snapshot.service_of(address)
    end = Endpoint.at(snapshot, address)
    if service is not None and has_ports(asked.protocol):
        return _service_aims(snapshot, service, asked, address.version, address)
    if isinstance(asked.port, str):
        if end.pod is None:
            raise UsageError(f"{address} is no pod: the name of a port means nothing there", hint="give its number")
        return Aims((_pod_aim(end.pod, asked, address.version),))
    protocol = asked.protocol if asked.protocol is not None else int(Protocol.TCP)
    if asked.port is not None and end.node is not None:
        route = translate(snapshot, address, Protocol(protocol).name, asked.port)
        if route is not None:
            return _behind(snapshot, route, address, f"node port {asked.port}")
    return Aims((Aim(end, protocol, asked.port if asked.port is not None else echo(protocol)),))


def _service_aims(
    snapshot: Snapshot, service: Service, asked: TransportAsked, family: Family, address: Address | None = None
) -> Aims:
    """A Service by its cluster address of one family, or by the `address` that was written."""
    what = f"Service {service}"
    if not has_ports(asked.protocol):
        return Aims(failure=f"{what} answers TCP, UDP and SCTP alone: its address is translated, never reached")
    if service.headless and not isinstance(asked.port, str):
        return _headless_aims(snapshot, service, asked, family)
    routes = routes_of(snapshot, service) if address is None else resolve(snapshot, service)
    candidates = [route for route in routes if _matches(route, asked) and (address is None or route.address == address)]
    if not candidates:
        return _no_such_port(service, asked)
    chosen = [route for route in candidates if route.address is None or route.address.version == family]
    # A name may stand for a TCP and a UDP port at once (kube-dns is one): TCP unless told otherwise.
    first = min(chosen or candidates, key=lambda route: int(Protocol[route.protocol]))
    return _behind(snapshot, first, first.address, what, family, service)


def _no_such_port(service: Service, asked: TransportAsked) -> Aims:
    known = ", ".join(f"{p.protocol} {p.port}" + (f" ({p.name})" if p.name else "") for p in service.ports) or "none"
    if isinstance(asked.port, str):
        raise UnknownName(f"Service {service} has no port named {asked.port}; its ports: {known}")
    protocol = Protocol(asked.protocol or Protocol.TCP).name
    return Aims(failure=f"Service {service} has no port {protocol} {asked.port}; its ports: {known}")


def _headless_aims(snapshot: Snapshot, service: Service, asked: TransportAsked, family: Family) -> Aims:
    """A headless name stands for the endpoints' own addresses: nothing is translated, the port stays as dialled."""
    found = [one for one in endpoint_addresses(snapshot, service) if one.version == family]
    if not found:
        return Aims(failure=f"Service {service} has no ready endpoint of IPv{family}: its name resolves to nothing")
    protocol = asked.protocol if asked.protocol is not None else int(Protocol.TCP)
    assert not isinstance(asked.port, str)
    port = asked.port if asked.port is not None else 0
    return Aims(tuple(Aim(Endpoint.at(snapshot, one), protocol, port) for one in found))


def _behind(
    snapshot: Snapshot,
    route: ServiceRoute,
    address: Address | None,
    what: str,
    family: Family | None = None,
    service: Service | None = None,
) -> Aims:
    """The endpoints of a route. `address` None: headless, found by port name, so that nothing is translated."""
    wanted = address.version if address is not None else family
    backends = [one for one in route.backends if wanted in (None, one.address.version)]
    if not backends:
        return Aims(failure=f"{what} has no ready endpoint: the connection fails whatever the policies say")
    number = int(Protocol[route.protocol])
    dialled = None if address is None else (address, route.port)
    found = []
    for one in backends:
        end = Endpoint(one.address, one.pod) if one.pod is not None else Endpoint.at(snapshot, one.address)
        found.append(Aim(end, number, one.port, dialled, service if dialled is not None else None))
    return Aims(tuple(found))


def _matches(route: ServiceRoute, asked: TransportAsked) -> bool:
    number = int(Protocol[route.protocol])
    if isinstance(asked.port, str):
        return route.name == asked.port and asked.protocol in (None, number)
    return route.port == asked.port and number == (asked.protocol if asked.protocol is not None else Protocol.TCP)


def _number(asked: TransportAsked, what: str) -> int:
    if isinstance(asked.port, str):
        raise UsageError(f"{what} is no pod: the name of a port means nothing there", hint="give its number")
    return asked.port if asked.port is not None else echo(asked.protocol or 0)


def _joined(many: Iterable[Aims]) -> Aims:
    parts = list(many)
    failures: Iterator[str] = (one.failure for one in parts if one.failure)
    return Aims(tuple(aim for one in parts for aim in one.aims), next(failures, ""))
