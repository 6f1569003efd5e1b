"""An address block of which nothing is left.

What it does:
    Finds address blocks whose exceptions together cover all of them, in NetworkPolicies and in Cilium's `toCIDRSet`.

Why it matters:
    The API takes each exception that is smaller than its block, and does not add them up. A block with nothing left
    matches nobody, and a rule of such blocks alone allows nothing.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: nowhere, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock:
                cidr: 10.0.0.0/8
                except: [10.0.0.0/9, 10.128.0.0/9]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: nowhere, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock:
                cidr: 10.0.0.0/8
                except: [10.0.0.0/9]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Never: such a block says nothing.

References:
    - https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey, subject_of
from outgate.checks.written import written_rules
from outgate.packets import AddressSet

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    for written in written_rules(survey, void=True):
        for peer in written.blocks:
            if AddressSet.network(peer.cidr) <= AddressSet.union_of(AddressSet.network(one) for one in peer.excepts):
                yield Finding(
                    CHECK.name,
                    CHECK.severity,
                    f"{written} names {peer.cidr} and excepts all of it",
                    subject_of(written.policy),
                    (peer.place if written.is_ciliums else peer.place / "ipBlock") / "except",
                    help="take the block away, or the exception that is too wide",
                )


CHECK = Check("empty-block", Severity.WARNING, _find, __doc__)
