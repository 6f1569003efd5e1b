"""A file of flows: the ones to probe, and what must come of each.

    apiVersion: outgate.dev/v1
    kind: FlowList
    flows:
      - from: production/web-api        a pod or workload, an address, node/NAME
        to: production/postgres         the same, or svc/NAMESPACE/NAME, or a DNS name
        port: 5432                      none for ICMP
        protocol: TCP                   the default; or UDP, SCTP, ICMP
        expect: allow                   allow or deny; without it, whatever the policies say

A ReachabilityTest (`outgate.analysis.assertions`), the file that `outgate test` reads, may stand in its place. What of
it can be probed is said by `outgate.lab.assertion_probes`.

`read` looks at the text alone, `drafts` at the cluster. Both report all that is wrong at once, with file and line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from outgate.analysis import assertions, targets
from outgate.analysis.assertions import Suite
from outgate.analysis.lookup import AddressTarget, BlockTarget, Lookup, NodeTarget, PodsTarget, ServiceTarget
from outgate.analysis.targets import Named, Noun, Written
from outgate.cluster.files import read_documents
from outgate.errors import InputError, InvalidInput, UnknownName, UsageError
from outgate.lab.names import DOMAIN, service_name
from outgate.lab.plan import Draft, Planner, Via
from outgate.model import Document, Place, Pod, Snapshot
from outgate.model.objects import Address
from outgate.model.place import complaint
from outgate.model.services import ServiceRoute, resolve, translate
from outgate.packets import Protocol
from outgate.policy import Endpoint, Verdict

__all__ = ["API_VERSION", "KIND", "Asked", "AskedFlow", "drafts", "load", "named_pods", "read"]

API_VERSION = "outgate.dev/v1"
KIND = "FlowList"

_FIELDS = ("from", "to", "port", "protocol", "expect")
_PROTOCOLS = {"TCP": Protocol.TCP, "UDP": Protocol.UDP, "SCTP": Protocol.SCTP, "ICMP": Protocol.ICMP}
_VERDICTS = {"allow": Verdict.ALLOW, "deny": Verdict.DENY}


@dataclass(frozen=True, slots=True)
class AskedFlow:
    """One entry, read and not looked up yet."""

    source: Written
    destination: Written
    protocol: Protocol
    port: int
    expect: Verdict | None
    place: Place


@dataclass(frozen=True, slots=True)
class Asked:
    """What a file asks for: flows one by one, and assertions about whole sets."""

    flows: tuple[AskedFlow, ...] = ()
    suites: tuple[Suite, ...] = ()


def load(path: str) -> Asked:
    """The flows and assertions of a file, YAML or JSON.

    Raises:
        InvalidInput: the file cannot be read, or does not say what such a file says; all errors at once.
    """
    return read(read_documents([path]), path)


def read(documents: Iterable[Document], file: str) -> Asked:
    """The flows and assertions of all documents. Raises InvalidInput with every error."""
    errors: list[InputError] = []
    flows: list[AskedFlow] = []
    suites: list[Suite] = []
    for document in documents:
        place = Place(document)
        value = document.value
        if not isinstance(value, dict) or (value.get("apiVersion"), value.get("kind")) != (API_VERSION, KIND):
            if assertions.is_suite(document):
                try:
                    suites += assertions.read([document])
                except InvalidInput as error:
                    errors += error.errors
            else:
                errors.append(complaint(place, f"this is no {KIND} and no {assertions.KIND} of {API_VERSION}"))
            continue
        entries = value.get("flows")
        if not isinstance(entries, list):
            errors.append(complaint(place / "flows", "must be a list of flows"))
            continue
        for index, entry in enumerate(entries):
            found = _entry(entry, place / "flows" / index, errors)
            if found is not None:
                flows.append(found)
    if not errors and not flows and not suites:
        errors.append(InputError(file, 0, "flows", "there are no flows in this file"))
    if errors:
        about_flows = any(one.path.startswith("flows") for one in errors)
        hint = "a flow is {from: namespace/pod, to: namespace/pod, port: 443, expect: deny}" if about_flows else ""
        raise InvalidInput(errors, hint=hint)
    return Asked(tuple(flows), tuple(suites))


def named_pods(flows: Iterable[AskedFlow], snapshot: Snapshot) -> tuple[Pod, ...]:
    """The pods that the flows are about, one of each workload: they must not be left out of a small lab."""
    lookup = Lookup(snapshot)
    found: dict[tuple[str, str], Pod] = {}
    for flow in flows:
        for written in (flow.source, flow.destination):
            try:
                target = lookup.find(written)
            except (UnknownName, UsageError):
                # Said later, with all else that is wrong.
                continue
            if isinstance(target, PodsTarget):
                found.setdefault(target.pods[0].key, target.pods[0])
    return tuple(found.values())


def drafts(flows: Iterable[AskedFlow], made: Planner, families: tuple[int, ...]) -> tuple[Draft, ...]:
    """The flows as probes to be judged, each in every family that both of its ends have.

    Raises:
        InvalidInput: an end that the input does not have, or that nothing can be sent from or to; all of them.
    """
    resolver = _Resolver(made, families)
    errors: list[InputError] = []
    found: list[Draft] = []
    for flow in flows:
        try:
            found += resolver.drafts(flow)
        except InvalidInput as error:
            hint = f" ({error.hint})" if error.hint else ""
            errors.append(complaint(flow.place, error.message + hint))
    if errors:
        raise InvalidInput(errors)
    return tuple(found)


class _Resolver:
    """Looks ends up in the snapshot that the lab is built from."""

    def __init__(self, made: Planner, families: tuple[int, ...]) -> None:
        self.made, self.families = made, families
        self.snapshot = made.judge.policies.snapshot
        self.lookup = Lookup(self.snapshot)

    def drafts(self, flow: AskedFlow) -> list[Draft]:
        """All probes of one flow. Raises UsageError where there are none."""
        sources = self._sources(flow.source)
        name = self._dns_name(flow.destination)
        found = [
            draft
            for source in sources
            for draft in (self._by_name(flow, source, name) if name else self._by_target(flow, source))
        ]
        if not found:
            raise UsageError(f"no probe can be made: the two ends share no address family among {list(self.families)}")
        return found

    def _sources(self, written: Written) -> list[Endpoint]:
        match target := self.lookup.find(written):
            case PodsTarget(pods=pods):
                ends = [Endpoint(one, pod) for pod in pods for one in _by_family(pod.addresses)]
            case AddressTarget(addresses=addresses):
                ends = [self.made.endpoint(one) for one in addresses]
            case NodeTarget(node=node):
                ends = [Endpoint(one, None, node) for one in _by_family(node.addresses)]
            case _:
                raise UsageError(f"{target} sends nothing: name a pod, a node or an address")
        return [end for end in ends if end.address.version in self.families]

    def _dns_name(self, written: Written) -> str:
        """The name as the zone has it; empty where it is none of its names."""
        if not isinstance(written, Named) or written.noun is not Noun.ANYTHING:
            return ""
        bare = written.name.lower().removesuffix(".")
        tries = (bare, f"{bare}.{DOMAIN}", f"{bare}.svc.{DOMAIN}")
        return next((one for one in tries if self.made.zone.resolve(one)), "")

    def _by_name(self, flow: AskedFlow, source: Endpoint, name: str) -> Iterator[Draft]:
        version = source.address.version
        if not self.made.dns:
            raise UsageError(f"{name} cannot be asked for: the input has no DNS service with ready pods")
        if self.made.resolver(source) is None:
            return
        for address in sorted(one for one in self.made.zone.resolve(name) if one.version == version)[:1]:
            service = self.snapshot.service_of(address)
            ends = self._translated(flow, address) if service is not None else ()
            named = service or next((one for one in self.snapshot.services if service_name(one) == name), "")
            yield self._draft(flow, source, address, Via.NAME, ends, str(named), name)

    def _by_target(self, flow: AskedFlow, source: Endpoint) -> Iterator[Draft]:
        version = source.address.version
        match target := self.lookup.find(flow.destination):
            case PodsTarget(pods=pods):
                for pod in pods:
                    for address in _of_family(pod.addresses, version)[:1]:
                        yield self._draft(flow, source, address, Via.POD)
            case NodeTarget(node=node):
                for address in _of_family(node.addresses, version)[:1]:
                    yield self._draft(flow, source, address, Via.NODE)
            case AddressTarget(addresses=addresses):
                for address in _of_family(addresses, version):
                    service = self.snapshot.service_of(address)
                    if service is None:
                        yield self._draft(flow, source, address, self._via(address))
                    else:
                        ends = self._translated(flow, address)
                        yield self._draft(flow, source, address, Via.SERVICE, ends, str(service))
            case ServiceTarget(service=service):
                for route in self._routes(flow, target):
                    ends = _of_route(route, version)
                    if route.address is not None and route.address.version == version:
                        yield self._draft(flow, source, route.address, Via.SERVICE, ends, str(service))
                    elif route.address is None:
                        for address, _ in ends:
                            yield self._draft(flow, source, address, Via.POD)
            case BlockTarget():
                raise UsageError(f"{target} is many addresses: name one of them")

    def _routes(self, flow: AskedFlow, target: ServiceTarget) -> list[ServiceRoute]:
        wanted = (flow.port, flow.protocol.name)
        routes = [one for one in resolve(self.snapshot, target.service) if not one.external and not one.node_port]
        found = [one for one in routes if (one.port, one.protocol) == wanted]
        if not found:
            known = ", ".join(dict.fromkeys(f"{one.protocol} {one.port}" for one in routes)) or "none"
            raise UsageError(f"{target} has no port {flow.protocol.name} {flow.port}; its ports: {known}")
        if not any(one.backends for one in found):
            raise UsageError(f"{target} has no ready endpoints: nobody can answer")
        return found

    def _translated(self, flow: AskedFlow, address: Address) -> tuple[tuple[Address, int], ...]:
        route = translate(self.snapshot, address, flow.protocol.name, flow.port)
        if route is None or not route.backends:
            raise UsageError(f"{address} is a Service's, and nobody answers {flow.protocol.name} {flow.port} there")
        return _of_route(route, address.version)

    def _via(self, address: Address) -> Via:
        end = self.made.endpoint(address)
        return Via.POD if end.pod is not None else Via.NODE if end.node is not None else Via.ADDRESS

    def _draft(
        self,
        flow: AskedFlow,
        source: Endpoint,
        address: Address,
        via: Via,
        ends: tuple[tuple[Address, int], ...] = (),
        service: str = "",
        name: str = "",
    ) -> Draft:
        protocol = flow.protocol
        if protocol is Protocol.ICMP and address.version == 6:
            protocol = Protocol.ICMPV6
        return Draft(source, address, protocol, flow.port, via, ends, service, name, demanded=flow.expect)


def _entry(value: object, place: Place, errors: list[InputError]) -> AskedFlow | None:
    """One flow. What is wrong is added to the errors, and None returned."""
    before = len(errors)
    if not isinstance(value, dict):
        errors.append(complaint(place, "must be a mapping with from and to"))
        return None
    unknown = (str(key) for key in value if key not in _FIELDS)
    errors += (complaint(place / key, f"unknown field; there are {', '.join(_FIELDS)}") for key in unknown)
    source = _written(value.get("from"), place / "from", errors)
    destination = _written(value.get("to"), place / "to", errors)
    word = str(value.get("protocol", "TCP")).upper()
    protocol = _PROTOCOLS.get(word)
    if protocol is None:
        errors.append(complaint(place / "protocol", f"{value['protocol']} is none of {', '.join(_PROTOCOLS)}"))
    port = value.get("port", 0 if protocol is Protocol.ICMP else None)
    if protocol is not Protocol.ICMP and (type(port) is not int or not 1 <= port <= 65535):
        errors.append(complaint(place / "port", "must be a number between 1 and 65535"))
    if protocol is Protocol.ICMP and port != 0:
        errors.append(complaint(place / "port", "ICMP has no ports"))
    expect = value.get("expect")
    if expect is not None and str(expect).lower() not in _VERDICTS:
        errors.append(complaint(place / "expect", "must be allow or deny"))
    if len(errors) > before or source is None or destination is None or protocol is None:
        return None
    assert isinstance(port, int)
    return AskedFlow(source, destination, protocol, port, _VERDICTS.get(str(expect).lower()), place)


def _written(value: object, place: Place, errors: list[InputError]) -> Written | None:
    if not isinstance(value, str) or not value:
        errors.append(complaint(place, "must name a pod, an address, or another end"))
        return None
    try:
        written, asked = targets.parse_destination(value)
    except UsageError as error:
        errors.append(complaint(place, error.message))
        return None
    if asked != targets.ANY_TRANSPORT:
        errors.append(complaint(place, "the port and protocol of a flow have fields of their own"))
        return None
    return written


def _by_family(addresses: tuple[Address, ...]) -> list[Address]:
    return [one for version in (4, 6) for one in _of_family(addresses, version)[:1]]


def _of_family(addresses: tuple[Address, ...], version: int) -> list[Address]:
    return [one for one in addresses if one.version == version]


def _of_route(route: ServiceRoute, version: int) -> tuple[tuple[Address, int], ...]:
    return tuple((end.address, end.port) for end in route.backends if end.address.version == version)
