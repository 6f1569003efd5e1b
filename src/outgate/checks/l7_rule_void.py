"""A condition that another rule makes void.

What it does:
    Finds rules of Cilium's that ask for requests (`http`), TLS names (`serverNames`) or questions of DNS (`dns`), where
    another rule lets the same peers through on the same ports without asking for anything.

Why it matters:
    Rules add up. An allowance without conditions "wildcards L7": what the other rule says of requests and names has
    no effect for the peers and ports that both are about, and nothing says so. Such an allowance is quickly there:
    a rule for a whole namespace, a NetworkPolicy of another team, a port range.

Example:
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: read-only, namespace: shop}
    spec:
      endpointSelector:
        matchLabels: {app: web}
      egress:
        - toEndpoints:
            - matchLabels: {app: api}
          toPorts:
            - ports:
                - {port: "80", protocol: TCP}
              rules:
                http:
                  - method: GET
        - toEndpoints:
            - {}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: api, namespace: shop, labels: {app: api}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: read-only, namespace: shop}
    spec:
      endpointSelector:
        matchLabels: {app: web}
      egress:
        - toEndpoints:
            - matchLabels: {app: api}
          toPorts:
            - ports:
                - {port: "80", protocol: TCP}
              rules:
                http:
                  - method: GET
        - toEndpoints:
            - matchLabels: {app: db}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: api, namespace: shop, labels: {app: api}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where the condition is there to have questions of DNS heard (`matchPattern: "*"`), or requests logged.

References:
    - https://docs.cilium.io/en/stable/security/policy/language/#layer-7-examples
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.overlaps import Overlaps, policy_of
from outgate.checks.survey import Survey, some, subject_of
from outgate.model import Direction
from outgate.policy import Origin, Rule
from outgate.policy.rules import Conditions

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    grid = survey.grid
    if not grid.has_conditions:
        return
    overlaps = Overlaps(grid)
    for direction in Direction:
        found: dict[int, tuple[Rule, list[Group], dict[Origin, Rule]]] = {}
        for group in survey.groups:
            rules = grid.standing(grid.keys[direction][group.identity], direction).rules
            plain = [rule for rule in rules if rule.conditions is None]
            for rule in rules:
                if rule.conditions is None or _asks_nothing(rule.conditions):
                    continue
                voiding = [one for one in plain if overlaps.meet(rule, one, group.identity)]
                if voiding:
                    _, groups, others = found.setdefault(id(rule), (rule, [], {}))
                    groups.append(group)
                    others.update((one.origin, one) for one in voiding)
        for rule, groups, others in found.values():
            yield _finding(survey, rule, groups, list(others))


def _finding(survey: Survey, rule: Rule, groups: list[Group], others: list[Origin]) -> Finding:
    asked = rule.conditions or Conditions()
    what = "requests" if asked.http else "TLS names" if asked.server_names else "questions of DNS"
    within = others == [rule.origin]
    # A rule of Cilium's is one here for each entry of its ports.
    whose = "another entry of its toPorts" if within else some(others)
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{rule.origin} asks for {what}, and {whose} {'lets' if len(others) == 1 else 'let'} "
        f"{some(groups)} through to some of the same without: there the condition is void",
        subject_of(policy_of(survey, rule.origin)),
        rule.origin.place,
        () if within else tuple(Related(one.place, f"{one} asks for nothing") for one in others[:3]),
        help="take these ports out of the other entry, or ask for the same there"
        if within
        else "make the other narrower, so that it leaves out these peers or ports",
    )


def _asks_nothing(conditions: Conditions) -> bool:
    """Whether it only leads questions of DNS to where they are heard, whatever they ask for."""
    return any(set(text) == {"*"} for one in conditions.dns for text in one.texts)


CHECK = Check("l7-rule-void", Severity.WARNING, _find, __doc__)
