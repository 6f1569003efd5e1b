"""Not a check: whether two rules speak of anything in common, for a workload that both are about.

Within the cluster that is a matter of identities, outside of packets, and of names a matter of patterns: a rule about a
name meets another about a name that it means as well, and one about addresses outside, which may be those of the name.
"""

from __future__ import annotations

from collections.abc import Mapping

from outgate.checks.survey import Survey
from outgate.model import CiliumPolicy, Direction, Policy
from outgate.packets import AddressSet
from outgate.packets.addresses import Family
from outgate.packets.special import NEVER_NAMED
from outgate.policy import Origin, Rule
from outgate.policy.cells import Contribution
from outgate.policy.grid import Grid
from outgate.policy.name_overlap import have_a_name_in_common
from outgate.policy.names import Pattern
from outgate.policy.rules import NamesMatch

__all__ = [
    "Overlaps",
    "asks_for_names",
    "contributions",
    "overlap",
    "patterns",
    "policies_by_origin",
    "policy_of",
]

PolicyName = tuple[str, str, str, int | None]


def overlap(grid: Grid, one: Rule, other: Rule, number: int) -> bool:
    """Whether anything that an identity sends, or is sent, is spoken of by both."""
    if not grid.outside_of(one).isdisjoint(grid.outside_of(other)) and (
        grid.ports_outside(one, number) & grid.ports_outside(other, number)
    ):
        return True
    for family in grid.families:
        theirs = contributions(grid, other, number, family)
        for transports, bits in contributions(grid, one, number, family):
            if any(bits & each and grid.transports.meet(transports, what) for what, each in theirs):
                return True
    return _names_meet(grid, one, other, number)


class Overlaps:
    """`overlap`, asked about the same rules for one workload after the other.

    It hangs on the workload only where a rule of ingress asks for ports by their names, of which each pod has its own.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._known: dict[tuple[int, int, int], bool] = {}

    def meet(self, one: Rule, other: Rule, number: int) -> bool:
        """Whether anything that an identity sends, or is sent, is spoken of by both."""
        # The rules of a snapshot are made once, and kept by the grid.
        key = id(one), id(other), number if asks_for_names(one) or asks_for_names(other) else -1
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = overlap(self._grid, one, other, number)
        return found


def asks_for_names(rule: Rule) -> bool:
    """Whether what a rule means hangs on the ports of the pod itself: on egress a name is one of the other end."""
    return rule.direction is Direction.INGRESS and rule.ports is not None and bool(rule.ports.names)


def _names_meet(grid: Grid, one: Rule, other: Rule, number: int) -> bool:
    mine, theirs = patterns(one), patterns(other)
    if not (mine or theirs) or not grid.ports_outside(one, number) & grid.ports_outside(other, number):
        return False
    if any(have_a_name_in_common(this, that) for this in mine for that in theirs):
        return True
    # A name opens no node, whatever it leads to, and nothing else that is never outside.
    nodes = (address for node in grid.policies.snapshot.nodes.values() for address in node.addresses)
    never = NEVER_NAMED | AddressSet.of(nodes)
    return bool(mine and grid.outside_of(other) - never) or bool(theirs and grid.outside_of(one) - never)


def patterns(rule: Rule) -> tuple[Pattern, ...]:
    """The names that a rule is about."""
    return tuple(each for peer in rule.peers or () if isinstance(peer, NamesMatch) for each in peer.patterns)


def contributions(grid: Grid, rule: Rule, number: int, family: Family) -> tuple[Contribution, ...]:
    """What a rule speaks of within the cluster."""
    return grid.out_of(rule, family) if rule.direction is Direction.EGRESS else grid.into(rule, number, family)


def policies_by_origin(survey: Survey) -> Mapping[PolicyName, Policy]:
    """All policies, by what their rules say of where they come from."""
    return {
        (one.kind, one.namespace, one.name, one.index if isinstance(one, CiliumPolicy) else None): one
        for one in survey.snapshot.every_policy
    }


def policy_of(survey: Survey, origin: Origin) -> Policy:
    """The policy that an origin names."""
    return survey.once(policies_by_origin)[origin.kind, origin.namespace, origin.name, origin.spec]
