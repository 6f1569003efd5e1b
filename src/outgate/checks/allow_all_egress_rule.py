"""A rule that lets everything out.

What it does:
    Finds egress rules with neither `to` nor `ports`; of Cilium's such for `toEntities: [all]`, where the policy denies
    nothing beside; and in the Admin tier such as accept `0.0.0.0/0` and `::/0`, beside which no NetworkPolicy is asked.

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
from outgate.checks.clauses import way_out
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.survey import Survey, subject_of
from outgate.checks.written import Written, title_of, written_rules
from outgate.model import CiliumPolicy, ClusterPolicy, Direction

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    undone: dict[str, dict[str, Related]] = {}
    for whom in survey.united(Direction.EGRESS):
        for policy in whom.own:
            mine = undone.setdefault(title_of(policy), {})
            for other in whom.own:
                if other is not policy:
                    mine[str(other)] = Related(
                        other.place, f"{other} isolates the same pods, and limits nothing beside it"
                    )
    for written in written_rules(survey, Direction.EGRESS):
        if _lets_all_out(written):
            above = isinstance(written.policy, ClusterPolicy)
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{written} lets {survey.whom(written.policy)} reach everything"
                + (", and no NetworkPolicy is asked" if above else ""),
                subject_of(written.policy),
                written.place,
                tuple(undone.get(title_of(written.policy), {}).values())[:3],
                way_out(survey, written),
                "let it Pass, or name whom it is for" if above else "take the rule away, or name whom it is for",
            )


def _lets_all_out(written: Written) -> bool:
    """Whether nothing is left closed that other rules have not closed before."""
    if not written.accepts or written.narrowed:
        return False
    match written.policy:
        case CiliumPolicy() as policy:
            # What denies isolates as well: beside it such a rule is the way to say "all but that".
            return written.anybody and not policy.egress_deny
        case ClusterPolicy() as policy:
            # In the Baseline tier it says what is so without it.
            whole = {peer.cidr.version for peer in written.blocks if peer.cidr.prefixlen == 0}
            return policy.tier == "Admin" and whole == {4, 6}
    return written.anybody


CHECK = Check("allow-all-egress-rule", Severity.WARNING, _find, __doc__)
