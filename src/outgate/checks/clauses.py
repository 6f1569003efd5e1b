"""Not a check: the rules of Cilium's policies and of policies of the whole cluster, and what each opens outside.

What a rule of a NetworkPolicy allows it opens, for there is nothing but allowances. One of the other kinds (`Written`)
may deny or pass, and what it opens hangs on what comes before it. Policies of hosts (`nodeSelector`) are left out: no
pod is concerned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from outgate.analysis.groups import Group
from outgate.checks.finding import Witness
from outgate.checks.proof import beyond
from outgate.checks.survey import Survey
from outgate.checks.written import Written, written_rules
from outgate.model import CiliumPolicy, ClusterPolicy, Direction, NetworkPolicy, Policy, UnknownPeer
from outgate.model.cilium import EndpointPeer
from outgate.model.labels import Labels
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.packets.packetset import Cube
from outgate.packets.special import INTERNET_V4, INTERNET_V6
from outgate.policy import Rule
from outgate.policy.grid import PolicyKey
from outgate.policy.rules import Conditions, Tier
from outgate.policy.tiers import Isolation, isolates, layers, partition

__all__ = ["allowances", "clauses", "opened_by", "opened_outside", "opened_to", "way_out"]


_INTERNET = INTERNET_V4.addresses | INTERNET_V6.addresses


def allowances(survey: Survey) -> Iterator[Written]:
    """The rules of egress of all kinds that let something through, be it on a condition."""
    own = (one for one in written_rules(survey, Direction.EGRESS) if isinstance(one.policy, NetworkPolicy))
    yield from (one for one in (*clauses(survey, Direction.EGRESS), *own) if one.accepts)


def clauses(survey: Survey, direction: Direction | None = None) -> Sequence[Written]:
    """Every such rule of pods, of one direction where that is given, whether or not we do what it asks for."""
    return [
        one
        for one in written_rules(survey, direction, void=True)
        if not isinstance(one.policy, NetworkPolicy)
        and not (isinstance(one.policy, CiliumPolicy) and (one.policy.nodes is not None or one.policy.unenforced))
    ]


def opened_outside(
    survey: Survey, clause: Written, rule: Rule, addresses: AddressSet
) -> tuple[PacketSet, Group | None]:
    """What of some addresses outside one of the rules that a clause of egress has become really opens, and for whom.

    Of `opened_to` the first workload, and what it opens for that.
    """
    packets, groups = opened_to(survey, clause.policy, rule, PacketSet.cube(addresses, TransportSet.any()))
    for group, mine in groups.items():
        return mine, group
    return packets, None


def opened_to(
    survey: Survey, policy: Policy, rule: Rule, wanted: PacketSet
) -> tuple[PacketSet, Mapping[Group, PacketSet]]:
    """What of some packets a rule of a policy of egress really opens, together and for each workload for which it does.

    For a workload that it is about, all that has a say in it counts: what is denied before, this rule does not open,
    and where no policy of the NetworkPolicy tier isolates, a rule of Cilium's opens nothing that was closed. Where the
    input has no such workload, none is in the mapping, and the same is asked of the policies that are about every pod
    that there may be.
    """
    written = _extent(survey, rule) & wanted
    if not written:
        return written, {}
    groups = survey.selected_groups(policy)
    becoming = survey.once(_becoming).setdefault(wanted, _Becoming(survey, wanted))
    if not groups:
        return becoming.opened_under(_supposed(survey, policy, rule), rule, written), {}
    known: dict[object, PacketSet] = {}
    found: dict[Group, PacketSet] = {}
    for group in groups:
        key = survey.grid.keys[rule.direction][group.identity], tuple(one.version for one in group.pods[0].addresses)
        if key not in known:
            families = AddressSet.union_of(map(AddressSet.whole, key[1]))
            known[key] = becoming.opened(key[0], rule, written).restrict(families)
        if known[key]:
            found[group] = known[key]
    return PacketSet.union_of(cube for packets in known.values() for cube in packets), found


class _Becoming:
    """What becomes of some packets to addresses outside, under each set of policies."""

    def __init__(self, survey: Survey, wanted: PacketSet) -> None:
        self._survey = survey
        self._wanted = wanted
        self._parts: dict[PolicyKey, tuple[PacketSet, dict[int, PacketSet]]] = {}

    def opened(self, key: PolicyKey, rule: Rule, written: PacketSet) -> PacketSet:
        """What a rule opens of those of them that it speaks of."""
        standing = self._survey.grid.standing(key, rule.direction)
        if all(one is not rule for one in standing.every_rule()):
            return PacketSet.none()
        return self.opened_under(standing, rule, written, key)

    def opened_under(
        self, standing: Isolation, rule: Rule, written: PacketSet, key: PolicyKey | None = None
    ) -> PacketSet:
        """The same under some policies; where they have a key, what becomes of the packets is remembered."""
        if standing.united:
            return written
        passing, mine = self._partition(standing, key)
        if rule.tier is Tier.NETWORK_POLICY:
            # A union: what passes is this rule's doing, whichever of several it is laid to.
            return passing & written if standing.policies else PacketSet.none()
        return mine.get(id(rule), PacketSet.none())

    def _partition(self, standing: Isolation, key: PolicyKey | None) -> tuple[PacketSet, dict[int, PacketSet]]:
        """What passes, and what of it each rule is the first to allow."""
        if key in self._parts:
            return self._parts[key]
        found: dict[int, list[Cube]] = {}
        for packets, verdict, rule in partition(standing, self._wanted, lambda one: _extent(self._survey, one)):
            if verdict.allows:
                found.setdefault(id(rule), []).extend(packets)
        passing = PacketSet.union_of(cube for cubes in found.values() for cube in cubes)
        parts = passing, {rule: PacketSet.union_of(cubes) for rule, cubes in found.items()}
        if key is not None:
            self._parts[key] = parts
        return parts


def _becoming(_: Survey) -> dict[PacketSet, _Becoming]:
    return {}


def opened_by(
    survey: Survey, written: Written, wanted: PacketSet, may_ask: Callable[[Conditions | None], bool]
) -> tuple[PacketSet, Mapping[Group, PacketSet]]:
    """What a written rule opens of some packets (`opened_to`), where what is asked for may meet its conditions."""
    found: dict[Group, PacketSet] = {}
    together = PacketSet.none()
    for rule in written.made(survey):
        if may_ask(rule.conditions):
            packets, groups = opened_to(survey, written.policy, rule, wanted)
            together |= packets
            found |= {group: found.get(group, PacketSet.none()) | mine for group, mine in groups.items()}
    return together, found


def _extent(survey: Survey, rule: Rule) -> PacketSet:
    """What a rule of egress speaks of outside, where a port name means nothing."""
    known = survey.once(_extents)
    # The rules of a snapshot are made once, and kept by the grid.
    if id(rule) not in known:
        known[id(rule)] = survey.grid.packets_outside(rule, 0)
    return known[id(rule)]


def _extents(_: Survey) -> dict[int, PacketSet]:
    return {}


def _supposed(survey: Survey, policy: Policy, rule: Rule) -> Isolation:
    """How a pod would stand that a policy selects, and else those that select every pod beside it."""
    direction = rule.direction
    snapshot = survey.snapshot
    labels = snapshot.namespace(policy.namespace).labels if policy.namespace else None
    own = (policy,) if isinstance(policy, NetworkPolicy) else ()
    beside = [one for one in snapshot.cilium_policies if one is policy or _selects_all(one, labels)]
    around = [one for one in snapshot.cluster_policies if one is policy or _selects_all(one, labels)]
    middle: tuple[NetworkPolicy | CiliumPolicy, ...] = (*own, *beside)
    return Isolation.of(
        tuple(one for one in middle if isolates(one, direction)),
        direction,
        (rule for one in middle for rule in survey.grid.rules_of(one, direction)),
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


def way_out(survey: Survey, written: Written) -> Witness | None:
    """A packet to the internet that an egress rule lets out; None where it selects nobody or lets nothing there."""
    if isinstance(written.policy, NetworkPolicy):
        groups = survey.selected_groups(written.policy)
        (rule,) = written.made(survey)
        packets = survey.policies.packets_of(rule).restrict(_INTERNET)
        return beyond(survey, groups[0], packets) if groups else None
    for rule in written.made(survey) if written.accepts else ():
        found, group = opened_outside(survey, written, rule, _INTERNET)
        shown = beyond(survey, group, found) if group is not None else None
        if shown is not None:
            return shown
    return None
