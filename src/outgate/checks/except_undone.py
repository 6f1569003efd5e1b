"""An exception that another rule undoes.

What it does:
    Finds address blocks with exceptions (`except`) where another rule for the same workloads lets them reach what is
    excepted, on ports of the rule with the exception. A packet shows it.

Why it matters:
    An exception takes addresses out of its own block and denies nothing. Policies add up: whatever any other rule of
    any policy allows, is allowed, and the careful `except` is a comment.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: internet, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock:
                cidr: 0.0.0.0/0
                except: [169.254.169.254/32, 10.0.0.0/8]
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: internal, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 169.254.0.0/16}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: internet, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock:
                cidr: 0.0.0.0/0
                except: [169.254.169.254/32, 10.0.0.0/8]
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: internal, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 169.254.20.10/32}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where the exception only says that this rule is not the one for those addresses, and the other rule is meant.

References:
    - https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.spelling import spell_addresses
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.proof import beyond
from outgate.checks.survey import Isolated, Section, Survey, some, subject_of
from outgate.model import BlockPeer, Direction
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.policy import Rule
from outgate.policy.rules import BlockMatch

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    seen: set[tuple[str, int, str]] = set()
    for whom in survey.isolated(Direction.EGRESS):
        for rule in whom.rules:
            section = survey.section_of(rule.origin)
            for number, peer in enumerate(section.rule.peers):
                if isinstance(peer, BlockPeer) and peer.excepts:
                    for other, packets in _undoing(whom, rule, peer):
                        key = (str(section), number, str(other.origin))
                        if key not in seen:
                            seen.add(key)
                            yield _finding(survey, whom, section, peer, other, packets)


def _undoing(whom: Isolated, rule: Rule, peer: BlockPeer) -> Iterator[tuple[Rule, PacketSet]]:
    """The rules that reach into the exceptions by blocks of their own, or by naming nobody, and where."""
    holes = AddressSet.union_of(AddressSet.network(one) for one in peer.excepts)
    transports = TransportSet.governed() if rule.ports is None else rule.ports.numbers & TransportSet.governed()
    for other in whom.rules:
        if other is rule:
            continue
        blocks = [one.addresses for one in other.peers or () if isinstance(one, BlockMatch)]
        # A block that lies within the exception was written for just those addresses: it is the other half of a plan.
        into = (
            AddressSet.union_of(one & holes for one in blocks if not one <= holes) if other.peers is not None else holes
        )
        ports = transports if other.ports is None else transports & other.ports.numbers
        if into and ports:
            yield other, PacketSet.cube(into, ports)


def _finding(
    survey: Survey, whom: Isolated, section: Section, peer: BlockPeer, other: Rule, packets: PacketSet
) -> Finding:
    undoing = survey.section_of(other.origin)
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{section} excepts {some(peer.excepts, 4)}, and {undoing} lets {some(whom.groups)} reach "
        f"{spell_addresses(packets.addresses())} all the same",
        subject_of(section.policy),
        peer.place / "ipBlock" / "except",
        (Related(undoing.place, f"{undoing} allows it: policies add up"),),
        beyond(survey, whom.groups[0], packets),
        "make the exception in both rules; only a policy of the Admin tier (ClusterNetworkPolicy) can deny",
    )


CHECK = Check("except-undone", Severity.ERROR, _find, __doc__)
