"""A policy of Cilium's that denies more than it says, or less.

What it does:
    Finds three things that read otherwise than they act. An empty rule (`egress: [{}]`) matches nothing. Denials alone
    (`egressDeny`) isolate as well, and where nothing is allowed beside them, nothing passes. And `enableDefaultDeny`
    asks for nothing in a direction in which the policy has no rules.

Why it matters:
    In a NetworkPolicy an empty rule allows everything; here it is the idiom for denying everything, and beside other
    rules it does nothing. Whoever adds a policy to close one address closes all of them, unless it says
    `enableDefaultDeny: {egress: false}` or something else allows the rest.

Example:
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: no-metadata, namespace: shop}
    spec:
      endpointSelector: {}
      egressDeny:
        - toCIDR: [169.254.169.254/32]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: no-metadata, namespace: shop}
    spec:
      endpointSelector: {}
      egressDeny:
        - toCIDR: [169.254.169.254/32]
      enableDefaultDeny: {egress: false}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where everything is to be denied: an empty rule that stands alone is only worth knowing.

References:
    - https://docs.cilium.io/en/stable/security/policy/intro/#policy-enforcement-modes
    - https://docs.cilium.io/en/stable/security/policy/deny/
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey, isolation_place, some, spec_of, subject_of
from outgate.model import CiliumPolicy, Direction
from outgate.policy.rules import origin_of

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    for policy in survey.snapshot.cilium_policies:
        if policy.nodes is None:
            for direction in Direction:
                yield from _empty(policy, direction)
                yield from _denials_alone(survey, policy, direction)
                yield from _in_vain(policy, direction)


def _empty(policy: CiliumPolicy, direction: Direction) -> Iterator[Finding]:
    rules = policy.rules(direction)
    useful = any(not rule.matches_nothing and not rule.deny for rule in rules)
    for index, rule in enumerate(rules):
        if rule.matches_nothing and rule.peers is None:
            origin = origin_of(policy, direction, index)
            does = "does nothing beside the others" if useful or rule.deny else "only denies by default"
            yield Finding(
                CHECK.name,
                CHECK.severity if useful or rule.deny else Severity.INFO,
                f"{origin} names neither peers nor ports: it matches nothing, unlike an empty rule of a NetworkPolicy, "
                f"and {does}",
                subject_of(policy),
                rule.place,
                help=f"whom everything is meant for is {'to' if direction is Direction.EGRESS else 'from'}Entities: "
                "[all]; else take it away",
            )


def _denials_alone(survey: Survey, policy: CiliumPolicy, direction: Direction) -> Iterator[Finding]:
    if direction not in policy.isolates or policy.allowances(direction) or not policy.denials(direction):
        return
    grid = survey.grid
    closed = []
    for group in survey.selected_groups(policy):
        standing = grid.standing(grid.keys[direction][group.identity], direction)
        if len(standing.policies) == 1 and not standing.rules:
            closed.append(group)
    if closed:
        word = direction.value.lower()
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{policy} denies {some(closed)} everything, not only what it names: {word}Deny isolates as well, and no "
            "policy allows anything",
            subject_of(policy),
            isolation_place(policy, direction),
            help=f"say enableDefaultDeny: {{{word}: false}}, or allow the rest by {word}",
        )


def _in_vain(policy: CiliumPolicy, direction: Direction) -> Iterator[Finding]:
    word = direction.value.lower()
    place, spec = spec_of(policy)
    asked = spec.get("enableDefaultDeny")
    if isinstance(asked, dict) and asked.get(word) is True and not policy.rules(direction):
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{policy} asks for denial by default of {word}, and has no {word} rules: nothing is isolated",
            subject_of(policy),
            place / "enableDefaultDeny" / word,
            help=f"an empty rule, {word}: [{{}}], denies everything by default",
        )


CHECK = Check("cilium-denies-all", Severity.WARNING, _find, __doc__)
