"""Further interfaces of a pod, which no NetworkPolicy covers.

What it does:
    Finds workloads that policies isolate and that ask Multus for further interfaces, by the annotation
    `k8s.v1.cni.cncf.io/networks`.

Why it matters:
    A NetworkPolicy is about the network of the cluster. What a pod sends and gets by another interface passes by it:
    a database that is closed to all but two pods is open to the whole of the storage network.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Ingress, Egress]
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: db
      namespace: shop
      labels: {app: db}
      annotations: {k8s.v1.cni.cncf.io/networks: storage}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Ingress, Egress]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: shop, labels: {app: db}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where a MultiNetworkPolicy, or a firewall of that network, does what the policy cannot.

References:
    - https://github.com/k8snetworkplumbingwg/multi-networkpolicy
    - https://github.com/k8snetworkplumbingwg/multus-cni/blob/master/docs/how-to-use.md
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity, Subject
from outgate.checks.survey import Survey, isolation_place, some
from outgate.model import CiliumPolicy, Direction, NetworkPolicy, Place

__all__ = ["CHECK"]

_NETWORKS = "k8s.v1.cni.cncf.io/networks"


def _find(survey: Survey) -> Iterator[Finding]:
    found: dict[int, tuple[Group, dict[str, tuple[NetworkPolicy | CiliumPolicy, Direction]]]] = {}
    for direction in Direction:
        for whom in survey.isolated(direction):
            for group in whom.groups:
                if _asked(group):
                    policies = found.setdefault(id(group), (group, {}))[1]
                    for policy in whom.policies:
                        policies.setdefault(str(policy), (policy, direction))
    for group, policies in found.values():
        count = len(policies)
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{group} is on the network {_asked(group)} as well, and what goes by that interface "
            f"{some(list(policies))} {'does' if count == 1 else 'do'} not cover",
            Subject(group.kind, group.namespace, group.name),
            _place(group),
            tuple(
                Related(isolation_place(policy, direction), f"{name} isolates it on the network of the cluster alone")
                for name, (policy, direction) in list(policies.items())[:3]
            ),
            help="write a MultiNetworkPolicy where the plugin of that network reads them",
        )


def _asked(group: Group) -> str:
    """The networks, as the annotation has them; empty where it asks for none."""
    said = " ".join(group.pods[0].hints.annotation(_NETWORKS).split())
    return "" if said == "[]" else said


def _place(group: Group) -> Place:
    """The annotation; that of the template where there is no pod yet."""
    pod = group.pods[0]
    steps: tuple[str, ...] = ()
    if pod.assumed:
        steps = ("spec", "jobTemplate", "spec", "template") if group.kind == "CronJob" else ("spec", "template")
    place = pod.place
    for step in (*steps, "metadata", "annotations", _NETWORKS):
        place /= step
    return place


CHECK = Check("secondary-interface-uncovered", Severity.WARNING, _find, __doc__)
