"""Policies in a cluster whose network plugin enforces none.

What it does:
    Finds the DaemonSet of a network plugin that does not enforce NetworkPolicy (Flannel) in an input that has policies
    and none of the DaemonSets that would enforce them. It goes by names, so it says what is likely; only a probe, a
    pair of pods with a policy between them that must not get through, is sure.

Why it matters:
    The API server takes every policy, also where nobody reads it: "Creating a NetworkPolicy resource without a
    controller that implements it will have no effect." Nothing fails and nothing is closed.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
    ---
    apiVersion: apps/v1
    kind: DaemonSet
    metadata: {name: kube-flannel-ds, namespace: kube-flannel}
    spec:
      selector: {matchLabels: {app: flannel}}
      template:
        metadata: {labels: {app: flannel}}
        spec:
          hostNetwork: true
          containers: [{name: kube-flannel, image: flannel}]

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
    ---
    apiVersion: apps/v1
    kind: DaemonSet
    metadata: {name: kube-flannel-ds, namespace: kube-flannel}
    spec:
      selector: {matchLabels: {app: flannel}}
      template:
        metadata: {labels: {app: flannel}}
        spec:
          hostNetwork: true
          containers:
            - {name: kube-flannel, image: flannel}
            - {name: kube-network-policies, image: kube-network-policies}

When to ignore:
    Where a probe has shown that policies are enforced, by something that has another name.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#prerequisites
    - https://github.com/flannel-io/flannel/blob/master/Documentation/netpol.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity, Subject
from outgate.checks.survey import Survey
from outgate.model import Hints, Place, Snapshot

__all__ = ["CHECK"]

_IDLE = {"Flannel": re.compile(r"(?:kube-)?flannel(?:-ds.*)?")}
"""Plugins that enforce no policies by themselves, by the names of their DaemonSets."""

_ENFORCING = re.compile(
    r"calico-node|canal|cilium|anetd|antrea-agent|ovnkube-node|ovs-ovn|kube-ovn-cni|kube-router|weave-net|azure-npm"
    r"|kube-network-policies|kindnet|romana-agent|outgate.*"
    # These enforce where they are told to, which their objects alone do not say.
    r"|aws-node|terway.*|.*net.*pol.*"
)
_ENFORCER = "kube-network-policies"
"""A container that enforces policies beside a plugin that does not."""


def _find(survey: Survey) -> Iterator[Finding]:
    policies = survey.snapshot.policies
    sets = dict(_daemon_sets(survey.snapshot)) if policies else {}
    if any(_ENFORCING.fullmatch(name) or _ENFORCER in hints.sidecars for (_, name), (hints, _) in sets.items()):
        return
    for (namespace, name), (_, place) in sets.items():
        for plugin, names in _IDLE.items():
            if names.fullmatch(name):
                count = "1 policy" if len(policies) == 1 else f"{len(policies)} policies"
                yield Finding(
                    CHECK.name,
                    CHECK.severity,
                    f"the network plugin is {plugin}, as it seems, which enforces no policies, and nothing in the "
                    f"input does: {count} may have no effect; only a probe is sure",
                    Subject("DaemonSet", namespace, name),
                    place,
                    help="add what enforces them, and see that a connection that a policy denies does not come about",
                )


def _daemon_sets(snapshot: Snapshot) -> Iterator[tuple[tuple[str, str], tuple[Hints, Place]]]:
    """The DaemonSets of the input, and those that only their pods tell of."""
    for pod in snapshot.endpoints:
        if not pod.assumed and pod.owner is not None and pod.owner.kind == "DaemonSet":
            yield (pod.namespace, pod.owner.name), (pod.hints, pod.place)
    # Of two the later one counts: where the object itself is in the input, it is the one to show.
    for workload in snapshot.workloads:
        if workload.kind == "DaemonSet":
            yield (workload.namespace, workload.name), (workload.hints, workload.place)


CHECK = Check("cni-not-enforcing", Severity.WARNING, _find, __doc__)
