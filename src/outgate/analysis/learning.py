"""Which names a pod can learn: whether a question for one passes to anybody who could answer it.

A rule about a name grants no DNS. It opens the addresses that the pod was told, so where nothing can be asked nothing
is opened ("IPs are learned only from answers that went through the DNS proxy", Cilium; NPEP-133 alike).

    cluster    a question passes to the cluster's DNS: what is in the resolv.conf of pods
    elsewhere  not there, but to port 53 of somebody else: another resolver could tell the name
    beside     of no question of its own, but a pod that may be on its node learns it (Cilium)
    nowhere    to nobody, so that the pod never learns the name
    unknown    the cluster's DNS is not in the input: nor need be the policies that let pods ask it

What passes is an exact set of packets, by the tiers, the denials and the rules of the pod together. A rule that says
which names may be asked lets through those alone.

Cilium itself hears the questions alone that a rule with ``rules.dns`` is about (`Profile.names_need_dns_rules`), be
there others that let them pass as well: "nil L7 rules wildcard L7. When merging with a non-nil rule, the nil must be
expanded to an actual wildcard rule for the specific L7" (pkg/policy/rule.go). And a rule about a name then holds what
any pod of the node has learned.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

from outgate.analysis.exposure_outside import DNS_PORTS
from outgate.analysis.exposure_places import Door, cluster_dns, distinct, doors_of, passage, speaks_of
from outgate.model import Direction, Pod
from outgate.packets import AddressSet, PacketSet, Protocol, TransportSet
from outgate.policy import Judge, Rule, Trace
from outgate.policy.grid import Grid
from outgate.policy.name_overlap import asks_some, may_ask_some
from outgate.policy.names import Dialect, Pattern, plain
from outgate.policy.rules import Conditions
from outgate.policy.tiers import partition

__all__ = ["Learning", "Way", "exactly"]

_DNS = 53
_Lists = tuple[Conditions, ...]


class Way(enum.Enum):
    """How a pod may learn a name."""

    CLUSTER = "cluster"
    ELSEWHERE = "elsewhere"
    BESIDE = "beside"
    NOWHERE = "nowhere"
    UNKNOWN = "unknown"


class Learning:
    """For the pods of one judge. With a `grid` of the same policies, servers that are treated alike are asked once.

    `heard_alone`: whether questions teach only where a rule with ``rules.dns`` is about them; None: as the profile has
    it.
    """

    def __init__(self, judge: Judge, grid: Grid | None = None, *, heard_alone: bool | None = None) -> None:
        self.judge = judge
        self._grid = grid
        self._kinds: dict[tuple[str, str], object] = {}
        self._ways: dict[object, list[Trace]] = {}
        self._listed: dict[object, _Lists] = {}
        self._found: dict[object, Way] = {}
        self._taught: dict[tuple[Pattern, ...], Pod | None] = {}
        self._teachers: dict[tuple[int, tuple[bool, ...]], Pod | None] = {}
        self.heard_alone = judge.policies.profile.names_need_dns_rules if heard_alone is None else heard_alone

    @cached_property
    def servers(self) -> tuple[Door, ...]:
        """The cluster's DNS; empty where it is not in the input."""
        return cluster_dns(self.judge.policies.snapshot).doors

    @cached_property
    def _told_apart(self) -> tuple[Door, ...]:
        return self.servers if self._grid is None else tuple(distinct(self._grid, self.servers))

    @cached_property
    def _serving(self) -> frozenset[tuple[str, str]]:
        """A server reaches itself, whatever policies say."""
        return frozenset(door.end.pod.key for door in self.servers if door.end.pod is not None)

    @cached_property
    def _choosy(self) -> bool:
        """Whether a policy says who is let in to any of the servers."""
        pods = (door.end.pod for door in self._told_apart if door.end.pod is not None)
        return any(self.judge.policies.isolation(one, Direction.INGRESS).governed for one in pods)

    def of(self, pod: Pod, name: str) -> Way:
        """How a pod may learn a name."""
        return self.some(pod, (exactly(name),))

    def some(self, pod: Pod, patterns: Sequence[Pattern]) -> Way:
        """How a pod may learn any name that all of some patterns mean."""
        if pod.host_network:
            return Way.CLUSTER
        own = self._by_itself(pod, tuple(patterns))
        return Way.BESIDE if own is Way.NOWHERE and self.teacher(patterns) is not None else own

    def opens(self, pod: Pod, patterns: Sequence[Pattern]) -> bool:
        """Whether a rule about such names may open anything to a pod: it may learn one that leads anywhere.

        That of a Service with an address of its own does not: no packet is judged by that address.
        """
        leads = not any(one.text in self._translated for one in map(plain, patterns))
        return leads and self.some(pod, patterns) is not Way.NOWHERE

    @cached_property
    def _translated(self) -> frozenset[str]:
        services = self.judge.policies.snapshot.services
        return frozenset(one.dns_name for one in services if not (one.headless or one.external_name))

    def teacher(self, patterns: Sequence[Pattern]) -> Pod | None:
        """A pod whose questions teach all pods of its node such a name, if there is one.

        Pods move, so which nodes they are on now does not count.
        """
        if not self.heard_alone:
            return None
        key = tuple(patterns)
        if key not in self._taught:
            self._taught[key] = next(
                filter(None, (self._teacher_of(number, key) for number in range(len(self._heard)))), None
            )
        return self._taught[key]

    def _teacher_of(self, number: int, patterns: tuple[Pattern, ...]) -> Pod | None:
        lists, pods = self._heard[number]
        key = number, tuple(asks_some(one, *patterns) for one in lists)
        if key not in self._teachers:
            learning = (one for one in pods if self._by_itself(one, patterns) in {Way.CLUSTER, Way.ELSEWHERE})
            self._teachers[key] = next(learning, None)
        return self._teachers[key]

    @cached_property
    def _heard(self) -> list[tuple[_Lists, list[Pod]]]:
        """A pod of each kind that rules with ``rules.dns`` are about, by what these say."""
        kinds: dict[object, Pod] = {}
        for pod in self.judge.policies.snapshot.endpoints:
            if not pod.host_network and self._lists(pod):
                kinds.setdefault(self._kind(pod), pod)
        found: dict[_Lists, list[Pod]] = {}
        for pod in kinds.values():
            found.setdefault(self._lists(pod), []).append(pod)
        return list(found.items())

    def _by_itself(self, pod: Pod, patterns: tuple[Pattern, ...]) -> Way:
        """What is found hangs on the names by what the rules with ``rules.dns`` have of them, and on nothing else."""
        key = self._kind(pod), tuple(asks_some(one, *patterns) for one in self._lists(pod))
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._find(pod, patterns)
        return found

    def lists(self, pod: Pod, name: str) -> bool:
        """Whether a rule with ``rules.dns`` lets a pod ask for a name, be it of somebody whom no question gets to."""
        return any(asks_some(one, exactly(name)) for one in self._lists(pod))

    def _lists(self, pod: Pod) -> _Lists:
        """What the rules of a pod say of the names that may be asked for."""
        kind = self._kind(pod)
        found = self._listed.get(kind)
        if found is None:
            rules = self.judge.policies.isolation(pod, Direction.EGRESS).rules
            listing = (rule.conditions for rule in rules if rule.says_what_may_be_asked)
            found = self._listed[kind] = tuple(one for one in listing if one is not None)
        return found

    def _kind(self, pod: Pod) -> object:
        """Pods of one kind learn the same: those under the same rules, unless something tells them apart."""
        found = self._kinds.get(pod.key)
        if found is None and (self._choosy or pod.key in self._serving):
            found = self._kinds[pod.key] = pod.key
        elif found is None:
            under = self.judge.policies.class_of(pod, Direction.EGRESS)
            found = self._kinds[pod.key] = under, tuple(address.version for address in pod.addresses)
        return found

    def _find(self, pod: Pod, patterns: tuple[Pattern, ...]) -> Way:
        if any(may_ask_some(trace.egress.outcome, *patterns) for trace in self._ways_of(pod)):
            return Way.CLUSTER
        if not self.servers:
            return Way.UNKNOWN
        return Way.ELSEWHERE if self._asks_somebody(pod, patterns) else Way.NOWHERE

    def _ways_of(self, pod: Pod) -> list[Trace]:
        """The ways on which questions get to the cluster's DNS, for some names at least, and are heard."""
        kind = self._kind(pod)
        found = self._ways.get(kind)
        if found is None:
            passing = [way for way in passage(self.judge, pod, self._told_apart) if way[1].verdict.allows]
            traces = self._heard_of(pod, passing) if self.heard_alone else [trace for _, trace in passing]
            found = self._ways[kind] = traces
        return found

    def _heard_of(self, pod: Pod, ways: Iterable[tuple[Door, Trace]]) -> list[Trace]:
        """Those on which a question is heard.

        None is where no policy judges it: a pod asks itself. And who may ask over UDP unheard asks over TCP only what
        is too long.
        """
        rules = [
            one for one in self.judge.policies.isolation(pod, Direction.EGRESS).rules if one.says_what_may_be_asked
        ]
        heard: list[tuple[Door, Trace]] = []
        unheard: list[Door] = []
        for door, trace in ways:
            judged = trace.egress.outcome is not None
            if judged and any(speaks_of(self.judge, rule, door.end, door) for rule in rules):
                heard.append((door, trace))
            else:
                unheard.append(door)
        over_udp = {door.end.address for door, _ in heard if door.protocol is Protocol.UDP}
        deaf = {door.end.address for door in unheard if door.protocol is Protocol.UDP} - over_udp
        return [trace for door, trace in heard if door.end.address not in deaf]

    def _asks_somebody(self, pod: Pod, patterns: tuple[Pattern, ...]) -> bool:
        """Whether a question passes to anybody else than the cluster's DNS, and is heard.

        Where names are listed, others do not pass, also where nothing isolates: `enableDefaultDeny` is about packets.
        """
        policies = self.judge.policies
        isolation = policies.isolation(pod, Direction.EGRESS)

        def asks(rule: Rule) -> bool:
            return asks_some(rule.conditions, *patterns)

        ordered = replace(isolation, rules=tuple(sorted(isolation.rules, key=asks, reverse=True)))
        heard = self._heard_elsewhere(isolation.rules) if self.heard_alone else self._questions
        parts = partition(ordered, heard, lambda rule: policies.packets_of(rule) & heard)
        return any(verdict.allows and (rule is None or asks(rule)) for _, verdict, rule in parts)

    def _heard_elsewhere(self, rules: Iterable[Rule]) -> PacketSet:
        """What rules with ``rules.dns`` are about, whatever the port, less the cluster's DNS."""
        listing = (self.judge.policies.packets_of(rule) for rule in rules if rule.says_what_may_be_asked)
        servers = AddressSet.of(door.end.address for door in self.servers)
        return PacketSet.union_of(cube for one in listing for cube in one) - PacketSet.cube(servers, TransportSet.any())

    @cached_property
    def _questions(self) -> PacketSet:
        """Port 53 of everybody, and what is behind port 53 of Services; without the cluster's DNS."""
        snapshot = self.judge.policies.snapshot
        behind = (door for one in snapshot.services for door in doors_of(snapshot, one))
        led = [_packets(door) for door in behind if door.dialled is not None and door.dialled[1] == _DNS]
        everybody = PacketSet.cube(AddressSet.any(), DNS_PORTS)
        return (everybody | PacketSet.union_of(led)) - PacketSet.union_of(map(_packets, self.servers))


def exactly(name: str) -> Pattern:
    """The pattern that means this name alone."""
    return Pattern(name, Dialect.NETWORK_POLICY)


def _packets(door: Door) -> tuple[AddressSet, TransportSet]:
    return AddressSet.of((door.end.address,)), TransportSet.ports(door.protocol, door.port)
