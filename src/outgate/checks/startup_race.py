"""Workloads that are done before their policies are in force.

What it does:
    Under the profiles `aws-vpc-cni` and `kube-router`, finds Jobs, CronJobs and pods with init containers whose egress
    is restricted. Under these plugins a pod may start before its rules are there.

Why it matters:
    What such a pod does first is not done under its policies. It may send what they deny; or, where a connection was
    begun freely and the rules come in between, its answers are dropped and it fails in the first seconds, now and
    then. Of a server nobody notices, a Job is nothing but its first seconds.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
    ---
    apiVersion: batch/v1
    kind: Job
    metadata: {name: migrate, namespace: shop}
    spec:
      template:
        metadata: {labels: {app: migrate}}
        spec:
          restartPolicy: Never
          containers: [{name: migrate, image: migrate}]

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: migrate, namespace: shop}
    spec:
      selector: {matchLabels: {app: migrate}}
      template:
        metadata: {labels: {app: migrate}}
        spec:
          containers: [{name: migrate, image: migrate}]

When to ignore:
    Where the plugin makes pods wait (on AWS, NETWORK_POLICY_ENFORCING_MODE=strict), or where what the first seconds
    do is tried again and need not be kept in.

References:
    - https://github.com/aws/aws-network-policy-agent/issues/73
    - https://github.com/aws/aws-network-policy-agent/issues/288
    - https://github.com/cloudnativelabs/kube-router/issues/873
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.doors import narrowed
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.survey import Survey, by_blamed, isolation_place, some, subject_of
from outgate.model import Direction
from outgate.policy.profile import AWS_VPC_CNI, KUBE_ROUTER

__all__ = ["CHECK"]

_SETTING_UP = frozenset(("istio-init", "istio-validation", "linkerd-init"))
"""Init containers of meshes, which set up the pod and talk to nobody."""


def _find(survey: Survey) -> Iterator[Finding]:
    name = survey.policies.profile.name
    if name not in CHECK.profiles:
        return
    for policy, many in by_blamed(narrowed(survey, Direction.EGRESS, lambda _, group: bool(_hurry(group)))):
        groups = [group for one in many for group in one.groups]
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{some(groups)} may start before {policy} is in force under {name}: what "
            f"{'it does' if len(groups) == 1 else 'they do'} first is let out, and may lose its answers",
            subject_of(policy),
            isolation_place(policy, Direction.EGRESS),
            tuple(Related(group.pods[0].place, f"{group} {_hurry(group)}") for group in groups[:3]),
            help="let the first step wait and try again, and do not count on the policy in the first seconds",
        )


def _hurry(group: Group) -> str:
    """Why the first seconds of a workload matter; empty where they do not."""
    if group.kind in ("Job", "CronJob"):
        return "ends soon after its start"
    before = [one for one in group.pods[0].hints.before if one not in _SETTING_UP]
    return f"has init containers: {some(before)}" if before else ""


CHECK = Check("startup-race", Severity.WARNING, _find, __doc__, profiles=(AWS_VPC_CNI.name, KUBE_ROUTER.name))
