"""Workloads that no policy limits.

What it does:
    Finds namespaces with workloads that no policy isolates for egress. The namespaces of the cluster itself
    (kube-system, kube-public, kube-node-lease) are left out.

Why it matters:
    A pod that no policy selects for egress may reach everything: every other pod, the internet, the metadata service.
    A default deny in each namespace turns what is forgotten into what is denied.

Example:
    apiVersion: v1
    kind: Namespace
    metadata: {name: shop}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: v1
    kind: Namespace
    metadata: {name: shop}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
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

When to ignore:
    For namespaces of the platform, whose components are to reach what they like.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#default-deny-all-egress-traffic
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity, Subject
from outgate.checks.survey import Survey, some
from outgate.model import Direction
from outgate.policy import Action

__all__ = ["CHECK"]

_OF_THE_CLUSTER = ("kube-system", "kube-public", "kube-node-lease")


def _find(survey: Survey) -> Iterator[Finding]:
    grid = survey.grid
    free: dict[str, list[Group]] = {}
    limited: dict[str, int] = {}
    for group in survey.groups:
        if group.namespace in _OF_THE_CLUSTER or group.pods[0].host_network:
            continue
        standing = grid.standing(grid.keys[Direction.EGRESS][group.identity], Direction.EGRESS)
        # A policy of the whole cluster does not isolate; one that denies anything is somebody's deliberate default.
        if standing.policies or any(rule.action is Action.DENY for rule in standing.every_rule()):
            limited[group.namespace] = limited.get(group.namespace, 0) + 1
        else:
            free.setdefault(group.namespace, []).append(group)
    for name, groups in free.items():
        namespace = survey.snapshot.namespace(name)
        every = "no workload" if name not in limited else "not every workload"
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"in namespace {name} {every} is isolated for egress: {some(groups)} may reach everything",
            Subject("Namespace", "", name),
            namespace.place if namespace.declared else groups[0].pods[0].place,
            help="outgate new default-deny-egress writes the policy",
        )


CHECK = Check("no-default-deny", Severity.WARNING, _find, __doc__)
