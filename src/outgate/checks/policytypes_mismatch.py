"""Policy types that do not say what the rules mean.

What it does:
    Finds policies with rules of a direction that `policyTypes` does not name, so that they have no effect; policies
    without `policyTypes` whose egress rules also close ingress, because Ingress is always implied; and policies
    without `policyTypes` whose empty `egress` list isolates nothing.

Why it matters:
    Without `policyTypes` every policy is one for ingress, and one for egress only if it has an egress rule ("Policies
    that contain an Egress section are assumed to affect egress"; an empty list is none). So a policy that was to open
    egress closes ingress, and one that was to close egress does nothing. Network plugins differ in what they make of
    rules whose type is not named: some enforce them.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-db, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      egress:
        - to:
            - podSelector:
                matchLabels: {app: db}
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
    Where the implied ingress isolation is meant; write `policyTypes` then, and the check is silent.

References:
    - https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
    - https://github.com/kubernetes/website/issues/24582
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.edit import Edit
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey, isolation_place, subject_of
from outgate.model import Direction, NetworkPolicy

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    for policy in survey.snapshot.policies:
        spec = _spec(policy)
        written = spec.get("policyTypes")
        if written:
            yield from _unnamed(survey, policy)
        else:
            yield from _implied(survey, policy, spec)


def _unnamed(survey: Survey, policy: NetworkPolicy) -> Iterator[Finding]:
    for direction in Direction:
        if policy.rules(direction) and direction not in policy.types:
            name = direction.value.lower()
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{policy} has {name} rules, and policyTypes does not name {direction.value}: they have no effect on "
                f"{survey.whom(policy)}",
                subject_of(policy),
                policy.place / "spec" / name,
                help=f"add {direction.value} to policyTypes, or take the rules away; some network plugins enforce them "
                "as they stand",
            )


def _implied(survey: Survey, policy: NetworkPolicy, spec: dict[str, object]) -> Iterator[Finding]:
    if policy.egress and not spec.get("ingress"):
        explicit = [one.value for one in Direction if one in policy.types]
        yield Finding(
            CHECK.name,
            Severity.WARNING,
            f"{policy} has egress rules and no policyTypes, so it also closes ingress to {survey.whom(policy)}",
            subject_of(policy),
            isolation_place(policy, Direction.EGRESS),
            help="write policyTypes: [Egress] if ingress is not meant; --fix writes down what it means now",
            fix=(Edit.add_key(policy.place / "spec", "policyTypes", explicit),) if "policyTypes" not in spec else (),
        )
    elif "egress" in spec and not policy.egress:
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{policy} has an empty egress list and no policyTypes, so it closes no egress of {survey.whom(policy)}",
            subject_of(policy),
            policy.place / "spec" / "egress",
            help="write policyTypes: [Egress] to deny all egress",
        )


def _spec(policy: NetworkPolicy) -> dict[str, object]:
    value = policy.place.document.value
    spec = value.get("spec") if isinstance(value, dict) else None
    return spec if isinstance(spec, dict) else {}


CHECK = Check("policytypes-mismatch", Severity.ERROR, _find, __doc__, fixable=True)
