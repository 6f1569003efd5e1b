"""Not a check: the rules of every kind of policy as they are written, in one shape, for checks that read single rules.

A rule of a NetworkPolicy accepts. One of Cilium's accepts or denies; one of the whole cluster may also pass on to the
next tier. Who judges what a rule lets through asks `Written.accepts` first, for to deny 0.0.0.0/0 opens nothing, and
then what is left of it by what is before it (`outgate.checks.clauses`).

Blocks differ as well. Those of Cilium's mean what is outside of the cluster alone, so that one for a pod or a node
matches nothing; those of the others mean addresses, whoever has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from outgate.checks.survey import Survey
from outgate.model import (
    BlockPeer,
    CiliumPolicy,
    ClusterPolicy,
    Direction,
    NetworkPolicy,
    Place,
    Policy,
    PolicyRule,
)
from outgate.model.cilium import CiliumPeer, CiliumRule, EntityPeer
from outgate.model.cluster_policy import ClusterPeer
from outgate.model.snapshot import AnyRule
from outgate.policy import Action, Origin, Rule
from outgate.policy.rules import origin_of
from outgate.records import dataclass

__all__ = ["AnyPeer", "Written", "keys_at", "subject_place", "title_of", "written_rules"]

AnyPeer = CiliumPeer | ClusterPeer
"""A peer of whichever kind; those of NetworkPolicies are among them."""


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """One rule of one policy, of whichever kind."""

    policy: Policy
    direction: Direction
    rule: AnyRule
    origin: Origin
    action: Action

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.rule.place

    @property
    def peers(self) -> Sequence[AnyPeer]:
        """Whom it names; none where it names nobody in particular, or nobody at all."""
        return self.rule.peers or ()

    @property
    def understood(self) -> bool:
        """Whether nothing in it, or in its policy, is beyond us: such a rule closes here, and elsewhere does not."""
        whole = not isinstance(self.policy, CiliumPolicy) or not self.policy.unenforced
        return whole and (not isinstance(self.rule, CiliumRule) or not self.rule.unenforced)

    @property
    def accepts(self) -> bool:
        """Whether it lets through; else it denies, or passes on to the next tier."""
        return self.action is Action.ACCEPT

    @property
    def is_ciliums(self) -> bool:
        """Whether it is one of Cilium's."""
        return isinstance(self.policy, CiliumPolicy)

    @property
    def counts(self) -> bool:
        """Whether it has its own meaning: ``policyTypes`` names its direction, and we do what it asks for."""
        match self.policy, self.rule:
            case NetworkPolicy() as policy, _:
                return self.direction in policy.types
            case CiliumPolicy() as policy, CiliumRule() as rule:
                return policy.nodes is None and self.understood and not rule.matches_nothing
        return True

    @property
    def blocks(self) -> tuple[BlockPeer, ...]:
        """Its address blocks, where they are written in the rule itself."""
        return tuple(peer for peer in self.peers if isinstance(peer, BlockPeer))

    @property
    def anybody(self) -> bool:
        """Whether it is about every end there is, within the cluster and outside."""
        match self.rule:
            case PolicyRule(peers=peers):
                return not peers
            case CiliumRule(peers=peers):
                return peers is None or any(isinstance(one, EntityPeer) and one.name == "all" for one in peers)
        return False

    @property
    def narrowed(self) -> bool:
        """Whether it names ports, or types of ICMP."""
        return bool(self.rule.ports) or self.is_icmp

    @property
    def is_icmp(self) -> bool:
        """Whether it is about types of ICMP alone."""
        return isinstance(self.rule, CiliumRule) and self.rule.lists_icmps

    @property
    def world(self) -> bool:
        """Whether it is about every address outside, of a family at least."""
        entities = (one for one in self.peers if isinstance(one, EntityPeer))
        whole = any(one.cidr.prefixlen == 0 for one in self.blocks)
        return self.anybody or whole or any(one.name == "world" for one in entities)

    def made(self, survey: Survey) -> Sequence[Rule]:
        """The rules that it has become: several where its entries of ports differ, or the places of pods count."""
        return survey.once(_by_origin).get(self.origin, ())

    def __str__(self) -> str:
        return str(self.origin)


def written_rules(survey: Survey, direction: Direction | None = None, *, void: bool = False) -> Sequence[Written]:
    """The rules of all policies that count, in one direction where that is given; with `void` the others, too."""
    every = survey.once(_all)[direction]
    return every if void else tuple(one for one in every if one.counts)


def _all(survey: Survey) -> dict[Direction | None, tuple[Written, ...]]:
    every = tuple(_of_each(survey))
    return {None: every, **{each: tuple(one for one in every if one.direction is each) for each in Direction}}


def _of_each(survey: Survey) -> Iterator[Written]:
    for policy in survey.snapshot.every_policy:
        for direction in Direction:
            rules: Sequence[AnyRule] = policy.rules(direction)
            for index, rule in enumerate(rules):
                yield Written(policy, direction, rule, origin_of(policy, direction, index), _action(rule))


def _action(rule: AnyRule) -> Action:
    match rule:
        case CiliumRule(deny=deny):
            return Action.DENY if deny else Action.ACCEPT
        case PolicyRule():
            return Action.ACCEPT
    return Action(rule.action)


def _by_origin(survey: Survey) -> dict[Origin, list[Rule]]:
    found: dict[Origin, list[Rule]] = {}
    for rule in survey.grid.all_rules():
        found.setdefault(rule.origin, []).append(rule)
    return found


def title_of(policy: Policy) -> str:
    """What a policy is called in sentences; with its kind, where it has no namespace."""
    return str(policy) if policy.namespace else f"{policy.kind} {policy}"


def keys_at(place: Place) -> frozenset[object]:
    """The keys of the mapping at a place; none where there is none, as of a policy that was made by hand."""
    value = place.document.value
    for step in place.at:
        try:
            value = value[step]  # type: ignore[index]  # a document is whatever YAML holds
        except (KeyError, IndexError, TypeError):
            return frozenset()
    return frozenset(value) if isinstance(value, dict) else frozenset()


def subject_place(policy: Policy) -> Place:
    """Where a policy says whom it selects."""
    match policy:
        case ClusterPolicy():
            return policy.place / "spec" / "subject"
        case CiliumPolicy():
            alone = policy.index is None
            return (policy.place / "spec" if alone else policy.place) / "endpointSelector"
    return policy.place / "spec" / "podSelector"
