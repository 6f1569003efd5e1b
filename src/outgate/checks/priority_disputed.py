"""Two policies of one priority that say different things.

What it does:
    Finds rules of two policies of the whole cluster with the same tier and the same priority that speak of the same
    connections of the same pods and do different things: one accepts, the other denies or passes. It shows such a
    connection. What is decided before, by a policy of a lower number, is no dispute; nor is what both say alike. Names
    of `domainNames` are taken to lead anywhere outside of the cluster, for nobody knows; then no connection is shown.

Why it matters:
    Policies of one priority have no order; the API calls what happens undefined. One network plugin asks the policies
    by name, another lets the denial win, a third does one thing today and another tomorrow. Outgate takes the
    strictest: Deny before Pass before Accept.

Example:
    apiVersion: policy.networking.k8s.io/v1alpha2
    kind: ClusterNetworkPolicy
    metadata: {name: monitoring}
    spec:
      tier: Admin
      priority: 10
      subject: {namespaces: {}}
      egress:
        - action: Accept
          to:
            - networks: ["192.0.2.0/24"]
    ---
    apiVersion: policy.networking.k8s.io/v1alpha2
    kind: ClusterNetworkPolicy
    metadata: {name: no-partners}
    spec:
      tier: Admin
      priority: 10
      subject: {namespaces: {}}
      egress:
        - action: Deny
          to:
            - networks: ["192.0.2.128/25"]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: policy.networking.k8s.io/v1alpha2
    kind: ClusterNetworkPolicy
    metadata: {name: monitoring}
    spec:
      tier: Admin
      priority: 10
      subject: {namespaces: {}}
      egress:
        - action: Accept
          to:
            - networks: ["192.0.2.0/24"]
    ---
    apiVersion: policy.networking.k8s.io/v1alpha2
    kind: ClusterNetworkPolicy
    metadata: {name: no-partners}
    spec:
      tier: Admin
      priority: 9
      subject: {namespaces: {}}
      egress:
        - action: Deny
          to:
            - networks: ["192.0.2.128/25"]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where the policies are for Outgate alone, and the strictest answer is what is meant.

References:
    - https://network-policy-api.sigs.k8s.io/api-overview/
    - https://network-policy-api.sigs.k8s.io/reference/spec/
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity, Witness
from outgate.checks.name_kinds import name_kinds
from outgate.checks.overlaps import contributions, policy_of
from outgate.checks.survey import Survey, some, subject_of
from outgate.model import Direction
from outgate.packets import AddressSet, IntervalSet, Packet, PacketSet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES, Family
from outgate.policy import Endpoint, Flow, Origin, Rule
from outgate.policy.cells import Cells
from outgate.policy.disputes import Disputes
from outgate.policy.endpoints import LOOPBACK
from outgate.policy.grid import Grid, PolicyKey
from outgate.policy.identity import Bits, members
from outgate.policy.interned import EVERYTHING
from outgate.policy.tiers import Isolation
from outgate.policy.trace import disputed_words

__all__ = ["CHECK"]

_Pair = tuple[Origin, Origin]
_WELL_KNOWN = TransportSet.ports(Protocol.TCP, IntervalSet.of((80, 80), (443, 443)))


@dataclass(slots=True)
class _Dispute:
    """Two rules, and whose connections they say different things of."""

    one: Rule
    other: Rule
    groups: dict[int, Group] = field(default_factory=dict)
    """By their place among all."""
    names: dict[str, None] | None = field(default_factory=dict)
    """Of connections to which names; None where there are some that need no name."""
    witness: Witness | None = None


def _find(survey: Survey) -> Iterator[Finding]:
    for direction in Direction if len(survey.snapshot.cluster_policies) > 1 else ():
        found: dict[_Pair, _Dispute] = {}
        for groups in _alike(survey, direction):
            first = next(iter(groups.values()))
            for part in _parts(survey, first, direction):
                concerned = part.concerned(survey, groups)
                if concerned:
                    _add(survey, found, part, concerned)
        for dispute in found.values():
            yield _finding(survey, dispute)


def _add(survey: Survey, found: dict[_Pair, _Dispute], part: _Part, groups: dict[int, Group]) -> None:
    dispute = found.setdefault((part.one.origin, part.other.origin), _Dispute(part.one, part.other))
    dispute.groups |= groups
    if part.names:
        # Nobody knows where they lead, so there is no connection to show.
        if dispute.names is not None:
            dispute.names |= dict.fromkeys(part.names)
        return
    dispute.names = None
    if dispute.witness is None:
        shown = (_shown(survey, group, part.one.direction, part.ends(survey, group)) for group in groups.values())
        dispute.witness = next(filter(None, shown), None)


def _finding(survey: Survey, dispute: _Dispute) -> Finding:
    one, other = dispute.one, dispute.other
    groups = [dispute.groups[place] for place in sorted(dispute.groups)]
    alone = len(groups) == 1
    verb = ("sends" if alone else "send") if one.direction is Direction.EGRESS else ("is sent" if alone else "are sent")
    where = f" to {some(list(dispute.names))}" if dispute.names else ""
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{disputed_words((one, other))}, for what {some(groups)} {verb}{where}",
        subject_of(policy_of(survey, one.origin)),
        one.origin.place,
        (
            Related(one.origin.place, f"{one.origin} says {one.action.value}"),
            Related(other.origin.place, f"{other.origin} says {other.action.value}"),
        ),
        dispute.witness,
        "give the one that is to count the lower priority; here the strictest counts",
    )


Ends = Iterator[tuple[Endpoint, int, int]]
"""Other ends of connections, each with a protocol and a port."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Connections that two rules say different things of: with addresses outside, or by one family with pods."""

    one: Rule
    other: Rule
    outside: PacketSet | None = None
    inside: Cells | None = None
    family: Family = 4
    names: tuple[str, ...] = ()
    """If these lead there."""

    def concerned(self, survey: Survey, groups: dict[int, Group]) -> dict[int, Group]:
        """Those of some workloads that may have any of them."""
        if self.inside is None:
            return groups
        peers = functools.reduce(operator.or_, (bits for _, bits in self.inside.row), 0)
        # What a pod sends to itself is nobody's business, so a pod that is alone of its kind is not its own peer.
        alone = {one.identity for one in groups.values() if len(survey.grid.identities.pods[one.identity]) == 1}
        return {at: one for at, one in groups.items() if peers != 1 << one.identity or one.identity not in alone}

    def ends(self, survey: Survey, group: Group) -> Ends:
        """The other ends, for the first pod of the group."""
        if self.outside is not None:
            known = PacketSet.cube(AddressSet.any(), _WELL_KNOWN)
            found = (self.outside & known).witness() or self.outside.witness()
            if found is not None:
                yield Endpoint.at(survey.snapshot, found[0]), found[1], found[2]
        for transports, bits in self.inside.row if self.inside is not None else ():
            ports = survey.grid.transports.sets[transports]
            for number in members(bits):
                pod = next((one for one in survey.grid.identities.pods[number] if one is not group.pods[0]), None)
                end = Endpoint.of_pod(pod, self.family) if pod is not None else None
                if end is not None:
                    cube = PacketSet.cube(AddressSet.of((end.address,)), ports & _WELL_KNOWN or ports)
                    found = cube.witness()
                    if found is not None:
                        yield end, found[1], found[2]


def _alike(survey: Survey, direction: Direction) -> Iterable[dict[int, Group]]:
    """The workloads that policies of one priority select, by place; those together that have the same disputes."""
    keys: dict[PolicyKey, tuple[object, bool] | None] = {}
    found: dict[object, dict[int, Group]] = {}
    for place, group in enumerate(survey.groups):
        key = survey.grid.keys[direction][group.identity]
        if key not in keys:
            keys[key] = _key(survey.grid.standing(key, direction), key)
        known = keys[key]
        if known is not None:
            versions = frozenset(one.version for one in group.pods[0].addresses)
            named = direction is Direction.INGRESS and known[1]
            found.setdefault((known[0], versions, group.identity if named else None), {})[place] = group
    return found.values()


def _key(standing: Isolation, key: PolicyKey) -> tuple[object, bool] | None:
    """What disputes hang on, and whether also on the names of ports; None where no two policies share a priority.

    To the Admin tier everything comes; what comes to the Baseline tier hangs on all that is between.
    """
    tiers = (*standing.admin, *standing.baseline)
    if all(len(layer.policies) < 2 for layer in tiers):
        return None
    between = any(len(layer.policies) > 1 for layer in standing.baseline)
    named = any(rule.ports is not None and rule.ports.names for layer in tiers for rule in layer.rules)
    # The rules of a snapshot are made once, and kept by the grid.
    return (tuple(map(id, (rules for layer in tiers for rules in layer.policies))), key if between else None), named


def _parts(survey: Survey, group: Group, direction: Direction) -> Iterator[_Part]:
    """What is disputed of the connections of a group and of all that are like it."""
    grid, number = survey.grid, group.identity
    standing = grid.standing(grid.keys[direction][number], direction)
    have = {one.version for one in group.pods[0].addresses}
    families = AddressSet.union_of(AddressSet.whole(one) for one in have)
    beyond = PacketSet.cube(families - survey.policies.selection.places.cluster - LOOPBACK, TransportSet.any())

    found = Disputes(standing, beyond, lambda rule: grid.packets_outside(rule, number))
    for packets, one, other in found.all():
        yield _Part(one, other, outside=packets)
    # If the names that a rule accepts lead to whatever another speaks of: anywhere outside.
    shared = (layer for layer in (*standing.admin, *standing.baseline) if len(layer.policies) > 1)
    for kind in name_kinds((rule for layer in shared for rule in layer.rules), standing.every_rule()):
        opening = (rule for rule in standing.every_rule() if kind.of(rule))
        anywhere = {id(rule): PacketSet.cube(AddressSet.any(), grid.ports_outside(rule, number)) for rule in opening}
        for packets, one, other in found.supposing(anywhere):
            yield _Part(one, other, outside=packets, names=kind.patterns)
    for family in FAMILIES:
        peers = grid.identities.of_family[family] if family in have else 0
        for cells, one, other in _among_pods(grid, standing, number, family, peers):
            yield _Part(one, other, inside=cells, family=family)


def _among_pods(
    grid: Grid, standing: Isolation, number: int, family: Family, peers: Bits
) -> Iterator[tuple[Cells, Rule, Rule]]:
    # Where no block tells the families apart, the grid has one for both.
    known = family if family in grid.families else grid.families[0]

    def inside(rule: Rule) -> Cells:
        return Cells.of(grid.transports, contributions(grid, rule, number, known))

    return Disputes(standing, Cells(grid.transports, ((EVERYTHING, peers),) if peers else ()), inside).all()


def _shown(survey: Survey, group: Group, direction: Direction, ends: Ends) -> Witness | None:
    """The first of these connections of which the judge says as well that it is disputed, and how it fares."""
    for end, protocol, coordinate in ends:
        own = Endpoint.of_pod(group.pods[0], end.address.version)
        if own is None:
            continue
        source, destination = (own, end) if direction is Direction.EGRESS else (end, own)
        trace = survey.judge.judge(Flow(source, destination, protocol, coordinate))
        side = trace.egress if direction is Direction.EGRESS else trace.ingress
        if side.outcome is not None and side.outcome.disputed:
            packet = Packet(source.address, destination.address, protocol, coordinate)
            return Witness(packet, str(source), str(destination), trace.verdict.allows)
    return None


CHECK = Check("priority-disputed", Severity.WARNING, _find, __doc__)
