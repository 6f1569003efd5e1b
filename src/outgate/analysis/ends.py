"""From the ends of an assertion to sets of ends: every pod by every address, every node, and addresses outside.

A pod's or a node's address is an end of its own, because both ends of its flows have policies; all other addresses are
kept as a set. Known ends are bits (see `roll`), so that everybody is as quickly joined and cut as a single pod. A
destination has transports beside its ends: a port name means what each pod says, and a Service means the ports of its
endpoints, which is what policies see (docs/decisions/0003). Where an address is meant and not a pod, as by a node, a
block or `anywhere`, a name means what any pod there says: at a node those on its network, whose ports are the node's.

A block of addresses stands for whoever has one of them, and for every Service whose address is in it. What the
NetworkPolicy API does not speak of (loopback, multicast) is left out of a block, unless that is all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from functools import cached_property
from typing import TypeVar

from outgate.analysis.assertion_words import EndAsked, NamesAsked, PodsAsked, PortAsked, PortsAsked, Word
from outgate.analysis.flows import aims
from outgate.analysis.lookup import (
    AddressTarget,
    BlockTarget,
    Lookup,
    NameTarget,
    NodeTarget,
    PodsTarget,
    ServiceTarget,
    known_namespace,
)
from outgate.analysis.roll import Bits, Roll, bits_of, numbers
from outgate.analysis.targets import TransportAsked
from outgate.errors import InputError, UnknownName, UsageError
from outgate.model import ContainerPort, Pod, Service, ServicePort, Snapshot
from outgate.model.place import complaint
from outgate.model.services import endpoint_addresses
from outgate.model.snapshot import NAME_LABEL
from outgate.packets import Address, AddressSet, IntervalSet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES, Network
from outgate.packets.packetset import Cube
from outgate.policy import Endpoint
from outgate.policy.endpoints import LOOPBACK, TO_MANY
from outgate.policy.names import Dialect
from outgate.records import dataclass

__all__ = ["Ends", "NameMeant", "Places", "Reached", "any_of", "numbered"]

_Found = TypeVar("_Found")
_SILENT = LOOPBACK | TO_MANY


@dataclass(frozen=True, slots=True)
class Ends:
    """Ends that are meant. `single`: those that were named one by one, not as part of a group."""

    known: Bits = 0
    outside: AddressSet = field(default_factory=AddressSet)
    single: Bits = 0
    written: AddressSet = field(default_factory=AddressSet)
    """The addresses that were written as such, whoever has them."""

    def __or__(self, other: Ends) -> Ends:
        return Ends(
            self.known | other.known,
            self.outside | other.outside,
            self.single | other.single,
            self.written | other.written,
        )

    def __bool__(self) -> bool:
        return bool(self.known or self.outside)


@dataclass(frozen=True, slots=True)
class NameMeant:
    """A DNS name that rules open, or a pattern of such, with the addresses that were given for it, if any."""

    text: str
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Reached:
    """Destinations by the transports that are asked there; no known end is there twice."""

    known: Mapping[TransportSet, Bits] = field(default_factory=dict)
    outside: tuple[Cube, ...] = ()
    single: Bits = 0
    names: tuple[tuple[NameMeant, TransportSet], ...] = ()

    def __or__(self, other: Reached) -> Reached:
        both = self.known and other.known
        known = _joined(self.known, other.known) if both else self.known or other.known
        outside, names = (*self.outside, *other.outside), (*self.names, *other.names)
        return Reached(known, outside, self.single | other.single, names)

    def __bool__(self) -> bool:
        return bool(self.known or self.outside or self.names)

    def without(self, gone: Bits) -> Reached:
        """The same, less some known ends."""
        known = {transports: left for transports, some in self.known.items() if (left := some & ~gone)}
        return Reached(known, self.outside, self.single & ~gone, self.names)


def any_of(many: Iterable[Bits]) -> Bits:
    """The union of some sets."""
    found = 0
    for one in many:
        found |= one
    return found


def _joined(one: Mapping[TransportSet, Bits], other: Mapping[TransportSet, Bits]) -> dict[TransportSet, Bits]:
    """Both: where an end is in the two of them, what either asks there."""
    others = any_of(other.values())
    found = {transports: left for transports, some in one.items() if (left := some & ~others)}
    for transports, some in other.items():
        for mine, there in one.items():
            common = some & there
            if common:
                union = transports | mine
                found[union] = found.get(union, 0) | common
                some &= ~common  # noqa: PLW2901 - what is left of it
        if some:
            found[transports] = found.get(transports, 0) | some
    return found


@dataclass(frozen=True, slots=True)
class _Selected:
    """The pods that a selector asks for, and what has to be supposed about them."""

    pods: tuple[Pod, ...]
    bits: Bits
    notes: tuple[str, ...]


class Places:
    """Finds the ends of assertions in one snapshot."""

    def __init__(self, lookup: Lookup, roll: Roll | None = None) -> None:
        self.lookup = lookup
        self.snapshot: Snapshot = lookup.snapshot
        self.roll = roll if roll is not None else Roll(lookup.snapshot)
        self._notes: dict[str, None] = {}
        self._selected: dict[PodsAsked, _Selected] = {}

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
            found = self._less(found, self._of(one))
        if not found:
            raise UnknownName(f"{asked} is nobody in the input")
        return found

    def _less(self, one: Ends, other: Ends) -> Ends:
        kept = one.known & ~self._gone(other)
        return Ends(kept, one.outside - other.outside, one.single & kept, one.written - other.written)

    def _gone(self, other: Ends) -> Bits:
        """What is taken away with some ends, by whatever name: a host-network pod is at its node's address, too."""
        return other.known | self.roll.twins(other.known) | self.roll.at(other.written)

    def _of(self, asked: EndAsked) -> Ends:
        match asked.what:
            case Word.EVERY_POD:
                return Ends(self.roll.pods)
            case Word.EVERY_NODE:
                return self._nodes(self.roll.nodes)
            case Word.ANYWHERE:
                return self.everybody
            case PodsAsked():
                return Ends(self._find(asked.what).bits)
            case NamesAsked():
                raise UsageError(
                    f"{asked} is a pattern of names: it can be a destination alone, and taken from nothing"
                )
        match target := self.lookup.find(asked.what):
            case PodsTarget(kind=kind, pods=pods):
                known = self.roll.of_pods(pods)
                return Ends(known, single=known if kind == "Pod" else 0)
            case NodeTarget(node=node):
                return self._nodes(self.roll.of(Endpoint(one, None, node) for one in node.addresses), single=True)
            case AddressTarget(addresses=addresses):
                return self._addresses(addresses)
            case BlockTarget(network=network):
                return self._block(AddressSet.network(network))
        raise UsageError(f"{target} sends nothing by itself", hint="name a pod or a workload behind it")

    def selected(self, asked: PodsAsked) -> tuple[Pod, ...]:
        """The pods that are asked for by what they carry. Raises UnknownName where there is none."""
        return self._find(asked).pods

    def _find(self, asked: PodsAsked) -> _Selected:
        found = self._selected.get(asked)
        if found is None:
            found = self._selected[asked] = self._select(asked)
        self._notes |= dict.fromkeys(found.notes)
        return found

    def _select(self, asked: PodsAsked) -> _Selected:
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
        supposed: list[str] = []
        if asked.namespaces.keys() - {NAME_LABEL}:
            unknown = (name for name in snapshot.pods_by_namespace if not snapshot.namespace(name).declared)
            supposed += (f"namespace {name} is not in the input: its labels are not known" for name in unknown)
        return _Selected(tuple(found), self.roll.of_pods(found), tuple(supposed))

    def _nodes(self, known: Bits, *, single: bool = False) -> Ends:
        if not known:
            raise UnknownName("the input has no nodes with addresses")
        return Ends(known, single=known if single else 0)

    def _addresses(self, addresses: tuple[Address, ...]) -> Ends:
        ends = [Endpoint.at(self.snapshot, one) for one in addresses]
        held = [end for end in ends if end.pod is not None or end.node is not None]
        known, whole = self.roll.of(held), AddressSet.of(addresses)
        return Ends(known, whole - AddressSet.of(end.address for end in held), known, whole)

    def _block(self, block: AddressSet) -> Ends:
        spoken = block - _SILENT or block
        return Ends(self.roll.at(spoken) & self.roll.everybody, spoken - self.roll.addresses, 0, block)

    # --- destinations ------------------------------------------------------------------------------

    def _reached(self, asked: EndAsked, ports: PortsAsked | None, translated: bool) -> Reached:
        name = self._name(asked)
        if name is not None:
            if not _by_number(ports):
                raise UsageError(f"{asked} is no pod: the name of a port means nothing there")
            return Reached(names=((name, _transports(ports, ())),))
        service = self._service(asked)
        if service is not None and not (service.headless and _by_number(ports)):
            return self._behind(service, ports, None, listed=not translated)
        called = self._opened_by_name(service) if service is not None else None
        if called is not None and translated:
            return Reached(names=((called, _transports(ports, ())),))
        ends = self._of_headless(service) if service is not None else self._ends(asked)
        found = self._with_ports(ends, ports, of_pods=service is not None or self._means_pods(asked))
        if ends.outside:
            # Who writes the very address of a Service means the Service.
            found |= self._outside(ends.outside, ports, translated or not isinstance(asked.what, Network | Word))
            # What was taken out of a block does not come back in behind a Service.
            found = found.without(any_of(self._gone(self._of(one)) for one in asked.excepts))
        if not found:
            names = ", ".join(one.name for one in (ports.ports if ports is not None else ()) if one.name)
            raise UnknownName(f"{asked} has no container port named {names}")
        # Who lists a name lists the pods behind it, and what rules open by it.
        return found if called is None else found | Reached(names=((called, _transports(ports, ())),))

    def _opened_by_name(self, service: Service) -> NameMeant | None:
        """The name of a headless Service, where a rule opens its pods by it: to whoever has asked for it."""
        patterns = (one for one in self.lookup.patterns if one.dialect is Dialect.NETWORK_POLICY)
        if not any(one.matches(service.dns_name) for one in patterns):
            return None
        return NameMeant(service.dns_name, endpoint_addresses(self.snapshot, service))

    def _name(self, asked: EndAsked) -> NameMeant | None:
        """The name that is meant, where rules open names that it is among, and its addresses are nobody's here."""
        if isinstance(asked.what, PodsAsked | Word):
            return None
        if isinstance(asked.what, NamesAsked):
            return NameMeant(asked.what.pattern)
        match self.lookup.find(asked.what):
            case NameTarget(name):
                return NameMeant(name)
            case AddressTarget(addresses, name) if name and any(one.matches(name) for one in self.lookup.patterns):
                held = any(self.snapshot.owners_of(one) or self.snapshot.node_of(one) for one in addresses)
                return None if held else NameMeant(name, addresses)
        return None

    def _service(self, asked: EndAsked) -> Service | None:
        if isinstance(asked.what, PodsAsked | NamesAsked | Word):
            return None
        target = self.lookup.find(asked.what)
        if isinstance(target, ServiceTarget) and asked.excepts:
            raise UsageError(f"{target} is a Service: nothing can be taken from it")
        return target.service if isinstance(target, ServiceTarget) else None

    def _means_pods(self, asked: EndAsked) -> bool:
        """Whether pods are meant, each with its own ports, and not whoever is at an address."""
        if isinstance(asked.what, Word):
            return asked.what is Word.EVERY_POD
        if isinstance(asked.what, PodsAsked | NamesAsked):
            return isinstance(asked.what, PodsAsked)
        return isinstance(self.lookup.find(asked.what), PodsTarget)

    def _outside(self, addresses: AddressSet, ports: PortsAsked | None, translated: bool) -> Reached:
        """Addresses that no pod and no node has; those of Services lead to endpoints, on the ports that they have."""
        asked = _transports(ports, ())
        services = self._service_addresses if translated else {}
        dialled = {address: service for address, service in services.items() if address in addresses}
        found = Reached({}, ((addresses - AddressSet.of(dialled), asked),))
        rest: dict[TransportSet, list[Address]] = {}
        for address, service in dialled.items():
            own = TransportSet()
            for port in service.ports:
                own |= TransportSet.ports(Protocol[port.protocol], port.port)
            rest.setdefault(asked - own, []).append(address)
            # By the name of a port it is the Service that knows the number.
            if any(_asks_for(ports, one.name, int(Protocol[one.protocol]), one.port) for one in service.ports):
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
            for number, transports in tuple(known.items()):
                pod = self.roll.ends[number].pod
                for other in numbers(self.roll.of_pods((pod,) if pod is not None else ())):
                    known.setdefault(other, transports)
        return Reached(_by_transports(known))

    def _endpoints(
        self, service: Service, ports: list[ServicePort], address: Address | None
    ) -> dict[int, TransportSet]:
        """The endpoints behind some ports of a Service, by their numbers, and the ports that they listen on."""
        target = ServiceTarget(service) if address is None else AddressTarget((address,))
        known: dict[int, TransportSet] = {}
        for port in ports:
            asked = TransportAsked(port.name if service.headless else port.port, int(Protocol[port.protocol]))
            for family in FAMILIES if address is None else (address.version,):
                for aim in aims(self.snapshot, target, asked, family).aims:
                    number = self.roll.number(aim.end)
                    transports = TransportSet.ports(Protocol(aim.protocol), aim.coordinate)
                    known[number] = known.get(number, TransportSet()) | transports
        return known

    def _of_headless(self, service: Service) -> Ends:
        """A headless name stands for the endpoints themselves, on whatever port is dialled."""
        port = TransportAsked(1, int(Protocol.TCP))
        target = ServiceTarget(service)
        found = [one.end for family in FAMILIES for one in aims(self.snapshot, target, port, family).aims]
        if not found:
            raise UnknownName(f"svc/{service} has no ready endpoint: its name resolves to nothing")
        inside = [end for end in found if end.pod is not None or end.node is not None]
        outside = AddressSet.of(end.address for end in found if end.pod is None and end.node is None)
        return Ends(self.roll.of(inside), outside)

    def _with_ports(self, ends: Ends, ports: PortsAsked | None, *, of_pods: bool) -> Reached:
        """The known ends at which any of the ports is. `of_pods`: a name means what the pods say that are meant."""
        known: dict[TransportSet, Bits] = {}
        parts = [(ends.known, ())] if _by_number(ports) else self._by_ports(ends.known, of_pods)
        for some, declared in parts:
            transports = _transports(ports, declared)
            if some and transports:
                known[transports] = known.get(transports, 0) | some
        return Reached(known, (), ends.single & any_of(known.values()))

    def _by_ports(self, known: Bits, of_pods: bool) -> Iterator[tuple[Bits, tuple[ContainerPort, ...]]]:
        """Ends by the container ports that say what a name means there."""
        by_ports = self.roll.by_ports if of_pods else self.roll.by_ports_at
        for declared, some in by_ports.items():
            mine = known & some
            if mine:
                known &= ~mine
                yield mine, declared
        # A node that is named although a pod claims its address for its own came to the roll late.
        for number in numbers(known):
            yield 1 << number, self.roll.ports_at(self.roll.ends[number].address)


def _by_transports(known: Mapping[int, TransportSet]) -> dict[TransportSet, Bits]:
    """Ends that are known by their numbers, by what is asked there."""
    found: dict[TransportSet, list[int]] = {}
    for number, transports in known.items():
        found.setdefault(transports, []).append(number)
    return {transports: bits_of(many) for transports, many in found.items()}


def _by_number(ports: PortsAsked | None) -> bool:
    return ports is None or not any(one.name for one in ports.ports)


def _transports(ports: PortsAsked | None, declared: Iterable[ContainerPort]) -> TransportSet:
    """The ports that are asked at one end; a name means what is declared there, and nothing where nothing is."""
    if ports is None:
        return TransportSet.governed()
    found = TransportSet()
    for one in ports.ports:
        if one.name:
            for port in declared:
                if port.name == one.name and one.protocol in (None, int(Protocol[port.protocol])):
                    found |= TransportSet.ports(Protocol[port.protocol], port.port)
        else:
            found |= _numbers(one)
    return found


def numbered(ports: PortsAsked | None) -> TransportSet:
    """The ports that are asked at whoever is no pod: those with a number."""
    return _transports(ports, ())


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
