"""A rule that adds nothing.

What it does:
    Finds rules that can be taken away, all of those that are found at once, without any pod of the input reaching
    less or being reached by less. It counts every address and every port, with all policies of each pod together, and
    names the rules that allow the same.

Why it matters:
    A rule that changes nothing is read, kept and argued about like the others. And whoever takes away the rule that
    they think opens something will find that it stays open.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-db, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - podSelector: {}
          ports:
            - {protocol: TCP, port: 5432}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-db-again, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - podSelector:
                matchLabels: {app: db}
          ports:
            - {protocol: TCP, port: 5432}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: shop, labels: {app: db}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-db, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - podSelector:
                matchLabels: {app: db}
          ports:
            - {protocol: TCP, port: 5432}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: shop, labels: {app: db}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where each team states what it needs, whatever others allow already.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.coverage import Redundant, redundant_rules
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.survey import Survey, some, subject_of

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    for one in redundant_rules(survey):
        yield _finding(survey, one)


def _finding(survey: Survey, one: Redundant) -> Finding:
    section = survey.section_of(one.rule.origin)
    by = [survey.section_of(rule.origin) for rule in one.by]
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{section} adds nothing for {survey.whom(section.policy)}: {some(by)} "
        f"{'allows' if len(by) == 1 else 'allow'} it",
        subject_of(section.policy),
        section.place,
        tuple(Related(other.place, f"{other} allows {'all' if len(by) == 1 else 'some'} of it") for other in by[:3]),
        help="take it away if it is not meant for pods to come",
    )


CHECK = Check("rule-redundant", Severity.INFO, _find, __doc__)
