"""A service of the internet by its address.

What it does:
    Finds egress rules that name single public addresses.

Why it matters:
    The addresses behind a name change when its owner likes. The rule works until then, weeks or months, and fails at
    once for everybody.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: payments, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 151.101.1.1/32}
          ports:
            - {protocol: TCP, port: 443}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: payments, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 151.101.0.0/16}
          ports:
            - {protocol: TCP, port: 443}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where the owner of the address has promised it.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#what-you-can-t-do-with-network-policies-at-least-not-yet
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey, some, subject_of
from outgate.model import BlockPeer, Direction
from outgate.packets import AddressSet
from outgate.packets.special import INTERNET_V4, INTERNET_V6

__all__ = ["CHECK"]

_INTERNET = INTERNET_V4.addresses | INTERNET_V6.addresses


def _find(survey: Survey) -> Iterator[Finding]:
    for section in survey.sections(Direction.EGRESS):
        single = [
            peer
            for peer in section.rule.peers
            if isinstance(peer, BlockPeer)
            and peer.cidr.num_addresses == 1
            and AddressSet.network(peer.cidr) <= _INTERNET
        ]
        if single and section.counts:
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{section} names {some([peer.cidr.network_address for peer in single])}, "
                f"{'a public address' if len(single) == 1 else 'public addresses'} of somebody else",
                subject_of(section.policy),
                single[0].place,
                help="a policy that knows names (ClusterNetworkPolicy domainNames, or that of a network plugin) and "
                "the published ranges of the provider outlive a change",
            )


CHECK = Check("external-by-static-ip", Severity.INFO, _find, __doc__)
