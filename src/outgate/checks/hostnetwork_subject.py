"""A policy for pods on the host network.

What it does:
    Finds policies whose selector has the labels of pods on the host network.

Why it matters:
    Such pods have the address of their node, and nearly every network plugin leaves them out: what the policy says
    does not hold for them. What a DaemonSet on the host network may reach, no NetworkPolicy decides.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: exporter, namespace: monitoring}
    spec:
      podSelector:
        matchLabels: {app: node-exporter}
      policyTypes: [Egress]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: node-exporter-1, namespace: monitoring, labels: {app: node-exporter}}
    spec: {hostNetwork: true, containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: exporter, namespace: monitoring}
    spec:
      podSelector:
        matchLabels: {app: node-exporter}
      policyTypes: [Egress]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: node-exporter-1, namespace: monitoring, labels: {app: node-exporter}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where it is known, and the firewall of the nodes does what the policy cannot.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#networkpolicy-and-hostnetwork-pods
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey, some, subject_of

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    if survey.policies.profile.host_network_isolated:
        return
    for policy in survey.snapshot.policies:
        pods = survey.snapshot.pods_by_namespace.get(policy.namespace, ())
        meant = [pod for pod in pods if pod.host_network and policy.pods.matches(pod.labels)]
        if meant:
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{policy} does not hold for {some(meant)}, on the host network",
                subject_of(policy),
                policy.place / "spec" / "podSelector",
                help="what leaves the network of a node is for the firewall of the node",
            )


CHECK = Check("hostnetwork-subject", Severity.INFO, _find, __doc__)
