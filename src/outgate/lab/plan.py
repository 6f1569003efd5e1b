"""What is probed, and what should come of it.

A plan is data: every probe says from where, to which address and port, by which way of naming it, who
should answer, and what the policies make of the flow to each of those who may. The order is that of names
and numbers alone, so the same input gives the same plan.

A flow through a Service is judged after translation, once for each backend. Where the policies treat
backends differently, the answer itself tells which of them was picked; where none comes, the one picked may have been
a denied one, and that is what is expected then.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from outgate.errors import TooComplex
from outgate.lab.names import DNS_PORT, Zone
from outgate.lab.topology import Topology
from outgate.model.objects import Address
from outgate.packets import Protocol
from outgate.policy import Endpoint, Flow, Judge, Trace, Verdict
from outgate.policy.meeting import UNSEEN
from outgate.proxy.dns import RecordType

__all__ = ["MAX_PROBES", "Draft", "Lookup", "Party", "Plan", "Planner", "Probe", "Via", "echo_coordinate", "listeners"]

MAX_PROBES = 200_000
"""Probes in one run: about half a minute of sending. Past it the plan is refused, not thinned out."""


class Via(enum.Enum):
    """By which name the destination is dialled."""

    POD = "pod"
    ADDRESS = "address"
    SERVICE = "service"
    NAME = "name"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Party:
    """One who may answer: the box and the port there, and what the policies make of the flow to it."""

    box: str
    """The name of a network namespace."""
    port: int
    trace: Trace

    @property
    def verdict(self) -> Verdict:
        """Whether the flow to this party may pass."""
        return self.trace.verdict


@dataclass(frozen=True, slots=True)
class Lookup:
    """A name that the client asks for before it connects, at an address that it knows as its DNS server."""

    name: str
    kind: RecordType
    source: Address
    """Where it asks from: its own address of the server's family, which need not be that of the answer."""
    server: Address
    expected: tuple[Address, ...]
    """Every address that the answer must have, and no other."""
    parties: tuple[Party, ...]
    """The DNS servers behind the address."""

    @property
    def verdict(self) -> Verdict:
        """Whether the question may get through."""
        return _common(self.parties)


@dataclass(frozen=True, slots=True)
class Probe:
    """One flow to try."""

    number: int
    box: str
    """Where it is sent from: the name of a network namespace."""
    source: Endpoint
    destination: Endpoint
    """What was meant: a pod, a node or an outside address; behind a Service with several backends, the first."""
    address: Address
    """What is dialled."""
    protocol: Protocol
    port: int
    """0 for an ICMP echo."""
    via: Via
    parties: tuple[Party, ...]
    service: str = ""
    """``namespace/name`` of the Service that is dialled."""
    lookup: Lookup | None = None
    asks_dns: bool = False
    """The request is a DNS query, because a DNS server listens there."""
    reason: str = ""
    """Why this address is worth a probe, where that is not plain: ``just outside 10.0.0.0/8``."""
    demanded: Verdict | None = None
    """What a file of flows says must come of it."""
    prompt: bool = False
    """Of a connection that is allowed, the very first packet has to pass, and it is tried once: an address has to be
    open before its name is answered, and not soon after."""

    @property
    def verdict(self) -> Verdict:
        """What the policies say: allowed if the name may be asked for and every party may be reached."""
        if self.lookup is not None and not self.lookup.verdict.allows:
            return Verdict.DENY
        return _common(self.parties)

    @property
    def specified(self) -> bool:
        """False where the API leaves the answer to the network plugin."""
        asked = self.lookup.parties if self.lookup is not None else ()
        return all(party.trace.specified for party in (*asked, *self.parties))


def _common(parties: Sequence[Party]) -> Verdict:
    return Verdict.ALLOW if all(party.verdict.allows for party in parties) else Verdict.DENY


def echo_coordinate(family: int) -> int:
    """Where an ICMP echo request stands among the types and codes (RFC 792, RFC 4443)."""
    return (8 if family == 4 else 128) * 256


@dataclass(frozen=True, slots=True)
class Plan:
    """All probes of a run, and what the reader must know of what is not among them."""

    probes: tuple[Probe, ...]
    notes: tuple[str, ...] = ()
    unmentioned: int | None = None
    """The port that stands for all that nobody mentions."""

    def listeners(self) -> Mapping[str, frozenset[tuple[Protocol, int]]]:
        """What each box has to answer on."""
        return listeners(self.probes)


def listeners(probes: Iterable[Probe]) -> Mapping[str, frozenset[tuple[Protocol, int]]]:
    """What each box has to answer on, by its network namespace."""
    found: dict[str, set[tuple[Protocol, int]]] = {}
    for probe in probes:
        asked = probe.lookup.parties if probe.lookup is not None else ()
        for party in asked:
            found.setdefault(party.box, set()).add((Protocol.UDP, party.port))
        for party in probe.parties:
            found.setdefault(party.box, set()).add((probe.protocol, party.port))
    return {box: frozenset(many) for box, many in found.items()}


@dataclass(frozen=True, slots=True)
class Draft:
    """A probe before it is judged: who is meant, how, and where the translation leads."""

    source: Endpoint
    address: Address
    protocol: Protocol
    port: int
    via: Via
    ends: tuple[tuple[Address, int], ...] = ()
    """The backends' addresses and ports; none where what is dialled is not translated."""
    service: str = ""
    name: str = ""
    reason: str = ""
    demanded: Verdict | None = None


@dataclass(slots=True)
class Planner:
    """Judges drafts and numbers them. A flow that was drafted already is not drafted again."""

    topology: Topology
    judge: Judge
    dns: Mapping[int, tuple[Address, tuple[tuple[Address, int], ...]]]
    """By family: the address that pods know as their DNS server, and the servers behind it."""
    dns_ports: frozenset[tuple[Address, Protocol, int]] = frozenset()
    """Where a DNS server listens: what is sent there is a DNS query."""
    zone: Zone = field(default_factory=Zone)
    """What names stand for."""
    probes: list[Probe] = field(default_factory=list)
    _seen: set[tuple[object, ...]] = field(default_factory=set)
    _lookups: dict[tuple[str, Address], Lookup] = field(default_factory=dict)

    def add(self, drafts: Iterable[Draft]) -> None:
        """Judges drafts in their order.

        Raises:
            TooComplex: there are more than `MAX_PROBES`.
        """
        for draft in drafts:
            key = (draft.source.address, draft.address, draft.protocol, draft.port, draft.name)
            if key in self._seen:
                continue
            self._seen.add(key)
            if len(self.probes) >= MAX_PROBES:
                raise TooComplex(
                    f"the plan has more than {MAX_PROBES} probes",
                    hint="--max-pods and --pods-per-workload make the lab smaller; --flows FILE names what to probe",
                )
            self.probes.append(self._judged(draft))

    def _judged(self, draft: Draft) -> Probe:
        dialled = (draft.address, draft.port) if draft.ends and draft.service else None
        parties = tuple(
            self.party(draft.source, address, draft.protocol, port, dialled)
            for address, port in draft.ends or ((draft.address, draft.port),)
        )
        ends = {(party.trace.flow.destination.address, draft.protocol, party.port) for party in parties}
        return Probe(
            len(self.probes),
            self.box_of(draft.source),
            draft.source,
            parties[0].trace.flow.destination,
            draft.address,
            draft.protocol,
            draft.port,
            draft.via,
            parties,
            draft.service,
            self.lookup(draft.source, draft.name) if draft.name else None,
            asks_dns=ends <= self.dns_ports,
            reason=draft.reason,
            demanded=draft.demanded,
        )

    def party(
        self, source: Endpoint, address: Address, protocol: Protocol, port: int, dialled: tuple[Address, int] | None
    ) -> Party:
        """Who holds an address, and the verdict of a flow to it."""
        end = self.endpoint(address)
        coordinate = port if protocol.has_ports else echo_coordinate(address.version)
        # The lab has no proxy: what passes on a condition alone is not looked into, and does not pass.
        trace = self.judge.judge(Flow(source, end, int(protocol), coordinate, dialled, about=UNSEEN))
        return Party(self.box_of(end), port, trace)

    def resolver(self, source: Endpoint) -> Endpoint | None:
        """The end from which a client asks for names: itself, or its address of the family that its server has."""
        if source.address.version in self.dns:
            return source
        for version in self.dns:
            other = Endpoint.of_pod(source.pod, version) if source.pod else None
            if other is not None:
                return Endpoint(other.address, source.pod, source.node)
        return None

    def lookup(self, source: Endpoint, name: str) -> Lookup:
        """The question of an end for a name. It must be one that can ask (`resolver`)."""
        found = self._lookups.get((name, source.address))
        if found is None:
            asker = self.resolver(source)
            assert asker is not None, "a name is drafted for those alone who can ask"
            server, servers = self.dns[asker.address.version]
            family = source.address.version
            kind = RecordType.A if family == 4 else RecordType.AAAA
            expected = tuple(one for one in self.zone.resolve(name) if one.version == family)
            dialled = None if (server, DNS_PORT) in servers else (server, DNS_PORT)
            parties = tuple(self.party(asker, one, Protocol.UDP, port, dialled) for one, port in servers)
            found = Lookup(name, kind, asker.address, server, expected, parties)
            self._lookups[name, source.address] = found
        return found

    def endpoint(self, address: Address) -> Endpoint:
        """Whoever holds an address in the lab."""
        return Endpoint.at(self.judge.policies.snapshot, address)

    def box_of(self, end: Endpoint) -> str:
        """The network namespace of an end."""
        if end.pod is not None and end.pod.key in self.topology.pods:
            return self.topology.pods[end.pod.key].namespace
        if end.node is not None and end.node.name in self.topology.nodes:
            return self.topology.nodes[end.node.name].namespace
        return self.topology.world.namespace
