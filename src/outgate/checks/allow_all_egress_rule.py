"""A rule that lets everything out.

What it does:
    Finds egress rules with neither `to` nor `ports`.

Why it matters:
    Policies add up. One empty rule lets the workloads reach everything, whatever the default deny and the careful
    rules beside it say.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: app, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - podSelector:
                matchLabels: {app: db}
        - {}
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
    metadata: {name: app, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - podSelector:
                matchLabels: {app: db}
        - to:
            - namespaceSelector:
                matchLabels: {kubernetes.io/metadata.name: kube-system}
          ports:
            - {protocol: UDP, port: 53}
            - {protocol: TCP, port: 53}
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
    For a break-glass policy that is kept apart, is named so, and selects nobody until it is needed.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#allow-all-egress-traffic
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.proof import sample_outside
from outgate.checks.survey import Survey, subject_of
from outgate.model import Direction

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    undone: dict[str, dict[str, Related]] = {}
    for whom in survey.united(Direction.EGRESS):
        for policy in whom.own:
            mine = undone.setdefault(str(policy), {})
            for other in whom.own:
                if other is not policy:
                    mine[str(other)] = Related(
                        other.place, f"{other} isolates the same pods, and limits nothing beside it"
                    )
    for section in survey.sections(Direction.EGRESS):
        if section.counts and not section.rule.peers and not section.rule.ports:
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{section} lets {survey.whom(section.policy)} reach everything",
                subject_of(section.policy),
                section.place,
                tuple(undone.get(str(section.policy), {}).values())[:3],
                sample_outside(survey, section),
                "take the rule away, or name whom it is for",
            )


CHECK = Check("allow-all-egress-rule", Severity.WARNING, _find, __doc__)
