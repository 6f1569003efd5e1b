"""Workloads that use the API server and are cut off from it.

What it does:
    Finds workloads whose egress is restricted, whose service account is bound to a role and whose pods get its token,
    and none of whose policies lets them reach any endpoint of the API server: its address and port, as they are after
    the translation of the Service `kubernetes`. It needs the endpoints of that Service in the input. The account
    `default` counts for nobody, for it is every pod's.

Why it matters:
    Operators and controllers do nothing but talk to the API server. They crash, again and again, with a timeout that
    names the Service's address (`dial tcp 10.96.0.1:443: i/o timeout`); a rule for that address and port does not help
    where policies see the endpoint behind it, on another port and outside of every pod network.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: operator, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: operator}
      policyTypes: [Egress]
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: operator, namespace: shop}
    spec:
      selector: {matchLabels: {app: operator}}
      template:
        metadata: {labels: {app: operator}}
        spec:
          serviceAccountName: operator
          containers: [{name: operator, image: operator}]
    ---
    apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata: {name: shop-operator}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
    subjects:
      - {kind: ServiceAccount, name: operator, namespace: shop}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: kubernetes, namespace: default}
    spec:
      clusterIP: 10.96.0.1
      ports: [{name: https, port: 443, targetPort: 6443}]
    ---
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata:
      name: kubernetes
      namespace: default
      labels: {kubernetes.io/service-name: kubernetes}
    addressType: IPv4
    endpoints:
      - addresses: [192.0.2.10]
    ports: [{name: https, port: 6443, protocol: TCP}]

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: operator, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: operator}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 192.0.2.10/32}
          ports:
            - {protocol: TCP, port: 6443}
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: operator, namespace: shop}
    spec:
      selector: {matchLabels: {app: operator}}
      template:
        metadata: {labels: {app: operator}}
        spec:
          serviceAccountName: operator
          containers: [{name: operator, image: operator}]
    ---
    apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata: {name: shop-operator}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
    subjects:
      - {kind: ServiceAccount, name: operator, namespace: shop}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: kubernetes, namespace: default}
    spec:
      clusterIP: 10.96.0.1
      ports: [{name: https, port: 443, targetPort: 6443}]
    ---
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata:
      name: kubernetes
      namespace: default
      labels: {kubernetes.io/service-name: kubernetes}
    addressType: IPv4
    endpoints:
      - addresses: [192.0.2.10]
    ports: [{name: https, port: 6443, protocol: TCP}]

When to ignore:
    For workloads whose account is bound to a role that they do not use. Better: `automountServiceAccountToken: false`.

References:
    - https://kubernetes.io/docs/concepts/security/service-accounts/
    - https://github.com/ahmetb/kubernetes-network-policy-recipes/issues/26
    - https://github.com/cilium/cilium/issues/20550
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.exposure_places import Found
from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.doors import barred, denied, opening
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.survey import Survey, by_blamed, isolation_place, some, subject_of
from outgate.model import Binding, Direction

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    users = _Users(survey)
    if survey.api_server.found is not Found.KNOWN or not users.bindings:
        return
    doors = survey.api_server.doors
    for policy, many in by_blamed(barred(survey, lambda group: doors if users.binding(group) else ())):
        groups = [group for one in many for group in one.groups]
        bindings = dict.fromkeys(filter(None, map(users.binding, groups)))
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{policy} isolates {some(groups)} for egress, and no policy lets "
            f"{'it' if len(groups) == 1 else 'them'} reach the API server at "
            f"{some(list(dict.fromkeys(map(str, doors))))}",
            subject_of(policy),
            isolation_place(policy, Direction.EGRESS),
            tuple(Related(one.place, f"{one} says that it is used") for one in list(bindings)[:3]),
            denied(survey, groups[0], doors),
            "allow the endpoints by address and port, for these pods alone",
            opening(survey, many, doors),
        )


class _Users:
    """Who has a token, and a role to use it for."""

    def __init__(self, survey: Survey) -> None:
        self.bindings: dict[tuple[str, str], Binding] = {}
        for binding in survey.snapshot.bindings:
            for account in binding.accounts:
                self.bindings.setdefault(account, binding)
        self.tokens = {(one.namespace, one.name): one.token for one in survey.snapshot.accounts}

    def binding(self, group: Group) -> Binding | None:
        """The first binding of a workload's account; None without one, or without a token."""
        hints = group.pods[0].hints
        account = (group.namespace, hints.account)
        # Where both the account and the pod say whether there is a token, the pod "takes precedence".
        token = hints.token if hints.token is not None else self.tokens.get(account)
        if token is False or hints.account == "default":
            return None
        return self.bindings.get(account)


CHECK = Check("apiserver-unreachable", Severity.ERROR, _find, __doc__, fixable=True)
