"""Every allowed connection of a cluster, exactly, by workload.

    found = connections(snapshot)
    for one in found: ...                        Connection(source, destination, transports)
    found.between(source, destination)           one pair of groups
    connections(changed, previous=found)         after a change: what did not change is taken over

An end is a `Group` (pods of one workload that are treated alike, see `groups`), a part of the addresses outside, a name
that rules open, whose addresses nobody knows (`opened`), or the ingress controller where the input has Ingress objects.
`External` ends are, for each group and direction, the coarsest partition of the address space that its policies make:
addresses are told apart by what is allowed and by nothing else (docs/decisions/0006). Pairs of a workload with itself
are left out, and so is what hangs on the node that a pod happens to run on: every pod can be reached from its own node,
whatever the policies say.

A connection is on the list if any port of TCP, UDP or SCTP passes both ends, by addresses of a family that both have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from functools import cached_property

from outgate.analysis.controller import INGRESS_CONTROLLER, IngressController, from_controller
from outgate.analysis.groups import Group, Groups
from outgate.analysis.learning import Learning
from outgate.analysis.opened import Named, Opening, learnable, names_of, openings
from outgate.analysis.shortened import NO_NODES
from outgate.model import Direction, Snapshot
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.packets.addresses import FAMILIES, Family
from outgate.policy import OUTGATE, Action, Judge, Policies, Profile, Rule
from outgate.policy.cells import number_at
from outgate.policy.grid import Grid, PolicyKey
from outgate.policy.identity import Lens, members
from outgate.policy.rules import Tier
from outgate.policy.tiers import Isolation, partition
from outgate.records import dataclass

__all__ = ["Connection", "Connections", "External", "Party", "addresses_outside", "connections"]

_GOVERNED = TransportSet.governed()


@dataclass(frozen=True, slots=True)
class External:
    """Addresses outside that one group treats alike. `nodes`: those of the input, where they are left out of such."""

    addresses: AddressSet
    nodes: AddressSet = field(default=NO_NODES, compare=False, repr=False)

    def __str__(self) -> str:
        return ", ".join(self.addresses.cidrs())


Party = Group | External | Named | IngressController
_Parts = tuple[PacketSet, tuple[tuple[External, TransportSet], ...]]


def addresses_outside(*ends: Party) -> AddressSet:
    """The addresses that an end outside has; between workloads all, which makes no difference there."""
    found = (end.addresses for end in ends if isinstance(end, External | Named))
    return next(found, AddressSet.any())


@dataclass(frozen=True, slots=True)
class Connection:
    """What passes from one end to another: `transports`, by an address of either family.

    `families` is empty where it makes no difference by which; else it has what passes by each that both ends have.
    """

    source: Party
    destination: Party
    transports: TransportSet
    families: tuple[tuple[Family, TransportSet], ...] = ()

    @property
    def all(self) -> bool:
        """Whether every port of TCP, UDP and SCTP passes: all that the NetworkPolicy API speaks of."""
        return self.transports >= _GOVERNED


def connections(
    snapshot: Snapshot,
    profile: Profile = OUTGATE,
    *,
    previous: Connections | None = None,
    lens: Lens | None = None,
) -> Connections:
    """Every allowed connection of a snapshot under a profile.

    `previous` is the list before a change: it makes a small change cheap and has no influence on the answer. `lens`
    makes groups as fine as other policies would need them, to compare two lists group by group.
    """
    known = None if previous is None else previous.grid
    return Connections(Grid(Policies(snapshot, profile), lens=lens, previous=known), previous)


class Connections:
    """The list. Iterating gives the connections in the order of their sources and then of their destinations:
    groups by namespace, name and kind, then addresses outside; sources outside come last.
    """

    def __init__(self, grid: Grid, previous: Connections | None = None) -> None:
        self.grid = grid
        self.snapshot = grid.policies.snapshot
        kept = previous is not None and previous.grid.identities is grid.identities
        # Groups may be merged by effect: where an identity is shared and a rule changed, they are made again.
        self.groups: Groups = previous.groups if kept and previous is not None and previous.simple else Groups.of(grid)
        # Sets are known by their identity: comparing them would cost more than what is kept of them.
        self._governed: dict[int, bool] = previous._governed if previous is not None else {}
        self._externals: dict[int, _Parts] = previous._externals if previous is not None else {}
        self._opened: dict[PolicyKey, tuple[Opening, ...]] = {}

    @property
    def simple(self) -> bool:
        """Whether every workload is of one identity, so that no change of policy can split it."""
        return self.groups.simple

    def __iter__(self) -> Iterator[Connection]:
        groups = self.groups.all
        for group in groups:
            for place, number in self.reached(group):
                yield self.connection(group, groups[place], number)
            yield from self.to_outside(group)
            yield from self.to_names(group)
        yield from self.from_outside(groups)
        yield from self.from_controller

    @cached_property
    def nodes(self) -> AddressSet:
        """The addresses of nodes, which policies of Cilium's leave out of what is outside; none where there is none."""
        return self.grid.policies.selection.places.every_node if self.snapshot.cilium_policies else NO_NODES

    @cached_property
    def from_controller(self) -> tuple[Connection, ...]:
        """What an ingress controller that is not in the input can reach, for the Ingress objects that are."""
        led_to = ((group, transports) for group, transports in self._led_to if transports)
        return tuple(Connection(INGRESS_CONTROLLER, group, transports) for group, transports in led_to)

    @property
    def closed_to_controller(self) -> tuple[Group, ...]:
        """Where Ingress objects lead and no stranger is let in: only rules made for the controller open these."""
        return tuple(group for group, transports in self._led_to if not transports)

    @cached_property
    def _led_to(self) -> tuple[tuple[Group, TransportSet], ...]:
        return tuple(from_controller(self.grid, self.groups))

    def to_outside(self, group: Group) -> Iterator[Connection]:
        """What a group sends to addresses outside."""
        for external, transports in self.outside(group, Direction.EGRESS):
            yield Connection(group, external, transports)

    def to_names(self, group: Group) -> Iterator[Connection]:
        """What a group sends to the names that rules open for it, wherever they lead outside of the cluster."""
        for opening in self.opened(group):
            yield Connection(group, opening.named, opening.transports)

    def opened(self, group: Group) -> tuple[Opening, ...]:
        """What rules about names open for a group, of the names that it may ask somebody for."""
        if not self._has_names:
            return ()
        # A port name means nothing to what a DNS name leads to, so that the policies alone count.
        key = self.grid.keys[Direction.EGRESS][group.identity]
        found = self._opened.get(key)
        if found is None:
            found = self._opened[key] = openings(self.grid, group.identity)
        return learnable(self._learning, group.pods[0], found)

    @cached_property
    def _learning(self) -> Learning:
        return Learning(Judge(self.grid.policies), self.grid)

    @cached_property
    def _has_names(self) -> bool:
        return any(True for rule in self.grid.all_rules() for _ in names_of(rule))

    def from_outside(self, groups: Iterable[Group]) -> Iterator[Connection]:
        """What addresses outside send to groups, by the addresses."""
        found: dict[External, list[Connection]] = {}
        for group in groups:
            for external, transports in self.outside(group, Direction.INGRESS):
                found.setdefault(external, []).append(Connection(external, group, transports))
        for external in sorted(found, key=lambda one: _first(one.addresses)):
            yield from found[external]

    def reached(self, group: Group) -> Iterator[tuple[int, int]]:
        """The groups that one reaches, by their place in `groups.all`, each with the number of what passes."""
        found: list[tuple[int, int]] = []
        of_identity, groups = self.groups.of_identity, self.groups.all
        for number, bits in self.grid.joined(group.identity):
            if self.makes_connection(number):
                for identity in members(bits & self.groups.representatives):
                    found.extend((place, number) for place in of_identity[identity])
        found.sort()
        own = group.workload
        return (one for one in found if groups[one[0]].workload != own)

    def makes_connection(self, number: int) -> bool:
        """Whether a set of transports has any port of TCP, UDP or SCTP."""
        found = self._governed.get(number)
        if found is None:
            found = self._governed[number] = bool(self.grid.transports.sets[number] & _GOVERNED)
        return found

    def outside(self, group: Group, direction: Direction) -> tuple[tuple[External, TransportSet], ...]:
        """The addresses outside that a group reaches, or that reach it, in the coarsest parts."""
        packets = self.grid.outside(group.identity, direction)
        standing = self._with_conditions(group, direction)
        if standing is not None:
            parts = [
                (External(addresses, self.nodes), transports)
                for whole, transports in packets
                if transports & _GOVERNED
                for addresses in self._by_conditions(whole, transports, standing, group)
            ]
            return tuple(sorted(parts, key=lambda part: _first(part[0].addresses)))
        found = self._externals.get(id(packets))
        if found is None or found[0] is not packets:
            parts = [
                (External(addresses, self.nodes), transports)
                for addresses, transports in packets
                if transports & _GOVERNED
            ]
            parts.sort(key=lambda part: _first(part[0].addresses))
            found = self._externals[id(packets)] = packets, tuple(parts)
        return found[1]

    def _with_conditions(self, group: Group, direction: Direction) -> Isolation | None:
        """What stands for a group, where some of it lets something through on a condition."""
        if not self.grid.has_conditions:
            return None
        standing = self.grid.standing(self.grid.keys[direction][group.identity], direction)
        return standing if any(map(_asks, standing.every_rule())) else None

    def _by_conditions(
        self, whole: AddressSet, transports: TransportSet, standing: Isolation, group: Group
    ) -> Iterable[AddressSet]:
        """The parts of some addresses of which the same is asked on each port, all of which pass."""
        parts: list[tuple[AddressSet, _Ports]] = [(whole, {})]
        for rule in standing.every_rule():
            block, ports = self.grid.outside_of(rule), self.grid.ports_outside(rule, group.identity) & transports
            # What denies decides nothing of what passes. What passes on does: the next Accept may not be asked.
            if rule.action is Action.DENY or not ports or block.isdisjoint(whole):
                continue
            cut = [(one & block, {**about, id(rule): (rule, ports)}) for one, about in parts]
            parts = [part for part in (*cut, *((one - block, about) for one, about in parts)) if part[0]]
        alike: dict[object, list[AddressSet]] = {}
        for addresses, about in parts:
            alike.setdefault(_asked(standing, transports, about), []).append(addresses)
        return (AddressSet.union_of(many) for many in alike.values())

    def between(self, source: Group, destination: Group) -> TransportSet:
        """Exactly what passes from the pods of one group to those of another; other protocols too."""
        return self.grid.transports.sets[number_at(self.grid.joined(source.identity), destination.identity)]

    def by_family(self, source: Group, destination: Group) -> tuple[tuple[Family, TransportSet], ...]:
        """What passes by addresses of each family that both groups have."""
        have = self.grid.identities.of_family
        ends = 1 << source.identity, 1 << destination.identity
        sets = self.grid.transports.sets
        return tuple(
            (family, sets[number_at(self.grid.row(source.identity, family), destination.identity)])
            for family in FAMILIES
            if all(have[family] & end for end in ends)
        )

    def connection(self, source: Group, destination: Group, number: int) -> Connection:
        """The connection of two groups between which the transports of that number pass."""
        transports = self.grid.transports.sets[number]
        differs = self.grid.differing(source.identity) >> destination.identity & 1
        return Connection(source, destination, transports, self.by_family(source, destination) if differs else ())

    def whole(self, source: Group, destination: Group) -> Connection:
        """All that passes between two groups, whether or not it is in the list."""
        return self.connection(source, destination, number_at(self.grid.joined(source.identity), destination.identity))

    def group(self, kind: str, namespace: str, name: str) -> tuple[Group, ...]:
        """The groups of one workload; none where the input has no such workload."""
        return tuple(one for one in self.groups.all if one.workload == (namespace, name, kind))

    def of_pods(self, pods: Iterable[tuple[str, str]]) -> tuple[Group, ...]:
        """The groups that any of these pods belong to."""
        wanted = set(pods)
        return tuple(one for one in self.groups.all if any(pod.key in wanted for pod in one.pods))


_Ports = Mapping[int, tuple[Rule, TransportSet]]
"""What rules say something of, each by its identity."""


def _asks(rule: Rule) -> bool:
    return rule.conditions is not None and rule.action is Action.ACCEPT


def _asked(standing: Isolation, transports: TransportSet, about: _Ports) -> object:
    """What is asked of some ports, and which tier lets the rest through, where there are several.

    An Accept that asks nothing makes conditions void where its tier is asked, and in no other: that of the Baseline
    tier is not asked where a rule with conditions matches.
    """
    plain: dict[Tier | None, TransportSet] = {}
    none, asked = TransportSet(), transports
    if standing.united:
        for rule, ports in about.values():
            asked = asked if _asks(rule) else asked - ports
    else:
        for part, _, decisive in partition(standing, transports, lambda one: about.get(id(one), (one, none))[1]):
            if decisive is None or not _asks(decisive):
                tier = None if decisive is None else decisive.tier
                plain[tier] = plain.get(tier, none) | part
                asked = asked - part
    asking = ((one, ports & asked) for one, (rule, ports) in about.items() if _asks(rule))
    return tuple(one for one in asking if one[1]), frozenset(plain.items())


def _first(addresses: AddressSet) -> tuple[int, int]:
    """The order of parts: by their lowest address, IPv4 first."""
    lowest = addresses.lowest()
    return lowest.version, int(lowest)
