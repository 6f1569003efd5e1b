"""Which flows hang on the network plugin: those that two profiles judge differently, and why.

    between workloads      the lists of all profiles, group by group; where one of them tells the pods of a group
                           apart, and the answers differ, part by part
    with nodes             a pod and its own node, and one other of each kind that blocks tell apart, both ways
    through Services       each port of each Service, also from a pod to itself

What differs is given exactly: the ports are divided by who lets them pass. The reason is that of a witness, one flow
for each set of ports, asked under each reading by itself (`Judge.why_otherwise`). Groups under the same policies are
asked once where only their policies matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from outgate.analysis.connections import Connections, connections
from outgate.analysis.flows import aims
from outgate.analysis.groups import Group
from outgate.analysis.lookup import NodeTarget, ServiceTarget
from outgate.analysis.ports import pair_ports
from outgate.analysis.targets import TransportAsked
from outgate.errors import TooComplex
from outgate.model import Node, Pod, Service, Snapshot
from outgate.packets import Address, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES
from outgate.policy import PROFILES, Endpoint, Flow, Judge, Policies
from outgate.policy.identity import members
from outgate.records import dataclass

__all__ = ["MOST_FLOWS", "Depends", "End", "plugin_differences"]

MOST_FLOWS = 300_000
"""Flows through Services and with nodes that are judged for one answer; about half a minute."""

_GOVERNED = TransportSet.governed()
_NOTHING = TransportSet()
_BETWEEN_PODS = frozenset(
    (
        *("blocks_match_pods", "blocks_match_nodes", "host_network_isolated", "host_network_selected"),
        *("names_need_selectors", "hidden_labels"),
    )
)
"""The points that a flow between two pods, by their own addresses, can touch."""

End = Group | NodeTarget | ServiceTarget


@dataclass(frozen=True, slots=True)
class Depends:
    """Ports of one pair of ends on which profiles differ. Every profile is in one of the two."""

    source: End
    destination: End
    transports: TransportSet
    allowed_by: tuple[str, ...]
    denied_by: tuple[str, ...]
    reasons: tuple[str, ...]
    own_node: bool = False
    """The node is the one that the pod runs on."""


def plugin_differences(snapshot: Snapshot, focus: Iterable[tuple[str, str]] = ()) -> Iterator[Depends]:
    """Everything that hangs on the plugin; with `focus`, only with an end among the groups of these pods.

    Raises TooComplex where too many flows would have to be judged one by one.
    """
    asking = _Asking(snapshot, frozenset(focus))
    yield from asking.between_groups()
    yield from asking.with_nodes()
    yield from asking.through_services()


class _Asking:
    """The same questions under every profile, and how many flows have been judged for them."""

    def __init__(self, snapshot: Snapshot, focus: frozenset[tuple[str, str]]) -> None:
        self.snapshot = snapshot
        self.ours: Connections = connections(snapshot)
        self.judges: Mapping[str, Judge] = {
            name: Judge(Policies(snapshot, profile)) for name, profile in PROFILES.items()
        }
        self.focus = set(self.ours.of_pods(focus)) if focus else None
        self.judged = 0

    def wanted(self, *ends: Group) -> bool:
        return self.focus is None or any(end in self.focus for end in ends)

    # ---- between workloads -------------------------------------------------------------------------------------------

    def between_groups(self) -> Iterator[Depends]:
        lists = {name: self._list(name) for name in PROFILES}
        parts = _in_parts(self.ours.groups.all, lists.values())
        places = {name: _identities(found) for name, found in lists.items()}
        groups = self.ours.groups.all
        for source in groups:
            rows = [
                {name: _row(lists[name], places[name][part.pods[0].key]) for name in PROFILES} for part in parts[source]
            ]
            for destination in groups:
                if source.workload == destination.workload or not self.wanted(source, destination):
                    continue
                passing = {
                    (part, other): {name: row[name].get(places[name][other.pods[0].key], _NOTHING) for name in PROFILES}
                    for part, row in zip(parts[source], rows, strict=True)
                    for other in parts[destination]
                }
                answers = list(passing.values())
                if all(one == answers[0] for one in answers):
                    passing = {(source, destination): answers[0]}
                for ends, mine in passing.items():
                    yield from self._depending(*ends, mine)

    def _list(self, name: str) -> Connections:
        """The list of a profile; ours where the profile differs in nothing that a flow between pods can touch."""
        differing = PROFILES["outgate"].differing(PROFILES[name])
        if _BETWEEN_PODS.isdisjoint(differing):
            return self.ours
        return connections(self.snapshot, PROFILES[name], previous=self.ours)

    def _depending(self, source: Group, destination: Group, passing: Mapping[str, TransportSet]) -> Iterator[Depends]:
        for transports, allowed in _divided(passing):
            denied = tuple(name for name in passing if name not in allowed)
            reasons: tuple[str, ...] = ()
            for family in FAMILIES:
                ends = Endpoint.of_pod(source.pods[0], family), Endpoint.of_pod(destination.pods[0], family)
                if not reasons and ends[0] is not None and ends[1] is not None:
                    reasons = self._why(ends[0], ends[1], transports, allowed, denied)
            yield Depends(source, destination, transports, allowed, denied, reasons)

    def _why(
        self,
        source: Endpoint,
        destination: Endpoint,
        transports: TransportSet,
        allowed: tuple[str, ...],
        denied: tuple[str, ...],
    ) -> tuple[str, ...]:
        """The reasons of one flow, the first of the ports, by one profile of each side."""
        protocol, points = next(iter((transports & _GOVERNED).items()))
        flow = Flow(source, destination, int(protocol), max(points.lowest(), min(1, points.spans[-1][1])))
        return self._reasons(flow, allowed, denied)

    def _reasons(self, flow: Flow, allowed: tuple[str, ...], denied: tuple[str, ...]) -> tuple[str, ...]:
        mine, others = (allowed, denied) if "outgate" in allowed else (denied, allowed)
        judge = self.judges["outgate" if "outgate" in mine else mine[0]]
        found = (words for name in others for words in judge.why_otherwise(flow, PROFILES[name]))
        return tuple(dict.fromkeys(found))

    # ---- nodes -------------------------------------------------------------------------------------------------------

    def with_nodes(self) -> Iterator[Depends]:
        for group in self.ours.groups.all:
            pod = group.pods[0]
            if pod.host_network or not self.wanted(group):
                continue
            mine = [self.snapshot.nodes[pod.node]] if pod.node in self.snapshot.nodes else []
            others = [next((node for node in kind if node not in mine), None) for kind in self._kinds_of_node]
            for node in (*mine, *others):
                if node is not None and node.addresses:
                    yield from self._with_node(group, pod, node, own=node in mine)

    @cached_property
    def _kinds_of_node(self) -> tuple[tuple[Node, ...], ...]:
        """The nodes by what the blocks of policies tell apart. Of each kind two: one may be the pod's own."""
        found: dict[tuple[tuple[bool, ...], ...], list[Node]] = {}
        for node in self.snapshot.nodes.values():
            sign = tuple(sorted(map(self._blocks_of, node.addresses)))
            found.setdefault(sign, []).append(node)
        return tuple(tuple(nodes[:2]) for nodes in found.values())

    def _with_node(self, group: Group, pod: Pod, node: Node, *, own: bool) -> Iterator[Depends]:
        """What hangs on the plugin between a pod and a node, by the first of its addresses where anything does."""
        for here, there in self._ends(pod, node):
            found: list[Depends] = []
            for start, end in ((here, there), (there, here)):
                self._count(len(PROFILES))
                passing = {name: pair_ports(judge, start, end).allowed for name, judge in self.judges.items()}
                for transports, allowed in _divided(passing):
                    denied = tuple(name for name in passing if name not in allowed)
                    reasons = self._why(start, end, transports, allowed, denied)
                    ends: tuple[End, End] = (group, NodeTarget(node)) if start is here else (NodeTarget(node), group)
                    found.append(Depends(*ends, transports, allowed, denied, reasons, own))
            if found:
                yield from found
                return

    def _ends(self, pod: Pod, node: Node) -> Iterator[tuple[Endpoint, Endpoint]]:
        """A pod and a node, by one address of the node for all that lie in the same blocks."""
        asked: set[tuple[bool, ...]] = set()
        for address in node.addresses:
            here = Endpoint.of_pod(pod, address.version)
            sign = self._blocks_of(address)
            if here is not None and sign not in asked:
                asked.add(sign)
                yield here, Endpoint(address, None, node)

    def _blocks_of(self, address: Address) -> tuple[bool, ...]:
        return tuple(address in block for block in self.ours.grid.lens.blocks)

    # ---- Services ----------------------------------------------------------------------------------------------------

    def through_services(self) -> Iterator[Depends]:
        for service in self.snapshot.services:
            if service.headless or service.external_name:
                continue
            behind = {pod.key for pod in self.snapshot.backends(service)}
            known: dict[tuple[object, ...], tuple[tuple[int, tuple[str, ...], tuple[str, ...]], ...]] = {}
            for group in self.ours.groups.all:
                if not self.wanted(group):
                    continue
                itself = any(pod.key in behind for pod in group.pods)
                key = (group.identity, itself and group.workload)
                if key not in known:
                    known[key] = tuple(self._through(group, service, behind))
                for port, allowed, reasons in known[key]:
                    yield self._service_depends(group, service, service.ports[port].port, port, allowed, reasons)

    def _service_depends(
        self, group: Group, service: Service, number: int, port: int, allowed: tuple[str, ...], reasons: tuple[str, ...]
    ) -> Depends:
        transports = TransportSet.ports(Protocol[service.ports[port].protocol], number)
        denied = tuple(name for name in PROFILES if name not in allowed)
        return Depends(group, ServiceTarget(service), transports, allowed, denied, reasons)

    def _through(
        self, group: Group, service: Service, behind: set[tuple[str, str]]
    ) -> Iterator[tuple[int, tuple[str, ...], tuple[str, ...]]]:
        """The ports of a Service (by their place) on which profiles differ for a group."""
        pod = next((one for one in group.pods if one.key in behind), group.pods[0])
        for place, port in enumerate(service.ports):
            flows = list(self._flows(pod, service, port.port, Protocol[port.protocol]))
            if not flows:
                continue
            self._count(len(flows) * len(PROFILES))
            passing = {
                name: all(judge.judge(flow).verdict.allows for flow in flows) for name, judge in self.judges.items()
            }
            allowed = tuple(name for name, passes in passing.items() if passes)
            if 0 < len(allowed) < len(passing):
                denied = tuple(name for name in passing if name not in allowed)
                reasons = dict.fromkeys(words for flow in flows for words in self._reasons(flow, allowed, denied))
                yield place, allowed, tuple(reasons)

    def _flows(self, pod: Pod, service: Service, port: int, protocol: Protocol) -> Iterator[Flow]:
        for family in FAMILIES:
            start = Endpoint.of_pod(pod, family)
            if start is None:
                continue
            there = aims(self.snapshot, ServiceTarget(service), TransportAsked(port, int(protocol)), family)
            mine = [aim for aim in there.aims if aim.end.address.version == family]
            yield from (Flow(start, aim.end, aim.protocol, aim.coordinate, aim.dialled, service) for aim in mine)
            if mine:
                return

    def _count(self, flows: int) -> None:
        self.judged += flows
        if self.judged > MOST_FLOWS:
            raise TooComplex(
                f"more than {MOST_FLOWS:,} flows would have to be judged one by one",
                hint="name a workload with --focus",
            )


def _in_parts(groups: Iterable[Group], lists: Iterable[Connections]) -> Mapping[Group, tuple[Group, ...]]:
    """Each group, divided where any of the lists tells its pods apart: by their names, for no label of ours does."""
    theirs = [{pod.key: group for group in one.groups.all for pod in group.pods} for one in dict.fromkeys(lists)]
    found: dict[Group, tuple[Group, ...]] = {}
    for group in groups:
        parts: dict[tuple[Group, ...], list[Pod]] = {}
        for pod in group.pods:
            parts.setdefault(tuple(by_pod[pod.key] for by_pod in theirs), []).append(pod)
        several = (replace(group, pods=tuple(pods), split=True, part=()) for pods in parts.values())
        found[group] = tuple(several) if len(parts) > 1 else (group,)
    return found


def _identities(found: Connections) -> Mapping[tuple[str, str], int]:
    return {pod.key: number for number, pods in enumerate(found.grid.identities.pods) for pod in pods}


def _row(found: Connections, number: int) -> dict[int, TransportSet]:
    sets = found.grid.transports.sets
    return {other: sets[transports] for transports, bits in found.grid.joined(number) for other in members(bits)}


def _divided(passing: Mapping[str, TransportSet]) -> Iterator[tuple[TransportSet, tuple[str, ...]]]:
    """The ports that not all let pass, divided by who does."""
    first = next(iter(passing.values()))
    if all(one is first for one in passing.values()):
        return
    distinct = dict.fromkeys(one & _GOVERNED for one in passing.values())
    if len(distinct) == 1:
        return
    parts: dict[tuple[bool, ...], TransportSet] = {(): _GOVERNED}
    for one in distinct:
        finer: dict[tuple[bool, ...], TransportSet] = {}
        for sign, transports in parts.items():
            for inside, piece in ((True, transports & one), (False, transports - one)):
                if piece:
                    finer[*sign, inside] = piece
        parts = finer
    order = list(distinct)
    for sign, transports in parts.items():
        allowed = tuple(name for name, mine in passing.items() if sign[order.index(mine & _GOVERNED)])
        if 0 < len(allowed) < len(passing):
            yield transports, allowed
