"""How exposed each workload is: where it could send what it knows, and what it could be sent.

    report = exposure(snapshot)
    for one in report.workloads: ...        Exposure(group, standing), the most exposed first

A `Standing` has the answers to all questions, exactly and with the rules that are to blame: the internet and other
ranges (`exposure_outside`), metadata services (`exposure_metadata`), API server, cluster DNS and nodes
(`exposure_places`), other namespaces (`exposure_namespaces`), pods that do not exist yet (`exposure_strangers`).

Nothing is weighed and no score is made. A `Finding` is a sentence that is true of a workload or is not; they have an
order, and workloads are compared by the first finding that one has and the other has not, then by name.

Work is done once for each identity, and what hangs on its egress policies alone once for each set of them, so it grows
with the number of kinds of pod and not with pods.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import replace

from outgate.analysis.exposure_asked import AskedThere, asked_there
from outgate.analysis.exposure_metadata import LINK_LOCAL_METADATA, Opened, opened
from outgate.analysis.exposure_namespaces import Neighbourhood, Neighbours
from outgate.analysis.exposure_outside import DNS_PORTS, DNS_TLS_PORTS, Extent, Share, extent, to_blame, within
from outgate.analysis.exposure_places import (
    Door,
    DoorAsked,
    Found,
    Place,
    Reach,
    api_server,
    asked_at,
    cluster_dns,
    distinct,
    passage,
    rules_through,
)
from outgate.analysis.exposure_strangers import Opening, openings
from outgate.analysis.groups import Group, Groups
from outgate.analysis.learning import Learning
from outgate.analysis.on_condition import Asked
from outgate.analysis.opened import Opening as OpenedName
from outgate.analysis.opened import learnable
from outgate.analysis.opened import openings as opened_names
from outgate.model import Direction, Pod, Snapshot
from outgate.packets import AddressSet, PacketSet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES, Family
from outgate.packets.special import INTERNET, RANGES, AddressRange
from outgate.policy import OUTGATE, Judge, Origin, Policies, Profile
from outgate.policy.grid import Grid, PolicyKey
from outgate.policy.rules import Action, BlockMatch, Rule, Tier
from outgate.policy.tiers import allowed
from outgate.records import dataclass

__all__ = [
    "KUBELET_PORT",
    "Exposure",
    "ExposureReport",
    "Finding",
    "NodesReached",
    "Outside",
    "PlaceReached",
    "Standing",
    "exposure",
]

KUBELET_PORT = 10250
"""Where the kubelet of each node listens, with the right to run commands in its pods behind it."""

_GOVERNED = TransportSet.governed()
_NO_PORT = TransportSet()


class Finding(enum.Enum):
    """What may be true of a workload, the worst first: this is the order of the report."""

    METADATA = "metadata"
    """It reaches a metadata address of a cloud, on more than DNS and time."""
    UNISOLATED = "unisolated"
    """No policy isolates it for egress."""
    INTERNET = "internet"
    """It reaches more than half of the internet, IPv4 or IPv6, on other ports than DNS."""
    DNS = "dns"
    """It reaches port 53 of more than half of the internet: any resolver, and so a tunnel."""
    API_SERVER = "apiserver"
    """It reaches the API server."""
    NODES = "nodes"
    """It reaches a node."""
    PART = "internet-part"
    """It reaches some address of the internet on other ports than DNS."""
    NAMESPACES = "namespaces"
    """It reaches a pod of another namespace."""
    ANY_POD = "any-pod"
    """It may reach any pod that anybody makes, in whichever namespace."""
    OPEN = "open-ingress"
    """Any pod that anybody makes may reach it."""


@dataclass(frozen=True, slots=True)
class PlaceReached:
    """Whether a place is reached: through which doors, and by which rules at either end."""

    reach: Reach
    doors: tuple[Door, ...] = ()
    origins: tuple[Origin, ...] = ()
    asked: tuple[DoorAsked, ...] = ()
    """What is asked at each of the doors; empty where nothing is at any."""

    @property
    def openly(self) -> bool:
        """Whether it is reached whatever is asked for."""
        if self.reach is not Reach.YES or not self.asked:
            return self.reach is Reach.YES
        return any(not any(one.chooses for one in door) for door in self.asked)


@dataclass(frozen=True, slots=True)
class NodesReached:
    """Which nodes are reached, on at least one port. Whether a pod reaches its own node is the profile's to say."""

    reach: Reach
    names: tuple[str, ...] = ()
    transports: TransportSet = _NO_PORT
    """What passes to at least one of them."""
    origins: tuple[Origin, ...] = ()
    asked: tuple[Asked, ...] = ()
    """What is asked of it above TCP, by the addresses."""
    openly: tuple[str, ...] = ()
    """Those that are reached whatever is asked for."""

    @property
    def kubelet(self) -> bool:
        """Whether the kubelet of any is reached."""
        return self.transports.contains(Protocol.TCP, KUBELET_PORT)


@dataclass(frozen=True, slots=True)
class Outside:
    """What is reached beyond the cluster, by the families that the workload has."""

    ranges: tuple[Extent, ...]
    internet: tuple[Extent, ...]
    """The internet without what passes on port 53 alone."""
    resolvers: tuple[Extent, ...]
    """Port 53 of the internet."""
    resolvers_tls: tuple[Extent, ...]
    """Port 853 of the internet."""
    clouds: tuple[Opened, ...]
    nodes: NodesReached = NodesReached(Reach.NO)
    names: tuple[OpenedName, ...] = ()
    """What rules about names open; where the names lead, nobody knows, so no range above has it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """All answers for one identity."""

    families: tuple[Family, ...]
    host_network: bool
    isolated: Mapping[Direction, tuple[Origin, ...]]
    """The policies that isolate it, the one with the fewest rules first."""
    outside: Outside
    api_server: PlaceReached
    dns: PlaceReached
    neighbours: Neighbours
    openings: Mapping[Direction, tuple[Opening, ...]]
    findings: tuple[Finding, ...]
    on_condition: tuple[Finding, ...] = ()
    """Of the findings those that hold only for what policies ask for: some requests, some questions, some servers."""

    @property
    def asks(self) -> bool:
        """Whether anything of it is only on a condition: what the table marks with a star."""
        nodes, near = self.outside.nodes, self.neighbours
        shares = (*self.outside.internet, *self.outside.resolvers)
        return (
            bool(self.on_condition)
            or any(one.share is not one.openly for one in shares)
            or any(one.reach is Reach.YES and not one.openly for one in (self.api_server, self.dns))
            or not all(one.openly for one in self.metadata())
            or nodes.names != nodes.openly
            or near.reaches != near.reaches_openly
        )

    def metadata(self) -> tuple[Opened, ...]:
        """The metadata addresses that are reached as such."""
        return tuple(one for one in self.outside.clouds if one.exposes_metadata)


@dataclass(frozen=True, slots=True)
class Exposure:
    """One workload, or a part of one that policies treat alike. Groups of equal standing share it."""

    group: Group
    standing: Standing


@dataclass(frozen=True, slots=True)
class ExposureReport:
    """Every workload, the most exposed first, and what was known of the places that they might reach."""

    profile: Profile
    workloads: tuple[Exposure, ...]
    api_server: Place
    dns: Place
    nodes: Mapping[str, AddressSet]
    undeclared: tuple[str, ...]
    """Namespaces that are only mentioned: of their labels no more than the name is known."""

    def having(self, finding: Finding) -> int:
        """How many workloads a finding is true of."""
        return sum(finding in one.standing.findings for one in self.workloads)

    def having_on_condition(self, finding: Finding) -> int:
        """Of how many of them it is true on a condition alone."""
        return sum(finding in one.standing.on_condition for one in self.workloads)

    def reaching_link_local_metadata(self, *, openly: bool = False) -> int:
        """How many reach 169.254.169.254, which most clouds share; those alone that do whatever is asked for."""
        return sum(
            any(
                each.place.address == LINK_LOCAL_METADATA and (each.openly or not openly)
                for each in one.standing.metadata()
            )
            for one in self.workloads
        )


def exposure(snapshot: Snapshot, profile: Profile = OUTGATE, *, grid: Grid | None = None) -> ExposureReport:
    """How exposed each workload of a snapshot is. `grid`: one of the same snapshot and profile, if there is one."""
    asked = _Asked(Grid(Policies(snapshot, profile)) if grid is None else grid)
    found = [Exposure(group, asked.standing(group.identity)) for group in Groups.of(asked.grid).all]
    ranks = {id(one.standing): _rank(one.standing) for one in found}
    # Groups come by namespace and name, and the sort is stable.
    found.sort(key=lambda one: ranks[id(one.standing)])
    undeclared = tuple(name for name, one in snapshot.namespaces.items() if not one.declared)
    return ExposureReport(asked.profile, tuple(found), asked.api_server, asked.dns, asked.nodes, undeclared)


def _rank(standing: Standing) -> tuple[int, ...]:
    """What is true as it stands comes before what is true on a condition, and that before what is not."""
    return tuple(
        2 if finding not in standing.findings else int(finding in standing.on_condition) for finding in Finding
    )


class _Asked:
    """The questions, asked of one grid, each once for all that have the same answer."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.profile = grid.policies.profile
        snapshot = grid.policies.snapshot
        self.api_server, self.dns = api_server(snapshot), cluster_dns(snapshot)
        names = {*snapshot.nodes, *(pod.node for pod in snapshot.endpoints if pod.host_network and pod.node)}
        addresses = {name: grid.policies.selection.node_addresses(name) for name in sorted(names)}
        self.nodes = {name: mine for name, mine in addresses.items() if mine}
        self._every_node = AddressSet.union_of(self.nodes.values())
        self._judge = Judge(grid.policies)
        self._dns_doors = tuple(distinct(grid, self.dns.doors))
        self._learning = Learning(self._judge, grid)
        self._neighbourhood = Neighbourhood(grid)
        self._standings: dict[int, Standing] = {}
        self._outsides: dict[tuple[PolicyKey, tuple[Family, ...]], Outside] = {}
        self._openings: dict[tuple[object, ...], tuple[Opening, ...]] = {}

    def standing(self, number: int) -> Standing:
        """The answers for an identity."""
        found = self._standings.get(number)
        if found is None:
            found = self._standings[number] = self._ask(number)
        return found

    def _ask(self, number: int) -> Standing:
        grid, identity = self.grid, self.grid.identities.all[number]
        families = tuple(family for family, where in zip(FAMILIES, identity.within, strict=True) if where is not None)
        pod = grid.identities.pods[number][0]
        standing = Standing(
            families,
            identity.host_network,
            {direction: self._isolating(number, direction) for direction in Direction},
            self._learnable(pod, self._outside(number, families)),
            self._reached(number, pod, self.api_server, self.api_server.doors),
            self._reached(number, pod, self.dns, self._dns_doors),
            self._neighbourhood.of(number),
            {direction: self._openings_of(number, direction) for direction in Direction},
            (),
        )
        findings = tuple(one for one in Finding if _holds(one, standing))
        asks = grid.has_conditions
        on_condition = tuple(one for one in findings if not _holds_openly(one, standing)) if asks else ()
        return replace(standing, findings=findings, on_condition=on_condition)

    def _isolating(self, number: int, direction: Direction) -> tuple[Origin, ...]:
        standing = self.grid.standing(self.grid.keys[direction][number], direction)
        # Policies of the whole cluster never isolate; but who is denied something is not open. The same is said of what
        # Cilium's deny where nothing isolates.
        denying = (
            one.origin
            for one in standing.every_rule()
            if one.action is Action.DENY and not (standing.policies and one.tier is Tier.NETWORK_POLICY)
        )
        return tuple(dict.fromkeys((*standing.origins, *denying)))

    def _openings_of(self, number: int, direction: Direction) -> tuple[Opening, ...]:
        # On ingress the names of ports are the identity's own; on egress they stay names.
        ports = self.grid.identities.all[number].ports if direction is Direction.INGRESS else ()
        key = (direction, self.grid.keys[direction][number], ports)
        found = self._openings.get(key)
        if found is None:
            found = self._openings[key] = openings(self.grid, number, direction)
        return found

    # ---- places ------------------------------------------------------------------------------------------------------

    def _reached(self, number: int, pod: Pod, place: Place, doors: tuple[Door, ...]) -> PlaceReached:
        if place.found is Found.UNKNOWN:
            return PlaceReached(self._anywhere(number))
        passed: list[Door] = []
        asked: list[DoorAsked] = []
        origins: dict[Origin, None] = {}
        for door, trace in passage(self._judge, pod, doors):
            if trace.verdict.allows:
                passed.append(door)
                asked.append(asked_at(door, trace))
                origins.update(dict.fromkeys(rules_through(self._judge, pod, door, trace)))
        found = tuple(asked) if any(asked) else ()
        return PlaceReached(Reach.YES if passed else Reach.NO, tuple(passed), tuple(origins), found)

    def _anywhere(self, number: int) -> Reach:
        """Of a place that nobody knows: reached by whom no policy holds, by nobody who may send nothing at all."""
        if not self.grid.keys[Direction.EGRESS][number]:
            return Reach.YES
        # By address or by label, in the cluster or out of it: every way that its rules open is an opening.
        blocks = within(self.grid.outside(number, Direction.EGRESS), _GOVERNED)
        return Reach.UNKNOWN if blocks or self._openings_of(number, Direction.EGRESS) else Reach.NO

    # ---- outside -----------------------------------------------------------------------------------------------------

    def _outside(self, number: int, families: tuple[Family, ...]) -> Outside:
        key = self.grid.keys[Direction.EGRESS][number]
        found = self._outsides.get((key, families))
        if found is None:
            everything = AddressSet.union_of(map(AddressSet.whole, families))
            packets = within(self.grid.outside(number, Direction.EGRESS), _GOVERNED).restrict(everything)
            names = opened_names(self.grid, number)
            found = self._outsides[key, families] = replace(
                self._laid_out(key, packets, families, self._asked_outside(number)),
                names=names,
                nodes=self._nodes(number, families),
            )
        return found

    def _learnable(self, pod: Pod, outside: Outside) -> Outside:
        return replace(outside, names=learnable(self._learning, pod, outside.names))

    def _asked_outside(self, number: int) -> AskedThere:
        return asked_there(self.grid, number, PacketSet.any(), lambda rule: self.grid.packets_outside(rule, number))

    def _laid_out(self, key: PolicyKey, packets: PacketSet, families: tuple[Family, ...], there: AskedThere) -> Outside:
        names, tls = within(packets, DNS_PORTS), within(packets, DNS_TLS_PORTS)
        beyond = within(packets, _GOVERNED - DNS_PORTS)
        ranges = [one for one in RANGES if one.family in families]
        internet = [one for one in INTERNET if one.family in families]
        clouds = (
            replace(
                one,
                origins=self._blame(key, AddressSet.of((one.place.address,)), one.transports),
                asked=there.of(PacketSet.cube(AddressSet.of((one.place.address,)), one.transports)),
            )
            for one in opened(packets)
        )
        return Outside(
            tuple(self._extent(key, one, packets, there) for one in ranges),
            tuple(self._extent(key, one, beyond, there) for one in internet),
            tuple(self._extent(key, one, names, there) for one in internet),
            tuple(self._extent(key, one, tls, there) for one in internet),
            tuple(clouds),
        )

    def _extent(self, key: PolicyKey, where: AddressRange, packets: PacketSet, there: AskedThere) -> Extent:
        found = extent(where, packets, there)
        return replace(found, origins=self._blame(key, found.addresses, found.transports)) if found.parts else found

    def _blame(self, key: PolicyKey, addresses: AddressSet, transports: TransportSet) -> tuple[Origin, ...]:
        return to_blame(self.grid, key, Direction.EGRESS, addresses, transports)

    def _nodes(self, number: int, families: tuple[Family, ...]) -> NodesReached:
        grid, key = self.grid, self.grid.keys[Direction.EGRESS][number]
        everything = AddressSet.union_of(map(AddressSet.whole, families))
        if not self.nodes:
            # What is not in the input is an address outside like any other.
            some = within(grid.outside(number, Direction.EGRESS), _GOVERNED).restrict(everything)
            return NodesReached((Reach.UNKNOWN if some else Reach.NO) if key else Reach.YES)
        nodes = PacketSet.cube(self._every_node & everything, _GOVERNED)

        def extent(rule: Rule) -> PacketSet:
            return PacketSet.cube(self._nodes_of(rule), grid.ports_outside(rule, number)) & nodes

        reached = allowed(grid.standing(key, Direction.EGRESS), nodes, extent) if key else nodes
        if not reached:
            return NodesReached(Reach.NO)
        addresses, transports = reached.addresses(), TransportSet()
        for _, mine in reached:
            transports |= mine
        origins = (rule.origin for rule in grid.accepting(key, Direction.EGRESS) if extent(rule) & reached)
        there = asked_there(grid, number, nodes, extent)
        names = self._named(addresses)
        openly = self._named((reached - there.chosen(reached)).addresses()) if there.packets else names
        return NodesReached(Reach.YES, names, transports, tuple(dict.fromkeys(origins)), there.of(reached), openly)

    def _named(self, addresses: AddressSet) -> tuple[str, ...]:
        every = addresses == self._every_node
        return tuple(name for name, mine in self.nodes.items() if every or not mine.isdisjoint(addresses))

    def _nodes_of(self, rule: Rule) -> AddressSet:
        """The nodes that a rule speaks of. Cilium's blocks mean what is outside of the cluster, and no node is."""
        if rule.peers is None:
            return self._every_node
        blocks = (peer for peer in rule.peers if isinstance(peer, BlockMatch) and not peer.outside)
        return AddressSet.union_of(peer.addresses for peer in blocks) & self._every_node


def _holds(finding: Finding, standing: Standing) -> bool:
    outside = standing.outside
    match finding:
        case Finding.METADATA:
            return bool(standing.metadata())
        case Finding.UNISOLATED:
            return not standing.isolated[Direction.EGRESS]
        case Finding.INTERNET:
            return any(one.share.wide for one in outside.internet)
        case Finding.DNS:
            return any(one.share.wide for one in outside.resolvers)
        case Finding.API_SERVER:
            return standing.api_server.reach is Reach.YES
        case Finding.NODES:
            return outside.nodes.reach is Reach.YES
        case Finding.PART:
            return any(one.share is not Share.NONE for one in outside.internet)
        case Finding.NAMESPACES:
            return bool(standing.neighbours.reaches)
        case Finding.ANY_POD:
            return any(one.anybody for one in standing.openings[Direction.EGRESS])
        case Finding.OPEN:
            return any(one.anybody for one in standing.openings[Direction.INGRESS])


def _holds_openly(finding: Finding, standing: Standing) -> bool:
    """Whether a finding that holds would hold without all that passes only for what is asked."""
    outside = standing.outside
    match finding:
        case Finding.METADATA:
            return any(one.openly for one in standing.metadata())
        case Finding.INTERNET:
            return any(one.openly.wide for one in outside.internet)
        case Finding.DNS:
            return any(one.openly.wide for one in outside.resolvers)
        case Finding.API_SERVER:
            return standing.api_server.openly
        case Finding.NODES:
            return bool(outside.nodes.openly) or not outside.nodes.names
        case Finding.PART:
            return any(one.openly is not Share.NONE for one in outside.internet)
        case Finding.NAMESPACES:
            return bool(standing.neighbours.reaches_openly)
        case Finding.ANY_POD:
            return any(one.anybody and one.openly for one in standing.openings[Direction.EGRESS])
        case Finding.OPEN:
            return any(one.anybody and one.openly for one in standing.openings[Direction.INGRESS])
        case Finding.UNISOLATED:
            return True
