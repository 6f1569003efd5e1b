"""From the ends of an assertion to sets of ends: every pod by every address, every node, and addresses outside.

A pod's or a node's address is an end of its own, because both ends of its flows have policies; all other addresses are
kept as a set. A destination has transports beside each end: a port name means what each pod says, and a Service means
the ports of its endpoints, which is what policies see (docs/decisions/0003).

A block of addresses stands for whoever has one of them, and for every Service whose address is in it. What the
NetworkPolicy API does not speak of (loopback, multicast) is left out of a block, unless that is all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from outgate.analysis.assertion_words import EndAsked, PodsAsked, PortAsked, PortsAsked, Word, complaint
from outgate.analysis.flows import aims
from outgate.analysis.lookup import (
    AddressTarget,
    BlockTarget,
    Lookup,
    NodeTarget,
    PodsTarget,
    ServiceTarget,
    known_namespace,
)
from outgate.analysis.targets import TransportAsked
from outgate.errors import InputError, UnknownName, UsageError
from outgate.model import ContainerPort, Pod, Service, ServicePort, Snapshot
from outgate.model.snapshot import NAME_LABEL
from outgate.packets import Address, AddressSet, IntervalSet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES, Network
from outgate.packets.packetset import Cube
from outgate.policy import Endpoint
from outgate.policy.endpoints import LOOPBACK, TO_MANY

__all__ = ["EndKey", "Ends", "Places", "Reach", "Reached", "apart", "key_of"]

EndKey = tuple[Address, tuple[str, str] | None]
"""An address, and the pod that is meant by it."""

_Found = TypeVar("_Found")
_SILENT = LOOPBACK | TO_MANY


def key_of(end: Endpoint) -> EndKey:
    """What tells an end from every other of the snapshot."""
    return end.address, end.pod.key if end.pod is not None else None


def apart(end: Endpoint) -> bool:
    """Whether a packet shows a pod there. A host-network pod is its node to every packet and every policy."""
    return end.pod is not None and not end.pod.host_network


@dataclass(frozen=True, slots=True)
class Ends:
    """Ends that are meant. `single`: those that were named one by one, not as part of a group."""

    known: Mapping[EndKey, Endpoint] = field(default_factory=dict)
    outside: AddressSet = field(default_factory=AddressSet)
    single: frozenset[EndKey] = frozenset()
    written: AddressSet = field(default_factory=AddressSet)
    """The addresses that were written as such, whoever has them."""

    def __or__(self, other: Ends) -> Ends:
        return Ends(
            {**self.known, **other.known},
            self.outside | other.outside,
            self.single | other.single,
            self.written | other.written,
        )

    def __sub__(self, other: Ends) -> Ends:
        gone = {key[0] for key, end in other.known.items() if not apart(end)}
        kept = {
            key: end
            for key, end in self.known.items()
            if key not in other.known and key[0] not in other.written and (apart(end) or key[0] not in gone)
        }
        return Ends(kept, self.outside - other.outside, self.single & kept.keys(), self.written - other.written)

    def __bool__(self) -> bool:
        return bool(self.known or self.outside)


@dataclass(frozen=True, slots=True)
class Reach:
    """A destination that is known, and the transports that are asked there."""

    end: Endpoint
    transports: TransportSet
    single: bool = False


@dataclass(frozen=True, slots=True)
class Reached:
    """Destinations with their transports."""

    known: Mapping[EndKey, Reach] = field(default_factory=dict)
    outside: tuple[Cube, ...] = ()

    def __or__(self, other: Reached) -> Reached:
        known = dict(self.known)
        for key, one in other.known.items():
            mine = known.get(key)
            joined = one if mine is None else replace(one, transports=one.transports | mine.transports)
            known[key] = joined if mine is None else replace(joined, single=one.single or mine.single)
        return Reached(known, (*self.outside, *other.outside))

    def __bool__(self) -> bool:
        return bool(self.known or self.outside)


class Places:
    """Finds the ends of assertions in one snapshot."""

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.snapshot: Snapshot = lookup.snapshot
        self._notes: dict[str, None] = {}

    def take_notes(self) -> tuple[str, ...]:
        """What had to be supposed since the last call, because the input does not say it."""
        taken, self._notes = tuple(self._notes), {}
        return taken

    @cached_property
    def everybody(self) -> Ends:
        """The whole address space: every pod, every node, and what is outside."""
        return self._block(AddressSet.any())

    def ends(self, asked: Iterable[EndAsked], errors: list[InputError]) -> Ends:
        """Ends that send, or that something is taken from. What is not there is added to the errors."""
        found = Ends()
        for one in asked:
            found |= self._caught(one, self._ends, Ends(), errors)
        return found

    def reached(
        self, asked: Iterable[EndAsked], ports: PortsAsked | None, errors: list[InputError], *, translated: bool = True
    ) -> Reached:
        """Destinations. `translated`: addresses of Services in a block lead where the Services lead.

        Without it the destinations are what policies see, as in a list of all that may be allowed.
        """
        found = Reached()
        for one in asked:
            found |= self._caught(one, lambda end: self._reached(end, ports, translated), Reached(), errors)
        return found

    def _caught(
        self, one: EndAsked, find: Callable[[EndAsked], _Found], nothing: _Found, errors: list[InputError]
    ) -> _Found:
        try:
            return find(one)
        except (UnknownName, UsageError) as error:
            names = "or add it to the names of this file" if "--dns-name" in error.message else ""
            hint = "; ".join(filter(None, (names, error.hint)))
            errors.append(complaint(one.place, error.message + (f" ({hint})" if hint else "")))
            return nothing

    # --- ends --------------------------------------------------------------------------------------

    def _ends(self, asked: EndAsked) -> Ends:
        found = self._of(asked)
        for one in asked.excepts:
            found -= self._of(one)
        if not found:
            raise UnknownName(f"{asked} is nobody in the input")
        return found

    def _of(self, asked: EndAsked) -> Ends:
        match asked.what:
            case Word.EVERY_POD:
                return _pods(self.snapshot.endpoints)
            case Word.EVERY_NODE:
                return self._some(Endpoint.at(self.snapshot, one) for one in self._node_addresses())
            case Word.ANYWHERE:
                return self.everybody
            case PodsAsked():
                return _pods(self.selected(asked.what))
        match target := self.lookup.find(asked.what):
            case PodsTarget(kind=kind, pods=pods):
                return _pods(pods, single=kind == "Pod")
            case NodeTarget(node=node):
                return self._some((Endpoint(one, None, node) for one in node.addresses), single=True)
            case AddressTarget(addresses=addresses):
                return self._addresses(addresses)
            case BlockTarget(network=network):
                return self._block(AddressSet.network(network))
        raise UsageError(f"{target} sends nothing by itself", hint="name a pod or a workload behind it")

    def _node_addresses(self) -> list[Address]:
        return [one for node in self.snapshot.nodes.values() for one in node.addresses]

    def selected(self, asked: PodsAsked) -> list[Pod]:
        """The pods that are asked for by what they carry. Raises UnknownName where there is none."""
        snapshot = self.snapshot
        if asked.namespace is not None:
            known_namespace(asked.namespace, snapshot)
        found = [
            pod
            for name, pods in snapshot.pods_by_namespace.items()
            if asked.namespace in (None, name) and asked.namespaces.matches(snapshot.namespace(name).labels)
            for pod in pods
            if asked.pods.matches(pod.labels)
        ]
        if not found:
            raise UnknownName(f"no pod in the input is {asked}")
        if asked.namespaces.keys() - {NAME_LABEL}:
            for name in snapshot.pods_by_namespace:
                if not snapshot.namespace(name).declared:
                    self._notes[f"namespace {name} is not in the input: its labels are not known"] = None
        return found

    def _some(self, ends: Iterable[Endpoint], *, single: bool = False) -> Ends:
        known = {key_of(end): end for end in ends}
        if not known:
            raise UnknownName("the input has no nodes with addresses")
        return Ends(known, AddressSet(), frozenset(known) if single else frozenset())

    def _addresses(self, addresses: tuple[Address, ...]) -> Ends:
        ends = [Endpoint.at(self.snapshot, one) for one in addresses]
        known = {key_of(end): end for end in ends if end.pod is not None or end.node is not None}
        whole = AddressSet.of(addresses)
        return Ends(known, whole - AddressSet.of(key[0] for key in known), frozenset(known), whole)

    def _block(self, block: AddressSet) -> Ends:
        spoken = block - _SILENT or block
        known = {key: end for key, end in self._all_known.items() if key[0] in spoken}
        return Ends(known, spoken - self._known_addresses, frozenset(), block)

    @cached_property
    def _all_known(self) -> Mapping[EndKey, Endpoint]:
        """Every pod by every address, every node; of a host-network pod whoever its address stands for."""
        found = _pods(pod for pod in self.snapshot.endpoints if not pod.host_network).known
        shared = [one for pod in self.snapshot.endpoints if pod.host_network for one in pod.addresses]
        others = (Endpoint.at(self.snapshot, one) for one in (*self._node_addresses(), *shared))
        return {**found, **{key_of(end): end for end in others}}

    @cached_property
    def _known_addresses(self) -> AddressSet:
        return AddressSet.of(key[0] for key in self._all_known)

    # --- destinations ------------------------------------------------------------------------------

    def _reached(self, asked: EndAsked, ports: PortsAsked | None, translated: bool) -> Reached:
        service = self._service(asked)
        if service is not None and not (service.headless and _by_number(ports)):
            return self._behind(service, ports, None, listed=not translated)
        ends = _of_headless(self.snapshot, service) if service is not None else self._ends(asked)
        found = Reached(_with_ports(ends, ports))
        if ends.outside:
            # Who writes the very address of a Service means the Service.
            found |= self._outside(ends.outside, ports, translated or not isinstance(asked.what, Network | Word))
            # What was taken out of a block does not come back in behind a Service.
            gone = {key for one in asked.excepts for key in self._of(one).known}
            found = Reached({key: one for key, one in found.known.items() if key not in gone}, found.outside)
        if not found:
            names = ", ".join(one.name for one in (ports.ports if ports is not None else ()) if one.name)
            raise UnknownName(f"{asked} has no container port named {names}")
        return found

    def _service(self, asked: EndAsked) -> Service | None:
        if isinstance(asked.what, PodsAsked | Word):
            return None
        target = self.lookup.find(asked.what)
        if isinstance(target, ServiceTarget) and asked.excepts:
            raise UsageError(f"{target} is a Service: nothing can be taken from it")
        return target.service if isinstance(target, ServiceTarget) else None

    def _outside(self, addresses: AddressSet, ports: PortsAsked | None, translated: bool) -> Reached:
        """Addresses that no pod and no node has; those of Services lead to endpoints, on the ports that they have."""
        asked = _transports(ports, None)
        services = self._service_addresses if translated else {}
        dialled = {address: service for address, service in services.items() if address in addresses}
        found = Reached({}, ((addresses - AddressSet.of(dialled), asked),))
        rest: dict[TransportSet, list[Address]] = {}
        for address, service in dialled.items():
            own = TransportSet()
            for port in service.ports:
                own |= TransportSet.ports(Protocol[port.protocol], port.port)
            rest.setdefault(asked - own, []).append(address)
            if asked & own:
                found |= self._behind(service, ports, address, listed=False)
        cubes = (*found.outside, *((AddressSet.of(many), transports) for transports, many in rest.items()))
        return Reached(found.known, tuple(cube for cube in cubes if cube[0] and cube[1]))

    @cached_property
    def _service_addresses(self) -> Mapping[Address, Service]:
        services = self.snapshot.services
        return {one: service for service in services for one in (*service.cluster_ips, *service.external_ips)}

    def _behind(self, service: Service, ports: PortsAsked | None, address: Address | None, *, listed: bool) -> Reached:
        """The endpoints of a Service. By the name of the Service something must be there; by its address, need not.

        `listed`: by all their addresses, whatever family the Service has, because they are who is meant.
        """
        wanted = [one for one in service.ports if _asks_for(ports, one.name, int(Protocol[one.protocol]), one.port)]
        if not wanted and address is None:
            ours = ", ".join(f"{p.protocol} {p.port}" + (f" ({p.name})" if p.name else "") for p in service.ports)
            raise UnknownName(f"svc/{service} has no such port; its ports: {ours or 'none'}")
        known = self._endpoints(service, wanted, address)
        if not known and address is None:
            raise UnknownName(f"svc/{service} has no ready endpoint: nobody is there to be asked about")
        if listed:
            pods = [(one, one.end.pod) for one in known.values() if one.end.pod is not None]
            other = [replace(one, end=Endpoint(address, pod)) for one, pod in pods for address in pod.addresses]
            known |= {key_of(one.end): one for one in other if key_of(one.end) not in known}
        return Reached(known)

    def _endpoints(self, service: Service, ports: list[ServicePort], address: Address | None) -> dict[EndKey, Reach]:
        """The endpoints behind some ports of a Service, on the ports that they listen on."""
        target = ServiceTarget(service) if address is None else AddressTarget((address,))
        known: dict[EndKey, Reach] = {}
        for port in ports:
            asked = TransportAsked(port.name if service.headless else port.port, int(Protocol[port.protocol]))
            for family in FAMILIES if address is None else (address.version,):
                for aim in aims(self.snapshot, target, asked, family).aims:
                    mine = known.get(key_of(aim.end))
                    transports = TransportSet.ports(Protocol(aim.protocol), aim.coordinate)
                    if mine is not None:
                        transports |= mine.transports
                    known[key_of(aim.end)] = Reach(aim.end, transports)
        return known


def _pods(pods: Iterable[Pod], *, single: bool = False) -> Ends:
    known: dict[EndKey, Endpoint] = {
        (address, pod.key): Endpoint(address, pod) for pod in pods for address in pod.addresses
    }
    return Ends(known, AddressSet(), frozenset(known) if single else frozenset())


def _of_headless(snapshot: Snapshot, service: Service) -> Ends:
    """A headless name stands for the endpoints themselves, on whatever port is dialled."""
    port = TransportAsked(1, int(Protocol.TCP))
    found = [one.end for family in FAMILIES for one in aims(snapshot, ServiceTarget(service), port, family).aims]
    if not found:
        raise UnknownName(f"svc/{service} has no ready endpoint: its name resolves to nothing")
    inside = {key_of(end): end for end in found if end.pod is not None or end.node is not None}
    outside = AddressSet.of(end.address for end in found if key_of(end) not in inside)
    return Ends(inside, outside)


def _with_ports(ends: Ends, ports: PortsAsked | None) -> dict[EndKey, Reach]:
    """The known ends at which any of the ports is; pods with the same container ports are looked at once."""
    meanings: dict[tuple[ContainerPort, ...], TransportSet] = {}
    known: dict[EndKey, Reach] = {}
    for key, end in ends.known.items():
        declared = end.pod.ports if end.pod is not None else ()
        transports = meanings.get(declared)
        if transports is None:
            transports = meanings[declared] = _transports(ports, end.pod)
        if transports:
            known[key] = Reach(end, transports, key in ends.single)
    return known


def _by_number(ports: PortsAsked | None) -> bool:
    return ports is None or not any(one.name for one in ports.ports)


def _transports(ports: PortsAsked | None, pod: Pod | None) -> TransportSet:
    """The ports that are asked at one end; a name means what the pod there says, and nothing where there is none."""
    if ports is None:
        return TransportSet.governed()
    found = TransportSet()
    for one in ports.ports:
        if one.name:
            for port in pod.ports if pod is not None else ():
                if port.name == one.name and one.protocol in (None, int(Protocol[port.protocol])):
                    found |= TransportSet.ports(Protocol[port.protocol], port.port)
        else:
            found |= _numbers(one)
    return found


def _numbers(one: PortAsked) -> TransportSet:
    protocol = Protocol(one.protocol) if one.protocol is not None else Protocol.TCP
    if one.span is None and protocol is Protocol.ICMP:
        # Of IPv4 the one, of IPv6 the other (RFC 4443): which is meant is said by the addresses.
        return TransportSet.protocol(int(Protocol.ICMP)) | TransportSet.protocol(int(Protocol.ICMPV6))
    if one.span is None:
        return TransportSet.protocol(int(protocol))
    return TransportSet.ports(protocol, IntervalSet.of(one.span))


def _asks_for(ports: PortsAsked | None, name: str, protocol: int, number: int) -> bool:
    """Whether a port of a Service is among those that are asked for."""
    if ports is None:
        return True
    return any(
        one.name == name and one.protocol in (None, protocol) if one.name else _numbers(one).contains(protocol, number)
        for one in ports.ports
    )
