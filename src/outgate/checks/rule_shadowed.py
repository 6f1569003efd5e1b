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
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.hearing import Audience, Hearing
from outgate.checks.overlaps import overlap, policy_of
from outgate.checks.survey import Survey, some, subject_of
from outgate.model import Direction
from outgate.policy import Origin, Rule
from outgate.policy.rules import Tier

__all__ = ["CHECK"]


@dataclass(slots=True)
class _Heard:
    """What is known of one written rule: whether it speaks for anybody, and what is before it."""

    rule: Rule
    speaks: bool = False
    groups: dict[int, Group] = field(default_factory=dict)
    """Those for whom it is about anything, by their place among all."""
    before: dict[Origin, Rule] = field(default_factory=dict)


def _find(survey: Survey) -> Iterator[Finding]:
    if not survey.snapshot.cluster_policies and not survey.snapshot.cilium_policies:
        # NetworkPolicies alone have no order.
        return
    for direction in Direction:
        for origin, heard in _heard(survey, direction).items():
            if not heard.speaks and heard.before:
                yield _finding(survey, origin, heard)


def _finding(survey: Survey, origin: Origin, heard: _Heard) -> Finding:
    before = list(heard.before.values())
    alike = all(one.action is heard.rule.action for one in before)
    who = some([one.origin for one in before])
    groups = [heard.groups[place] for place in sorted(heard.groups)]
    return Finding(
        CHECK.name,
        Severity.INFO if alike else CHECK.severity,
        f"{origin} never has a say for {some(groups)}: all that it speaks of is decided before, by {who}",
        subject_of(policy_of(survey, origin)),
        origin.place,
        tuple(Related(one.origin.place, f"{one.origin} says {one.action.value} before") for one in before[:3]),
        help="take it away" if alike else _advice(heard.rule, before),
    )


def _advice(rule: Rule, before: list[Rule]) -> str:
    """What can be done: rules have an order within their tier alone, and denials of Cilium's stand in none."""
    if any(one.tier is rule.tier for one in before):
        denied = rule.tier is Tier.NETWORK_POLICY
        order = "a denial counts wherever it stands: make it narrower, or take this away"
        return order if denied else "put it before, or make the other narrower"
    if all(one.tier is Tier.NETWORK_POLICY for one in before):
        return "the Baseline tier is for pods that no policy isolates: say it in the Admin tier, or take it away"
    return "say it in the Admin tier before that, or make the other narrower"


def _heard(survey: Survey, direction: Direction) -> dict[Origin, _Heard]:
    """Of each written rule, whether anything comes to it; and of those to which nothing does, what is before them."""
    hearing = Hearing(survey, direction)
    found: dict[Origin, _Heard] = {}
    for one in hearing.audiences:
        for rule in one.rules:
            found.setdefault(rule.origin, _Heard(rule))
        # Where nothing is before anything, each rule has its say.
        for rule in hearing.speaking(one) if one.standing.tiered else one.rules:
            found[rule.origin].speaks = True
    for one in hearing.audiences:
        if one.standing.tiered and any(not found[rule.origin].speaks for rule in hearing.naming(one)):
            for rule in hearing.opening(one):
                found[rule.origin].speaks = True
    asked: set[tuple[int, int]] = set()
    for one in hearing.audiences:
        _look_before(survey, hearing, one, found, asked)
    return found


def _look_before(
    survey: Survey, hearing: Hearing, audience: Audience, found: dict[Origin, _Heard], asked: set[tuple[int, int]]
) -> None:
    """What is before the rules that speak to nobody. `asked`: pairs of rules that were looked at."""
    for place, (rule, meaning) in enumerate(zip(audience.rules, audience.meanings, strict=True)):
        heard = found[rule.origin]
        if heard.speaks or not hearing.has_extent(rule, meaning, audience):
            continue
        heard.groups |= audience.groups
        for other, before in zip(audience.rules[:place], audience.meanings[:place], strict=True):
            if (before, meaning) in asked:
                continue
            asked.add((before, meaning))
            if other.origin in heard.before or not _is_before(other, rule):
                continue
            if overlap(survey.grid, other, rule, audience.number):
                heard.before[other.origin] = other


def _is_before(other: Rule, rule: Rule) -> bool:
    if other.origin == rule.origin:
        return False
    # What allows beside a rule of the same tier is not before it, and neither are two denials of Cilium's.
    together = other.tier is rule.tier and other.tier is Tier.NETWORK_POLICY
    return not (together and other.action is rule.action)


CHECK = Check("rule-shadowed", Severity.WARNING, _find, __doc__)
