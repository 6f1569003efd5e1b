"""Conditions of two kinds that are asked for on one port.

What it does:
    Finds two rules of Cilium's that ask for different kinds of things on the same port of TCP, for the same pods and
    peers: requests (`rules.http`), questions of DNS (`rules.dns`), TLS names (`serverNames`). It is an error where a
    peer of both is written alike. Where different peers have pods or addresses in common, it is a warning if one asks
    for questions of DNS; requests and TLS names of peers that are written otherwise are kept apart by Cilium.

Why it matters:
    A connection is read by one parser. Where rules name two for it, Cilium reports a conflict and does not apply the
    policy, so that nothing else that the pods' policies say comes into force either. Names of TLS can be checked
    beside requests only where the connection is decrypted (`terminatingTLS`); rules with that are not looked at.

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

import itertools
from collections.abc import Iterable, Iterator

from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.overlaps import Overlaps, policy_of
from outgate.checks.survey import Survey, some, subject_of
from outgate.model import CiliumPolicy, Direction
from outgate.packets import Protocol, TransportSet
from outgate.packets.transport import PORTS
from outgate.policy import Action, Origin, Rule
from outgate.policy.grid import PolicyKey

__all__ = ["CHECK"]

_REQUESTS, _NAMES, _QUESTIONS = "requests", "TLS names", "questions of DNS"
_KINDS = (_REQUESTS, _NAMES, _QUESTIONS)
_TCP = TransportSet.ports(Protocol.TCP, PORTS)
"""Cilium: "L7 rules can only apply to TCP [...] except for DNS rules"; and there is no TLS on anything else."""


def _find(survey: Survey) -> Iterator[Finding]:
    if len({_kind(rule) for rule in survey.grid.all_rules()} - {None}) < 2:
        return
    for direction in Direction:
        yield from _among_groups(survey, direction)
        for policy in survey.snapshot.cilium_policies:
            if policy.nodes is None and not survey.selected_groups(policy):
                yield from _by_itself(survey, policy, direction)


def _among_groups(survey: Survey, direction: Direction) -> Iterator[Finding]:
    grid, overlaps = survey.grid, Overlaps(survey.grid)
    found: dict[tuple[Origin, Origin], tuple[Rule, Rule, dict[int, Group]]] = {}
    pairs: dict[PolicyKey, list[tuple[Rule, Rule]]] = {}
    for place, group in enumerate(survey.groups):
        key = grid.keys[direction][group.identity]
        if key not in pairs:
            pairs[key] = list(_pairs(survey, grid.standing(key, direction).rules))
        for one, other in pairs[key]:
            alike = _name_one(one, other)
            if alike or (_of_questions(one, other) and overlaps.meet(one, other, group.identity)):
                _, _, groups = found.setdefault((one.origin, other.origin), (one, other, {}))
                groups[place] = group
    for one, other, groups in found.values():
        yield _finding(survey, one, other, some(list(groups.values())))


def _by_itself(survey: Survey, policy: CiliumPolicy, direction: Direction) -> Iterator[Finding]:
    """What a policy shows alone, where the input has none of its pods."""
    said: set[tuple[Origin, Origin]] = set()
    for one, other in _pairs(survey, survey.grid.rules_of(policy, direction)):
        if _name_one(one, other) and (one.origin, other.origin) not in said:
            said.add((one.origin, other.origin))
            yield _finding(survey, one, other, survey.whom(policy))


def _kind(rule: Rule) -> str | None:
    """What a rule asks for; None for one without conditions."""
    if rule.conditions is None or rule.action is not Action.ACCEPT:
        return None
    asked = rule.conditions
    return _REQUESTS if asked.http else _NAMES if asked.server_names else _QUESTIONS if asked.dns else None


def _pairs(survey: Survey, rules: tuple[Rule, ...]) -> Iterator[tuple[Rule, Rule]]:
    """Rules that ask for different kinds of things and have a port of TCP in common."""
    asking: dict[str, list[Rule]] = {}
    for rule in rules:
        kind = _kind(rule)
        if kind is not None:
            asking.setdefault(kind, []).append(rule)
    for kinds in itertools.combinations((kind for kind in _KINDS if kind in asking), 2):
        if kinds == (_REQUESTS, _NAMES) and _decrypts(survey, rules):
            # Cilium may then read requests behind the names. Whether for all of these rules is not known.
            continue
        for one, other in itertools.product(*(asking[kind] for kind in kinds)):
            if _ports_meet(one, other):
                yield one, other


def _decrypts(survey: Survey, rules: Iterable[Rule]) -> bool:
    """Whether a policy among those of some rules ends TLS."""
    policies = {id(policy): policy for policy in (policy_of(survey, rule.origin) for rule in rules)}
    return any(
        one.feature == "terminatingTLS"
        for policy in policies.values()
        if isinstance(policy, CiliumPolicy)
        for rule in (*policy.egress, *policy.ingress)
        for one in rule.unenforced
    )


def _of_questions(one: Rule, other: Rule) -> bool:
    return _QUESTIONS in (_kind(one), _kind(other))


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
    apart = "its own port or protocol" if _of_questions(one, other) else "its own port, or peers of its own"
    within = one.origin == other.origin
    whose = "another entry of its toPorts" if within else str(other.origin)
    return Finding(
        CHECK.name,
        CHECK.severity if alike else Severity.WARNING,
        f"{one.origin} asks for {_kind(one)} and {whose} for {_kind(other)}, on the same port of TCP and for "
        f"{where}: Cilium {does} the policy of {who} for the conflict",
        subject_of(policy_of(survey, one.origin)),
        one.origin.place,
        () if within else (Related(other.origin.place, f"{other.origin} asks for {_kind(other)}"),),
        help=f"give each {apart}",
    )


CHECK = Check("l7-kinds-conflict", Severity.ERROR, _find, __doc__)
