"""Workloads that are cut off from DNS.

What it does:
    Finds workloads whose egress is restricted, and none of whose policies lets them send a question to the cluster's
    resolvers over UDP. With the resolvers in the input it asks for their pods and ports, as they are after the
    translation of the Service; without them it finds workloads none of whose rules can be the one for DNS.

Why it matters:
    Policies add up, and a default deny denies port 53 like every other. Nothing then says "DNS": each connection by
    name fails with a timeout, after ten seconds or more, in whatever words the application has for it ("could not
    connect to the database"). It is the most frequent outage that network policies cause.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec:
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec: {containers: [{name: web, image: web}]}

Fixed example:
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
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec:
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec: {containers: [{name: web, image: web}]}

When to ignore:
    For workloads that dial addresses and never names, and for those that are meant to reach nothing at all.

References:
    - https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#default-deny-all-egress-traffic
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.doors import added_rule
from outgate.checks.edit import Edit
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.resolvers import Resolvers, dns_rule
from outgate.checks.survey import Survey, by_blamed, isolation_place, some, subject_of
from outgate.model import CiliumPolicy, Direction, NetworkPolicy
from outgate.packets import Protocol

__all__ = ["CHECK", "allow_dns"]


def _find(survey: Survey) -> Iterator[Finding]:
    resolvers = survey.once(Resolvers)
    united = set(survey.united(Direction.EGRESS))
    unserved = (
        whom
        for whom in survey.isolated(Direction.EGRESS)
        # Where a rule was meant for DNS and leads elsewhere, the check of that mistake speaks, of NetworkPolicies.
        if resolvers.cut_off(whom) and not (resolvers.meant(whom) and whom in united)
    )
    for policy, many in by_blamed(unserved):
        groups = [group for one in many for group in one.groups if resolvers.meet(group)]
        others = {str(other): other for one in many for other in one.policies if other is not policy}
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{policy} isolates {some(groups)} for egress, and no policy lets "
            f"{'it' if len(groups) == 1 else 'them'} ask cluster DNS",
            subject_of(policy),
            isolation_place(policy, Direction.EGRESS),
            tuple(Related(one.place, f"{name} has no rule for it either") for name, one in list(others.items())[:3]),
            resolvers.denied(many[0], Protocol.UDP),
            "allow UDP and TCP to the cluster's resolvers; ports are those of the pods"
            if resolvers.known
            else "allow UDP and TCP 53 to the cluster's resolvers; with them in the input it is said which they are",
            () if resolvers.in_vain(groups, Protocol.UDP) else allow_dns(survey, policy),
        )


def allow_dns(survey: Survey, policy: NetworkPolicy | CiliumPolicy) -> tuple[Edit, ...]:
    """One more egress rule in a policy, for DNS.

    Not in a policy of Cilium's: a denial there would be before it, and its rule says which names may be asked for.
    """
    return added_rule(policy, dns_rule(survey)) if isinstance(policy, NetworkPolicy) else ()


CHECK = Check("dns-egress-missing", Severity.ERROR, _find, __doc__, fixable=True)
