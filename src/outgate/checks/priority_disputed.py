"""Two policies of one priority that say different things.

What it does:
    Finds rules of two policies of the whole cluster with the same tier and the same priority that speak of the same
    connections of the same pods and do different things: one accepts, the other denies or passes. It shows such a
    connection. What is decided before, by a policy of a lower number, is no dispute; nor is what both say alike.

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

from collections.abc import Iterator
from dataclasses import dataclass, field

from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity, Witness
from outgate.checks.overlaps import contributions, policy_of
from outgate.checks.survey import Survey, some, subject_of
from outgate.model import Direction
from outgate.packets import AddressSet, IntervalSet, Packet, PacketSet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES, Family
from outgate.policy import Endpoint, Flow, Origin, Rule
from outgate.policy.cells import Cells
from outgate.policy.grid import Grid
from outgate.policy.identity import Bits, members
from outgate.policy.interned import EVERYTHING
from outgate.policy.tiers import Isolation, disputes
from outgate.policy.trace import disputed_words

__all__ = ["CHECK"]

_Pair = tuple[Origin, Origin]
_WELL_KNOWN = TransportSet.ports(Protocol.TCP, IntervalSet.of((80, 80), (443, 443)))


@dataclass(slots=True)
class _Dispute:
    """Two rules, and whose connections they say different things of."""

    one: Rule
    other: Rule
    groups: list[Group] = field(default_factory=list)
    witness: Witness | None = None


def _find(survey: Survey) -> Iterator[Finding]:
    known: dict[object, list[_Part]] = {}
    for direction in Direction if len(survey.snapshot.cluster_policies) > 1 else ():
        found: dict[_Pair, _Dispute] = {}
        for group in survey.groups:
            standing = survey.grid.standing(survey.grid.keys[direction][group.identity], direction)
            if not any(len(one.policies) > 1 for one in (*standing.admin, *standing.baseline)):
                continue
            key = _key(survey, standing, group, direction)
            if key not in known:
                known[key] = list(_parts(survey, standing, group))
            for part in known[key]:
                if part.concerns(survey, group):
                    dispute = found.setdefault((part.one.origin, part.other.origin), _Dispute(part.one, part.other))
                    if group not in dispute.groups[-1:]:
                        dispute.groups.append(group)
                    if dispute.witness is None:
                        dispute.witness = _shown(survey, group, direction, part.ends(survey, group))
        for dispute in found.values():
            yield _finding(survey, dispute)


def _finding(survey: Survey, dispute: _Dispute) -> Finding:
    one, other = dispute.one, dispute.other
    alone = len(dispute.groups) == 1
    verb = ("sends" if alone else "send") if one.direction is Direction.EGRESS else ("is sent" if alone else "are sent")
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{disputed_words((one, other))}, for what {some(dispute.groups)} {verb}",
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

    def concerns(self, survey: Survey, group: Group) -> bool:
        """Whether any of them may be of this group."""
        if self.inside is None:
            return True
        identities, number = survey.grid.identities, group.identity
        # What a pod sends to itself is nobody's business, so a pod that is alone of its kind is not its own peer.
        itself = 1 << number if len(identities.pods[number]) == 1 else 0
        return any(bits & ~itself for _, bits in self.inside.row)

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


def _key(survey: Survey, standing: Isolation, group: Group, direction: Direction) -> object:
    """What the disputes of a group hang on: the policies, its families, and on ingress the names of its ports.

    To the Admin tier everything comes; what comes to the Baseline tier hangs on all that is between.
    """
    asked = [rules for layer in (*standing.admin, *standing.baseline) for rules in layer.policies]
    between = any(len(layer.policies) > 1 for layer in standing.baseline)
    named = direction is Direction.INGRESS and any(one.ports and one.ports.names for rules in asked for one in rules)
    return (
        direction,
        tuple(map(id, asked)),
        survey.grid.keys[direction][group.identity] if between else None,
        frozenset(one.version for one in group.pods[0].addresses),
        group.identity if named else None,
    )


def _parts(survey: Survey, standing: Isolation, group: Group) -> Iterator[_Part]:
    """What is disputed of the connections of a group and of all that are like it."""
    grid, number = survey.grid, group.identity
    have = {one.version for one in group.pods[0].addresses}
    families = AddressSet.union_of(AddressSet.whole(one) for one in have)
    beyond = PacketSet.cube(families - survey.policies.selection.places.cluster, TransportSet.any())

    def outside(rule: Rule) -> PacketSet:
        return PacketSet.cube(grid.outside_of(rule), grid.ports_outside(rule, number))

    for packets, one, other in disputes(standing, beyond, outside):
        yield _Part(one, other, outside=packets)
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

    return disputes(standing, Cells(grid.transports, ((EVERYTHING, peers),) if peers else ()), inside)


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
