"""Requests and questions of DNS that are asked for on one port.

What it does:
    Finds two rules of Cilium's of which one asks for requests (`rules.http`) and the other for questions of DNS
    (`rules.dns`), on the same port and protocol, for the same pods and the same peers. It is an error where a peer of
    both is written alike, and a warning where different peers have pods or addresses in common.

Why it matters:
    A connection is read by one parser. Where rules name two for it, Cilium reports a conflict and does not apply the
    policy, so that nothing else that the pods' policies say comes into force either.

Example:
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: lookup, namespace: shop}
    spec:
      endpointSelector:
        matchLabels: {app: web}
      egress:
        - toEndpoints:
            - matchLabels: {app: resolver}
          toPorts:
            - ports:
                - {port: "8053"}
              rules:
                dns:
                  - matchPattern: "*"
        - toEndpoints:
            - matchLabels: {app: resolver}
          toPorts:
            - ports:
                - {port: "8053", protocol: TCP}
              rules:
                http:
                  - path: /dns-query
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: lookup, namespace: shop}
    spec:
      endpointSelector:
        matchLabels: {app: web}
      egress:
        - toEndpoints:
            - matchLabels: {app: resolver}
          toPorts:
            - ports:
                - {port: "8053", protocol: UDP}
              rules:
                dns:
                  - matchPattern: "*"
        - toEndpoints:
            - matchLabels: {app: resolver}
          toPorts:
            - ports:
                - {port: "8053", protocol: TCP}
              rules:
                http:
                  - path: /dns-query
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Nothing is gained by it: the policy is not applied.

References:
    - https://docs.cilium.io/en/stable/security/policy/language/#layer-7-examples
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.overlaps import overlap, policy_of
from outgate.checks.survey import Survey, some, subject_of
from outgate.model import CiliumPolicy, Direction
from outgate.packets import Protocol, TransportSet
from outgate.packets.transport import PORTS
from outgate.policy import Action, Origin, Rule

__all__ = ["CHECK"]

_EGRESS = Direction.EGRESS
"""Cilium: "DNS rules are not allowed on ingress"."""
_TCP = TransportSet.ports(Protocol.TCP, PORTS)
"""Cilium: "L7 rules can only apply to TCP [...] except for DNS rules"."""


def _find(survey: Survey) -> Iterator[Finding]:
    grid = survey.grid
    if not any(rule.conditions is not None and rule.conditions.dns for rule in grid.all_rules()):
        return
    found: dict[tuple[Origin, Origin], tuple[Rule, Rule, list[Group]]] = {}
    for group in survey.groups:
        number = group.identity
        for one, other in _pairs(grid.standing(grid.keys[_EGRESS][number], _EGRESS).rules):
            if _name_one(one, other) or overlap(grid, one, other, number):
                _, _, groups = found.setdefault((one.origin, other.origin), (one, other, []))
                if group not in groups[-1:]:
                    groups.append(group)
    for one, other, groups in found.values():
        yield _finding(survey, one, other, some(groups))
    for policy in survey.snapshot.cilium_policies:
        if policy.nodes is None and not survey.selected_groups(policy):
            yield from _by_itself(survey, policy)


def _by_itself(survey: Survey, policy: CiliumPolicy) -> Iterator[Finding]:
    """What a policy shows alone, where the input has none of its pods."""
    said: set[tuple[Origin, Origin]] = set()
    for one, other in _pairs(survey.grid.rules_of(policy, _EGRESS)):
        if _name_one(one, other) and (one.origin, other.origin) not in said:
            said.add((one.origin, other.origin))
            yield _finding(survey, one, other, survey.whom(policy))


def _pairs(rules: Iterable[Rule]) -> Iterator[tuple[Rule, Rule]]:
    """Rules for requests, each with those for questions that have a port of TCP in common with it."""
    asking = [one for one in rules if one.conditions is not None and one.action is Action.ACCEPT]
    questions = [one for one in asking if one.conditions and one.conditions.dns]
    for one in asking if questions else ():
        if one.conditions and one.conditions.http:
            yield from ((one, other) for other in questions if _ports_meet(one, other))


def _ports_meet(one: Rule, other: Rule) -> bool:
    if one.ports is None or other.ports is None:
        return False
    names = set(one.ports.names) & set(other.ports.names)
    meet = one.ports.numbers & other.ports.numbers & _TCP
    return bool(meet) or any(name.protocol is Protocol.TCP for name in names)


def _name_one(one: Rule, other: Rule) -> bool:
    """Whether a peer of both is written alike."""
    if one.peers is None or other.peers is None:
        return one.peers is other.peers
    return any(peer in other.peers for peer in one.peers)


def _finding(survey: Survey, one: Rule, other: Rule, who: str) -> Finding:
    alike = _name_one(one, other)
    where = "the same peers" if alike else "peers that have some in common"
    does = "does not apply" if alike else "may not apply"
    return Finding(
        CHECK.name,
        CHECK.severity if alike else Severity.WARNING,
        f"{one.origin} asks for requests and {other.origin} for questions of DNS, on the same port of TCP and for "
        f"{where}: Cilium {does} the policy of {who} for the conflict",
        subject_of(policy_of(survey, one.origin)),
        one.origin.place,
        (Related(other.origin.place, f"{other.origin} asks for questions of DNS"),),
        help="give each its own port or protocol",
    )


CHECK = Check("l7-kinds-conflict", Severity.ERROR, _find, __doc__)
