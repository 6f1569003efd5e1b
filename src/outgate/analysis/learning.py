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
from collections.abc import Sequence
from functools import cached_property

from outgate.analysis.exposure_outside import DNS_PORTS
from outgate.analysis.exposure_places import Door, cluster_dns, distinct, doors_of, passage, speaks_of
from outgate.model import Direction, Pod
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.policy import Judge, Rule, Trace
from outgate.policy.grid import Grid
from outgate.policy.name_overlap import asks_some, may_ask_some
from outgate.policy.names import Dialect, Pattern
from outgate.policy.tiers import allowed

__all__ = ["Learning", "Way", "exactly"]

_DNS = 53


class Way(enum.Enum):
    """How a pod may learn a name."""

    CLUSTER = "cluster"
    ELSEWHERE = "elsewhere"
    BESIDE = "beside"
    NOWHERE = "nowhere"
    UNKNOWN = "unknown"


class Learning:
    """For the pods of one judge. With a `grid` of the same policies, servers that are treated alike are asked once."""

    def __init__(self, judge: Judge, grid: Grid | None = None) -> None:
        self.judge = judge
        self._grid = grid
        self._kinds: dict[tuple[str, str], object] = {}
        self._ways: dict[object, list[tuple[Door, Trace]]] = {}
        self._found: dict[object, Way] = {}
        self._teachers: dict[tuple[Pattern, ...], Pod | None] = {}
        self._heard_alone = judge.policies.profile.names_need_dns_rules
        """Whether questions are heard only where a rule with ``rules.dns`` is about them."""

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

    def teacher(self, patterns: Sequence[Pattern]) -> Pod | None:
        """A pod whose questions teach all pods of its node such a name, if there is one.

        Pods move, so which nodes they are on now does not count.
        """
        if not self._heard_alone:
            return None
        key = tuple(patterns)
        if key not in self._teachers:
            learns = (one for one in self._heard if self._by_itself(one, key) in {Way.CLUSTER, Way.ELSEWHERE})
            self._teachers[key] = next(learns, None)
        return self._teachers[key]

    @cached_property
    def _heard(self) -> tuple[Pod, ...]:
        """A pod of each kind that a rule with ``rules.dns`` is about."""
        policies = self.judge.policies
        found: dict[object, Pod] = {}
        for pod in policies.snapshot.endpoints:
            rules = () if pod.host_network else policies.isolation(pod, Direction.EGRESS).rules
            if any(rule.says_what_may_be_asked for rule in rules):
                found.setdefault(self._kind(pod), pod)
        return tuple(found.values())

    def _by_itself(self, pod: Pod, patterns: tuple[Pattern, ...]) -> Way:
        key = self._kind(pod), patterns
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._find(pod, patterns)
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
        if any(may_ask_some(trace.egress.outcome, *patterns) for _, trace in self._ways_of(pod)):
            return Way.CLUSTER
        if not self.servers:
            return Way.UNKNOWN
        return Way.ELSEWHERE if self._asks_somebody(pod, patterns) else Way.NOWHERE

    def _ways_of(self, pod: Pod) -> list[tuple[Door, Trace]]:
        """The ways on which questions get to the cluster's DNS, for some names at least, and are heard."""
        kind = self._kind(pod)
        found = self._ways.get(kind)
        if found is None:
            passing = passage(self.judge, pod, self._told_apart)
            found = self._ways[kind] = [way for way in passing if way[1].verdict.allows and self._hears(pod, way[0])]
        return found

    def _hears(self, pod: Pod, door: Door) -> bool:
        """Whether a question that passes there teaches anything."""
        rules = self.judge.policies.isolation(pod, Direction.EGRESS).rules
        return not self._heard_alone or any(
            rule.says_what_may_be_asked and speaks_of(self.judge, rule, door.end, door) for rule in rules
        )

    def _asks_somebody(self, pod: Pod, patterns: tuple[Pattern, ...]) -> bool:
        policies = self.judge.policies
        isolation = policies.isolation(pod, Direction.EGRESS)
        heard = self._questions
        if self._heard_alone:
            heard &= PacketSet.union_of(
                cube for rule in isolation.rules if rule.says_what_may_be_asked for cube in policies.packets_of(rule)
            )

        def extent(rule: Rule) -> PacketSet:
            asks = asks_some(rule.conditions, *patterns)
            return policies.packets_of(rule) & heard if asks else PacketSet.none()

        return bool(allowed(isolation, heard, extent))

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
