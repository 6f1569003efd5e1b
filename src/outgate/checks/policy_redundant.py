"""A policy that changes nothing.

What it does:
    Finds policies that can be taken away, all of those that are found at once, without any pod of the input being
    less isolated, reaching more or less, or being reached by more or less. Policies for every pod of a namespace are
    left out: they are for pods to come as well.

Why it matters:
    Such a policy is the remains of another, or the second of two that somebody applied under two names. Whoever
    changes the one and not the other finds that nothing changes.

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
            - podSelector:
                matchLabels: {app: db}
          ports:
            - {protocol: TCP, port: 5432}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-db-old, namespace: shop}
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
from outgate.checks.coverage import redundant_policies
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.survey import Survey, some, subject_of

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    for policy, others in redundant_policies(survey):
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{policy} changes nothing for {survey.whom(policy)}: they are isolated by {some(others)}, and no rule of "
            "it adds anything",
            subject_of(policy),
            policy.place,
            tuple(Related(one.place, f"{one} stays") for one in others[:3]),
            help="take it away if it is not meant for pods to come",
        )


CHECK = Check("policy-redundant", Severity.INFO, _find, __doc__)
