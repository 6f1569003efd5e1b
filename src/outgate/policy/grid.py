"""Who may talk to whom, for all pods at once: a grid of identities, and what each may do with the addresses outside.

    rules ──► contributions (ports, peers) ──► one row for each identity: (ports, identities that it reaches on them)
                                          └──► one set of packets for each identity and direction: addresses outside

A row is the meeting of two halves. What the source's egress policies let out is the union of its rules; identities
under the same policies share it. What the destinations' ingress policies let in is turned round first: each rule adds
its destinations to the sources that it names. No pair of identities is ever looked at alone, so the work is that of a
few integer operations for each identity and rule.

Where policies of the whole cluster select an identity, the order of rules counts, and what passes is worked out in that
order (`outgate.policy.tiers`) on the same sets.

The grid speaks of pods that are not each other. What hangs on being the same pod, or on the node of a pod, is said
by `judge`: a pod always reaches itself, and a node always reaches its own pods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from outgate.model import CiliumPolicy, ClusterPolicy, Direction, NetworkPolicy, Policy
from outgate.packets import AddressSet, PacketSet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES, Family
from outgate.packets.packetset import Cube
from outgate.policy.cells import Cells, Contribution, Row, union
from outgate.policy.decide import Policies
from outgate.policy.identity import Bits, Identities, Lens, members
from outgate.policy.interned import EVERYTHING, Transports
from outgate.policy.places import ANYWHERE, Standpoint
from outgate.policy.profile import PASSING_ICMP
from outgate.policy.rules import Action, BlockMatch, NamedPort, PodMatch, Rule
from outgate.policy.selection import Selection, looks_around
from outgate.policy.tiers import Isolation, allowed, isolates, layers
from outgate.records import dataclass

__all__ = ["Grid", "PolicyKey", "lens_of"]

PolicyKey = tuple[int, ...]
"""The policies that select an identity in a direction, each by its number in the grid's table: the NetworkPolicies,
which isolate it, by name, and then those of the whole cluster in their order."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A policy and its rules."""

    policy: Policy
    standpoint: Standpoint
    rules: dict[Direction, tuple[Rule, ...]]
    number: int
    lens: Lens
    """What it looks at."""


class _Table:
    """The policies that a grid, and the grids before it, have met. An unchanged policy keeps its number."""

    def __init__(self) -> None:
        self.read: list[_Read] = []
        self._known: dict[tuple[int, Standpoint], _Read] = {}

    def of(self, policy: Policy, selection: Selection, standpoint: Standpoint = ANYWHERE) -> _Read:
        """What is known of a policy; it is read when it is first met. It is kept, so no other can have its id."""
        found = self._known.get((id(policy), standpoint))
        if found is not None and not looks_around(policy):
            return found
        rules = {direction: selection.rules(policy, direction, standpoint) for direction in Direction}
        if found is None or found.rules != rules:
            every = (rule for many in rules.values() for rule in many)
            lens = Lens.of((policy,), every, standpoints=selection.hangs(policy))
            found = _Read(policy, standpoint, rules, len(self.read), lens)
            self._known[id(policy), standpoint] = found
            self.read.append(found)
        return found

    def every(self, policy: Policy, policies: Policies) -> Iterator[_Read]:
        """A policy, once for each place from which pods look, where its rules hang on that."""
        selection = policies.selection
        if not selection.hangs(policy):
            yield self.of(policy, selection)
            return
        pods = (pod for pod in policies.snapshot.endpoints if not pod.host_network)
        for standpoint in dict.fromkeys(map(selection.places.standpoint, pods)):
            yield self.of(policy, selection, standpoint)


class Grid:
    """The grid of one snapshot under one profile.

    `previous` is the grid of the snapshot before a change: what did not change is taken from it. `lens` may be wider
    than the policies need, to compare two snapshots identity by identity.
    """

    def __init__(self, policies: Policies, *, lens: Lens | None = None, previous: Grid | None = None) -> None:
        self.policies = policies
        self._table: _Table = previous._table if previous is not None else _Table()
        self._policies = [
            one for policy in policies.snapshot.every_policy for one in self._table.every(policy, policies)
        ]
        mine = Lens.together(one.lens for one in self._policies)
        self.lens = mine if lens is None else lens | mine
        self.identities = self._identities(previous)
        self.keys: dict[Direction, list[PolicyKey]] = {}
        self._isolate()
        self.families: tuple[Family, ...] = self._families()
        self.transports: Transports = previous.transports if previous is not None else Transports()
        self._packets: dict[tuple[Cube, ...], PacketSet] = previous._packets if previous is not None else {}
        self._outsides: dict[tuple[PolicyKey, Direction], PacketSet] = {}
        self._standings: dict[tuple[PolicyKey, Direction], Isolation] = {}
        self._meanings: dict[NamedPort, tuple[tuple[int, Bits], ...]] = {}
        self._contributed: dict[tuple[int, Family, int], tuple[Rule, tuple[Contribution, ...]]] = {}
        self._egress: dict[tuple[PolicyKey, Family], Row] = {}
        if previous is not None:
            before, now = previous.policies.selection.places, policies.selection.places
            if previous.policies.profile == policies.profile and before.every_node == now.every_node:
                self._outsides = previous._outsides
            if previous.identities is self.identities:
                self._meanings, self._contributed, self._egress = (
                    previous._meanings,
                    previous._contributed,
                    previous._egress,
                )
        self._lets_in: dict[Family, list[list[Contribution]]] = {}
        self._rows: dict[tuple[int, Family], Row] = {}
        self._joined: dict[int, Row] = {}
        self._differing: dict[int, Bits] = {}

    # ---- rules and identities ----------------------------------------------------------------------------------------

    def all_rules(self) -> Iterator[Rule]:
        """The rules of all policies, by policy and direction."""
        for one in self._policies:
            for rules in one.rules.values():
                yield from rules

    @cached_property
    def has_conditions(self) -> bool:
        """Whether any rule asks for something above TCP."""
        return any(rule.conditions is not None for rule in self.all_rules())

    def policies_of(self, key: PolicyKey, direction: Direction) -> tuple[NetworkPolicy | CiliumPolicy, ...]:
        """The policies of a key that isolate in a direction."""
        every = (self._table.read[number].policy for number in key)
        return tuple(one for one in every if not isinstance(one, ClusterPolicy) and isolates(one, direction))

    def rules(self, key: PolicyKey, direction: Direction) -> Iterator[Rule]:
        """The rules of the NetworkPolicy tier of a key in a direction that allow, in the order they are asked in."""
        return iter(self.standing(key, direction).rules)

    def _in_the_middle(self, key: PolicyKey, direction: Direction) -> Iterator[Rule]:
        for number in key:
            read = self._table.read[number]
            if not isinstance(read.policy, ClusterPolicy):
                yield from read.rules[direction]

    def accepting(self, key: PolicyKey, direction: Direction) -> Iterator[Rule]:
        """The rules of all policies of a key that let anything through, in the order in which they are asked."""
        for rule in self.standing(key, direction).every_rule():
            if rule.action is Action.ACCEPT:
                yield rule

    def standing(self, key: PolicyKey, direction: Direction) -> Isolation:
        """All policies of a key, ready to be asked in their order."""
        found = self._standings.get((key, direction))
        if found is None:
            rules = {id(read.policy): read.rules[direction] for read in map(self._table.read.__getitem__, key)}
            above = [one for number in key if isinstance(one := self._table.read[number].policy, ClusterPolicy)]
            tiers = layers(above, direction, lambda one: rules[id(one)])
            middle = self._in_the_middle(key, direction)
            found = Isolation.of(self.policies_of(key, direction), direction, middle, tiers)
            self._standings[key, direction] = found
        return found

    def rules_of(self, policy: Policy, direction: Direction) -> tuple[Rule, ...]:
        """The rules of one policy of the snapshot: the very ones that `rules` gives, from wherever they are seen."""
        return tuple(rule for one in self._policies if one.policy is policy for rule in one.rules[direction])

    def _identities(self, previous: Grid | None) -> Identities:
        """Those of the previous grid where nothing that they were made from has changed."""
        if previous is not None:
            before, now = previous.policies, self.policies
            same_pods = before.snapshot.pods is now.snapshot.pods
            same_names = before.snapshot.namespaces == now.snapshot.namespaces
            if same_pods and same_names and before.profile == now.profile and previous.lens == self.lens:
                return previous.identities
        return Identities(self.policies.selection, self.lens)

    def _isolate(self) -> None:
        count = len(self.identities.all)
        selecting: dict[Direction, list[list[int]]] = {one: [[] for _ in range(count)] for one in Direction}
        for one in self._policies:
            subjects = self.identities.subjects(one.policy)
            if one.lens.standpoints:
                subjects = self.identities.standing(subjects).get(one.standpoint, 0)
            for number in members(subjects):
                for direction in one.policy.types:
                    selecting[direction][number].append(one.number)
        self.keys = {direction: [tuple(one) for one in many] for direction, many in selecting.items()}

    def isolated(self, number: int, direction: Direction) -> bool:
        """Whether any policy isolates the identity in this direction."""
        return bool(self.policies_of(self.keys[direction][number], direction))

    def _families(self) -> tuple[Family, ...]:
        """The families that have to be told apart; one stands for both where no block tells them apart."""
        have = self.identities.of_family
        if not have[6] or not have[4]:
            return (4,) if have[4] or not have[6] else (6,)
        if have[4] != have[6]:
            return FAMILIES
        for rule in self.all_rules():
            for peer in rule.peers or ():
                if isinstance(peer, BlockMatch) and self.identities.peers(peer, 4) != self.identities.peers(peer, 6):
                    return FAMILIES
        return (4,)

    # ---- what a rule contributes -------------------------------------------------------------------------------------

    def peers(self, rule: Rule, family: Family) -> Bits:
        """Whom a rule speaks of, where both ends talk by addresses of this family."""
        if rule.peers is None:
            return self.identities.everybody
        found = 0
        for peer in rule.peers:
            found |= self.identities.peers(peer, family)
        return found

    def out_of(self, rule: Rule, family: Family) -> tuple[Contribution, ...]:
        """What an egress rule lets out, and to whom: a port name is resolved by each destination."""
        key = id(rule), family, -1
        found = self._contributed.get(key)
        if found is None or found[0] is not rule:
            # The rule is kept beside the answer, so that no other can come to have its identity.
            found = self._contributed[key] = rule, tuple(self._let_out(rule, family))
        return found[1]

    def _let_out(self, rule: Rule, family: Family) -> Iterator[Contribution]:
        whom = self.peers(rule, family)
        if rule.ports is None:
            yield EVERYTHING, whom
            return
        if rule.ports.numbers:
            yield self.transports.number(rule.ports.numbers), whom
        if rule.ports.names and self.policies.profile.names_need_selectors:
            whom = self._selected(rule, family)
        for name in rule.ports.names:
            for transports, theirs in self._meaning(name):
                if theirs & whom:
                    yield transports, theirs & whom

    def _selected(self, rule: Rule, family: Family) -> Bits:
        """Whom the selectors of a rule speak of, without its blocks."""
        found = 0
        for peer in rule.peers or ():
            if isinstance(peer, PodMatch):
                found |= self.identities.peers(peer, family)
        return found

    def _meaning(self, name: NamedPort) -> tuple[tuple[int, Bits], ...]:
        """What a port name stands for, and with whom."""
        found = self._meanings.get(name)
        if found is None:
            groups = self.identities.numbers_named(name.protocol.name, name.name)
            found = tuple((self._ports(name, numbers), bits) for numbers, bits in groups.items())
            self._meanings[name] = found
        return found

    def into(self, rule: Rule, number: int, family: Family) -> tuple[Contribution, ...]:
        """What an ingress rule lets in to one identity, and from whom: port names are its own."""
        named = rule.ports is not None and bool(rule.ports.names)
        key = id(rule), family, number if named else -1
        found = self._contributed.get(key)
        if found is None or found[0] is not rule:
            found = self._contributed[key] = rule, tuple(self._let_into(rule, number, family))
        return found[1]

    def _let_into(self, rule: Rule, number: int, family: Family) -> Iterator[Contribution]:
        whom = self.peers(rule, family)
        if rule.ports is None:
            yield EVERYTHING, whom
            return
        if rule.ports.numbers:
            yield self.transports.number(rule.ports.numbers), whom
        for name in rule.ports.names:
            found = self._named_by(name, number)
            if found:
                yield self.transports.number(found), whom

    def _ports(self, name: NamedPort, numbers: Iterable[int]) -> int:
        found = TransportSet()
        for number in numbers:
            found |= TransportSet.ports(name.protocol, number)
        return self.transports.number(found)

    def _named_by(self, name: NamedPort, number: int) -> TransportSet:
        """The ports that an identity itself gives that name."""
        found = TransportSet()
        for port in self.identities.all[number].ports:
            if (port.name, port.protocol) == (name.name, name.protocol.name):
                found |= TransportSet.ports(Protocol(name.protocol), port.port)
        return found

    # ---- rows --------------------------------------------------------------------------------------------------------

    def lets_out(self, number: int, family: Family) -> Row:
        """What the egress side of an identity lets out, to whom."""
        key = self.keys[Direction.EGRESS][number]
        if not key:
            return ((EVERYTHING, self.identities.everybody),)
        found = self._egress.get((key, family))
        if found is None:
            ruled = self._allowed(key, Direction.EGRESS, lambda rule: self.out_of(rule, family))
            found = self._egress[key, family] = self.union((*self._always(), *ruled))
        return found

    def _allowed(
        self, key: PolicyKey, direction: Direction, spoken_of: Callable[[Rule], tuple[Contribution, ...]]
    ) -> Iterator[Contribution]:
        """What some policies allow together, and with whom; `spoken_of` says what a rule matches."""
        standing = self.standing(key, direction)
        if standing.united:
            for rule in standing.rules:
                yield from spoken_of(rule)
            return
        table = self.transports
        everything = Cells(table, ((EVERYTHING, self.identities.everybody),))
        yield from allowed(standing, everything, lambda rule: Cells.of(table, spoken_of(rule))).row

    def let_in(self, number: int, family: Family) -> Row:
        """What the ingress sides of others let in from an identity: (transports, destinations)."""
        if family not in self._lets_in:
            self._lets_in[family] = self._turned(family)
        return self.union(self._lets_in[family][number])

    def _always(self) -> tuple[Contribution, ...]:
        """What passes an isolated end whatever its rules say: under some profiles, pings and ICMP errors."""
        if not self.policies.profile.icmp_passes:
            return ()
        return ((self.transports.number(PASSING_ICMP), self.identities.everybody),)

    def _turned(self, family: Family) -> list[list[Contribution]]:
        """For each source, what the ingress rules of all destinations contribute: the ingress half, turned round."""
        everybody = self.identities.everybody
        told: dict[Contribution, Bits] = {}
        for number, key in enumerate(self.keys[Direction.INGRESS]):
            bit = 1 << number
            for one in self._always() if key else ((EVERYTHING, everybody),):
                told[one] = told.get(one, 0) | bit
            for one in self._let_in_by(key, number, family) if key else ():
                told[one] = told.get(one, 0) | bit
        by_source: list[list[Contribution]] = [[] for _ in self.identities.all]
        for (transports, sources), destinations in told.items():
            for number in members(sources):
                by_source[number].append((transports, destinations))
        return by_source

    def _let_in_by(self, key: PolicyKey, number: int, family: Family) -> Iterator[Contribution]:
        return self._allowed(key, Direction.INGRESS, lambda rule: self.into(rule, number, family))

    def row(self, number: int, family: Family) -> Row:
        """What one identity may send to whom, by addresses of one family that both have."""
        if len(self.families) == 1:
            (family,) = self.families
        found = self._rows.get((number, family))
        if found is None:
            found = self._rows[number, family] = self._meet(number, family)
        return found

    def _meet(self, number: int, family: Family) -> Row:
        have = self.identities.of_family[family]
        if not have >> number & 1:
            return ()
        both: dict[int, Bits] = {}
        incoming = self.let_in(number, family)
        for out, destinations in self.lets_out(number, family):
            reached = destinations & have
            for into, others in incoming:
                common = reached & others
                if common:
                    transports = self.transports.meet(out, into)
                    if transports:
                        both[transports] = both.get(transports, 0) | common
        return tuple(both.items())

    def joined(self, number: int) -> Row:
        """What one identity may send to whom by addresses of either family."""
        if len(self.families) == 1:
            return self.row(number, self.families[0])
        found = self._joined.get(number)
        if found is None:
            rows = (self.row(number, family) for family in self.families)
            found = self._joined[number] = self.union(one for row in rows for one in row)
        return found

    def differing(self, number: int) -> Bits:
        """The destinations to which not the same passes by addresses of every family that both have."""
        found = self._differing.get(number)
        if found is None:
            found = 0
            for family in self.families if len(self.families) > 1 else ():
                have = self.identities.of_family[family]
                alike = self.identities.everybody & ~have if have >> number & 1 else self.identities.everybody
                mine = dict(self.row(number, family))
                for transports, bits in self.joined(number):
                    alike |= bits & mine.get(transports, 0)
                    found |= bits & ~alike
            self._differing[number] = found
        return found

    def union(self, contributions: Iterable[Contribution]) -> Row:
        """The same as disjoint sets: each identity under all that it has together."""
        return union(self.transports, contributions)

    # ---- outside -----------------------------------------------------------------------------------------------------

    def outside(self, number: int, direction: Direction) -> PacketSet:
        """What passes between an identity and addresses that are no pod's in the cluster: selectors match none."""
        key = self.keys[direction][number]
        if not key:
            return PacketSet.any()
        found = self._outsides.get((key, direction))
        if found is None:
            standing = self.standing(key, direction)
            found = self._united(standing, number) if standing.united else self._ordered(standing, number)
            named = direction is Direction.INGRESS and any(
                rule.ports is not None and rule.ports.names for rule in standing.every_rule()
            )
            if not named:
                # Where a port name was looked up, the answer is this identity's alone.
                self._outsides[key, direction] = found
        return found

    def _united(self, standing: Isolation, number: int) -> PacketSet:
        """What NetworkPolicies alone allow outside: the union of their rules."""
        cubes: dict[Cube, None] = {}
        if self.policies.profile.icmp_passes:
            cubes[AddressSet.any(), PASSING_ICMP] = None
        for rule in standing.rules:
            addresses = self.outside_of(rule)
            transports = self.ports_outside(rule, number) if addresses else None
            if transports:
                cubes[addresses, transports] = None
        several = tuple(cubes)
        found = self._packets.get(several)
        if found is None:
            found = self._packets[several] = PacketSet.union_of(several)
        return found

    def _ordered(self, standing: Isolation, number: int) -> PacketSet:
        """What passes outside where the order of rules counts."""
        found = allowed(standing, PacketSet.any(), lambda rule: self.packets_outside(rule, number))
        return found | PacketSet.cube(AddressSet.any(), PASSING_ICMP) if self.policies.profile.icmp_passes else found

    def packets_outside(self, rule: Rule, number: int) -> PacketSet:
        """What a rule of an identity speaks of outside of the cluster, by addresses that are known."""
        return PacketSet.cube(self.outside_of(rule), self.ports_outside(rule, number))

    def ports_outside(self, rule: Rule, number: int) -> TransportSet:
        """What a rule of an identity allows with the addresses outside that it speaks of.

        On egress a port name means nothing there: there is no pod to ask (concept page, "Targeting a Port by name").
        On ingress it is the identity's own.
        """
        if rule.ports is None:
            return TransportSet.any()
        found = rule.ports.numbers
        if rule.direction is Direction.INGRESS:
            for name in rule.ports.names:
                found |= self._named_by(name, number)
        return found

    def outside_of(self, rule: Rule) -> AddressSet:
        """The addresses outside that a rule speaks of, and those of nodes."""
        if rule.peers is None:
            return AddressSet.any()
        blocks = [self.policies.selection.beyond(peer) for peer in rule.peers if isinstance(peer, BlockMatch)]
        return blocks[0] if len(blocks) == 1 else AddressSet.union_of(blocks)


def lens_of(policies: Policies) -> Lens:
    """What the policies of a snapshot look at."""
    table = _Table()
    return Lens.together(one.lens for policy in policies.snapshot.every_policy for one in table.every(policy, policies))
