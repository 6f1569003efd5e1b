"""Not a check: rules of Cilium's policies and of policies of the whole cluster, as they are written.

`Section` is one rule of a NetworkPolicy, where a rule is an allowance and nothing else. A `Clause` is one rule of the
other kinds: it may deny or pass, its peers are of more kinds, and what it opens hangs on what comes before it. Policies
of hosts (`nodeSelector`) are left out: no pod is concerned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from outgate.analysis.groups import Group
from outgate.checks.survey import Survey, some
from outgate.model import CiliumPolicy, ClusterPolicy, ClusterRule, Direction, Place, UnknownPeer
from outgate.model.cilium import CiliumPeer, CiliumRule, EndpointPeer
from outgate.model.cluster_policy import ClusterPeer
from outgate.model.labels import Labels
from outgate.packets import AddressSet, PacketSet
from outgate.policy import Origin, Rule
from outgate.policy.rules import Action, Tier, origin_of
from outgate.policy.tiers import Isolation, allowed, isolates, layers, partition
from outgate.records import dataclass

__all__ = ["Clause", "clauses", "opened_outside", "whom"]


@dataclass(frozen=True, slots=True, eq=False)
class Clause:
    """One rule of a policy of Cilium's, or of the whole cluster."""

    policy: CiliumPolicy | ClusterPolicy
    direction: Direction
    index: int
    rule: CiliumRule | ClusterRule

    @property
    def action(self) -> Action:
        """What it says."""
        if isinstance(self.rule, CiliumRule):
            return Action.DENY if self.rule.deny else Action.ACCEPT
        return Action(self.rule.action)

    @property
    def peers(self) -> Sequence[CiliumPeer | ClusterPeer]:
        """Whom it names; none where it names nobody in particular."""
        return self.rule.peers or ()

    @property
    def origin(self) -> Origin:
        """What verdicts call it."""
        return origin_of(self.policy, self.direction, self.index)

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.rule.place

    @property
    def understood(self) -> bool:
        """Whether nothing in it, or in its policy, is beyond us: such a rule closes here, and elsewhere does not."""
        return not isinstance(self.rule, CiliumRule) or not self.rule.unenforced

    def __str__(self) -> str:
        return str(self.origin)


def clauses(survey: Survey, direction: Direction | None = None) -> Sequence[Clause]:
    """Every such rule of pods, of one direction where that is given."""
    every = survey.once(_every)
    return every if direction is None else [one for one in every if one.direction is direction]


def _every(survey: Survey) -> tuple[Clause, ...]:
    policies: Iterable[CiliumPolicy | ClusterPolicy] = (
        *(one for one in survey.snapshot.cilium_policies if one.nodes is None and not one.unenforced),
        *survey.snapshot.cluster_policies,
    )
    found: list[Clause] = []
    for policy in policies:
        for direction in Direction:
            rules: Sequence[CiliumRule | ClusterRule] = policy.rules(direction)
            found.extend(Clause(policy, direction, index, rule) for index, rule in enumerate(rules))
    return tuple(found)


def opened_outside(survey: Survey, clause: Clause, rule: Rule, addresses: AddressSet) -> tuple[PacketSet, Group | None]:
    """What of some addresses outside one of the rules that a clause of egress has become really opens, and for whom.

    For a workload that it is about, all that has a say in it counts: what is denied before, this rule does not open,
    and where no policy of the NetworkPolicy tier isolates, a rule of Cilium's opens nothing that was closed. Where the
    input has no such workload, the same is asked of the policies that are about every pod that there may be.
    """
    grid = survey.grid
    written = PacketSet.cube(grid.outside_of(rule) & addresses, grid.ports_outside(rule, 0))
    if not written:
        return written, None
    groups = survey.selected_groups(clause.policy)
    for group in groups:
        standing = grid.standing(grid.keys[clause.direction][group.identity], clause.direction)
        if any(one is rule for one in standing.every_rule()):
            families = AddressSet.union_of(AddressSet.whole(one.version) for one in group.pods[0].addresses)
            found = _opens(survey, standing, rule, written.restrict(families))
            if found:
                return found, group
    return (PacketSet.none() if groups else _opens(survey, _supposed(survey, clause), rule, written)), None


def _opens(survey: Survey, standing: Isolation, rule: Rule, written: PacketSet) -> PacketSet:
    def extent(one: Rule) -> PacketSet:
        return PacketSet.cube(survey.grid.outside_of(one), survey.grid.ports_outside(one, 0))

    if rule.tier is Tier.NETWORK_POLICY:
        # A union: what passes is this rule's doing, whichever of several it is laid to.
        return allowed(standing, written, extent) if standing.policies else PacketSet.none()
    parts = partition(standing, written, extent)
    return next((packets for packets, _, by in parts if by is rule), PacketSet.none())


def _supposed(survey: Survey, clause: Clause) -> Isolation:
    """How a pod would stand that the policy of a clause selects, and else those that select every pod beside it."""
    direction, policy = clause.direction, clause.policy
    snapshot = survey.snapshot
    labels = snapshot.namespace(policy.namespace).labels if policy.namespace else None
    beside = [one for one in snapshot.cilium_policies if one is policy or _selects_all(one, labels)]
    around = [one for one in snapshot.cluster_policies if one is policy or _selects_all(one, labels)]
    return Isolation.of(
        tuple(one for one in beside if isolates(one, direction)),
        direction,
        (rule for one in beside for rule in survey.grid.rules_of(one, direction)),
        layers(around, direction, lambda one: survey.grid.rules_of(one, direction)),
    )


def _selects_all(policy: CiliumPolicy | ClusterPolicy, labels: Labels | None) -> bool:
    """Whether a policy selects every pod of a namespace with these labels; of any namespace, where none are given."""
    subject = policy.subject
    if isinstance(policy, CiliumPolicy) and policy.nodes is not None:
        return False
    if isinstance(subject, UnknownPeer):
        return True
    if isinstance(subject, EndpointPeer) and (subject.nobody or subject.accounts or subject.clusters):
        return False
    if subject.pods:
        return False
    return not subject.namespaces or (labels is not None and subject.namespaces.matches(labels))


def whom(survey: Survey, policy: CiliumPolicy | ClusterPolicy) -> str:
    """The workloads that a policy selects, in words; the selector where the input has none of them."""
    groups = survey.selected_groups(policy)
    if groups:
        return some(groups)
    selector = None if isinstance(policy.subject, UnknownPeer) else policy.subject.pods
    pods = f"pods {selector}" if selector else "pods"
    where = f" of {policy.namespace}" if policy.namespace else ""
    return f"{pods}{where}"
