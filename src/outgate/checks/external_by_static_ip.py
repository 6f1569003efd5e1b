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
from outgate.checks.clauses import clauses
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Section, Survey, some, subject_of
from outgate.checks.written import Written
from outgate.model import BlockPeer, CiliumPolicy, ClusterPolicy, Direction
from outgate.packets import AddressSet
from outgate.packets.special import INTERNET_V4, INTERNET_V6
from outgate.policy import Action

__all__ = ["CHECK"]

_INTERNET = INTERNET_V4.addresses | INTERNET_V6.addresses


_NAMES = "a policy that knows names (ClusterNetworkPolicy domainNames, or that of a network plugin)"


def _find(survey: Survey) -> Iterator[Finding]:
    counting = (one for one in survey.sections(Direction.EGRESS) if one.counts)
    # What is denied by its address is a list of its own, and no name that changed.
    allowing = (one for one in clauses(survey, Direction.EGRESS) if one.action is Action.ACCEPT)
    both: list[Section | Written] = [*counting, *allowing]
    for one in both:
        peers = one.rule.peers if isinstance(one, Section) else one.peers
        single = [
            peer
            for peer in peers
            if isinstance(peer, BlockPeer)
            and peer.cidr.num_addresses == 1
            and AddressSet.network(peer.cidr) <= _INTERNET
        ]
        if single:
            names = "toFQDNs" if isinstance(one.policy, CiliumPolicy) else _NAMES
            names = "domainNames" if isinstance(one.policy, ClusterPolicy) else names
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{one} names {some([peer.cidr.network_address for peer in single])}, "
                f"{'a public address' if len(single) == 1 else 'public addresses'} of somebody else",
                subject_of(one.policy),
                single[0].place,
                help=f"{names} and the published ranges of the provider outlive a change",
            )


CHECK = Check("external-by-static-ip", Severity.INFO, _find, __doc__)
