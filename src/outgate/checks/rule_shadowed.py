"""A rule that another decides before, always.

What it does:
    Finds rules that never have a say: everything that they speak of is decided before it comes to them, for every pod
    that they are about. What is before a rule are the rules of the Admin tier and the denials of Cilium's policies, and
    for rules of a tier those that come first by priority and by place; for the Baseline tier all that isolates. It is
    a warning where the other decision is the opposite, and only worth knowing where it is the same.

Why it matters:
    A rule that allows and is denied before opens nothing, however narrow it is: Cilium's `egressDeny` of 10.0.0.0/8
    is before an `egress` rule for 10.1.0.0/16. And whoever writes a denial below a rule that accepts closes nothing.

Example:
    apiVersion: policy.networking.k8s.io/v1alpha2
    kind: ClusterNetworkPolicy
    metadata: {name: internet}
    spec:
      tier: Admin
      priority: 10
      subject: {namespaces: {}}
      egress:
        - action: Accept
          to:
            - networks: ["203.0.113.0/24"]
        - action: Deny
          to:
            - networks: ["203.0.113.128/25"]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: policy.networking.k8s.io/v1alpha2
    kind: ClusterNetworkPolicy
    metadata: {name: internet}
    spec:
      tier: Admin
      priority: 10
      subject: {namespaces: {}}
      egress:
        - action: Deny
          to:
            - networks: ["203.0.113.128/25"]
        - action: Accept
          to:
            - networks: ["203.0.113.0/24"]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where the rule before is to go, and this one is to take its place.

References:
    - https://network-policy-api.sigs.k8s.io/api-overview/
    - https://docs.cilium.io/en/stable/security/policy/deny/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from outgate.analysis.groups import Group
from outgate.analysis.opened import openings
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.overlaps import contributions, outside, overlap, patterns, policy_of
from outgate.checks.survey import Survey, some, subject_of
from outgate.model import Direction
from outgate.packets import PacketSet
from outgate.policy import Origin, Rule
from outgate.policy.cells import Cells
from outgate.policy.interned import EVERYTHING
from outgate.policy.rules import Tier
from outgate.policy.tiers import Isolation, speaking

__all__ = ["CHECK"]


@dataclass(slots=True)
class _Heard:
    """What is known of one written rule: whether it speaks for anybody, and what is before it."""

    rules: list[Rule] = field(default_factory=list)
    matters: bool = False
    speaks: bool = False
    groups: list[Group] = field(default_factory=list)
    before: dict[Origin, Rule] = field(default_factory=dict)


def _find(survey: Survey) -> Iterator[Finding]:
    if not survey.snapshot.cluster_policies and not survey.snapshot.cilium_policies:
        # NetworkPolicies alone have no order.
        return
    for direction in Direction:
        for origin, heard in _heard(survey, direction).items():
            if heard.matters and not heard.speaks and heard.before:
                yield _finding(survey, origin, heard)


def _finding(survey: Survey, origin: Origin, heard: _Heard) -> Finding:
    before = list(heard.before.values())
    action = heard.rules[0].action
    alike = all(one.action is action for one in before)
    who = some([one.origin for one in before])
    return Finding(
        CHECK.name,
        Severity.INFO if alike else CHECK.severity,
        f"{origin} never has a say for {some(heard.groups)}: all that it speaks of is decided before, by {who}",
        subject_of(policy_of(survey, origin)),
        origin.place,
        tuple(Related(one.origin.place, f"{one.origin} says {one.action.value} before") for one in before[:3]),
        help="take it away" if alike else "put it before, or make the other narrower",
    )


def _heard(survey: Survey, direction: Direction) -> dict[Origin, _Heard]:
    grid = survey.grid
    found: dict[Origin, _Heard] = {}
    for group in survey.groups:
        standing = grid.standing(grid.keys[direction][group.identity], direction)
        if group.pods[0].host_network:
            continue
        if not standing.tiered:
            # Nothing is before anything: each rule has its say for this workload.
            for rule in standing.rules:
                found.setdefault(rule.origin, _Heard()).speaks = True
            continue
        alive = {id(rule) for rule in _speaking(survey, standing, group, direction)}
        ordered = list(standing.every_rule())
        for place, rule in enumerate(ordered):
            heard = found.setdefault(rule.origin, _Heard())
            heard.rules.append(rule)
            if not _has_extent(survey, rule, group):
                continue
            heard.matters = True
            if id(rule) in alive:
                heard.speaks = True
            if heard.speaks:
                continue
            if group not in heard.groups[-1:]:
                heard.groups.append(group)
            for other in ordered[:place]:
                if _is_before(other, rule) and overlap(grid, other, rule, group.identity):
                    heard.before.setdefault(other.origin, other)
    return found


def _is_before(other: Rule, rule: Rule) -> bool:
    if other.origin == rule.origin:
        return False
    # What allows beside a rule of the same tier is not before it, and neither are two denials of Cilium's.
    together = other.tier is rule.tier and other.tier is Tier.NETWORK_POLICY
    return not (together and other.action is rule.action)


def _speaking(survey: Survey, standing: Isolation, group: Group, direction: Direction) -> Iterator[Rule]:
    """The rules to which anything comes, within the cluster, outside of it, or of what names open."""
    grid, number = survey.grid, group.identity
    yield from speaking(standing, PacketSet.any(), lambda rule: outside(grid, rule, number))
    for family in grid.families:
        table = grid.transports
        everybody = Cells(table, ((EVERYTHING, grid.identities.everybody),))
        yield from speaking(
            standing,
            everybody,
            lambda rule: Cells.of(table, contributions(grid, rule, number, family)),  # noqa: B023 - used here
        )
    if direction is Direction.EGRESS and any(map(patterns, standing.every_rule())):
        opened = {pattern for one in openings(grid, number) for pattern in one.named.patterns}
        yield from (rule for rule in standing.every_rule() if opened.intersection(patterns(rule)))


def _has_extent(survey: Survey, rule: Rule, group: Group) -> bool:
    grid, number = survey.grid, group.identity
    inside = any(bits for family in grid.families for _, bits in contributions(grid, rule, number, family))
    return inside or bool(outside(grid, rule, number)) or bool(patterns(rule))


CHECK = Check("rule-shadowed", Severity.WARNING, _find, __doc__)
