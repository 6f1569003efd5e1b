"""A policy for pods on the host network.

What it does:
    Finds policies, of every kind, whose selector has the labels of pods on the host network. One that is for every pod
    of the cluster is left out.

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
from outgate.checks.written import title_of
from outgate.checks.written_selectors import subject_selector
from outgate.model import NetworkPolicy

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    hosts = [pod for pod in survey.snapshot.endpoints if pod.host_network]
    for policy in survey.snapshot.every_policy if hosts else ():
        if isinstance(policy, NetworkPolicy) and survey.policies.profile.host_network_isolated:
            continue
        chosen = subject_selector(policy)
        # Who says "every pod of the cluster" has not these in mind.
        if chosen is None or not (policy.namespace or chosen.chooses):
            continue
        meant = [pod for pod in hosts if chosen.names(survey, pod)]
        if meant:
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{title_of(policy)} does not hold for {some(meant)}, on the host network",
                subject_of(policy),
                chosen.place,
                help="what leaves the network of a node is for the firewall of the node",
            )


CHECK = Check("hostnetwork-subject", Severity.INFO, _find, __doc__)
