"""A policy that was to block an address and opens the rest.

What it does:
    Finds egress rules for the whole address space less a few addresses (metadata services, addresses of the link),
    where the workloads would not reach the internet without that rule, because other policies isolate them.

Why it matters:
    The policy says "everything but the metadata service", and NetworkPolicy has no way to say "not the metadata
    service": each policy adds what it allows. Beside a default deny such a policy blocks nothing that was open, and
    gives the whole internet back to every pod that it selects.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: block-metadata, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock:
                cidr: 0.0.0.0/0
                except: [169.254.169.254/32]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

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
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where the workloads are meant to reach all of the internet, and this is the rule for it.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
    - https://network-policy-api.sigs.k8s.io/
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.exposure_metadata import CLOUD_ADDRESSES
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.proof import beyond
from outgate.checks.survey import Isolated, Section, Survey, some, subject_of
from outgate.model import BlockPeer, Direction
from outgate.packets import AddressSet, PacketSet
from outgate.packets.special import INTERNET_V4, INTERNET_V6, LINK_LOCAL_V4, LINK_LOCAL_V6
from outgate.policy import Rule

__all__ = ["CHECK"]

_INTERNET = INTERNET_V4.addresses | INTERNET_V6.addresses
_BLOCKED = AddressSet.of(one.address for one in CLOUD_ADDRESSES) | LINK_LOCAL_V4.addresses | LINK_LOCAL_V6.addresses
"""What such policies mean to block."""


def _find(survey: Survey) -> Iterator[Finding]:
    found: dict[str, tuple[Section, BlockPeer, list[Isolated]]] = {}
    for whom in survey.isolated(Direction.EGRESS):
        if len(whom.policies) < 2:
            continue
        for rule in whom.rules:
            section = survey.section_of(rule.origin)
            peer = next((one for one in section.rule.peers if isinstance(one, BlockPeer) and _blocks(one)), None)
            if peer is not None and not section.rule.ports and not _reached_without(survey, whom, section):
                found.setdefault(str(section), (section, peer, []))[2].append(whom)
    for section, peer, many in found.values():
        yield _finding(survey, section, peer, many)


def _blocks(peer: BlockPeer) -> bool:
    """Whether a block is everything less what somebody wants blocked."""
    holes = AddressSet.union_of(AddressSet.network(one) for one in peer.excepts)
    return peer.cidr.prefixlen == 0 and bool(holes) and holes <= _BLOCKED


def _reached_without(survey: Survey, whom: Isolated, section: Section) -> bool:
    """Whether another policy opens the internet as well, so that this one is not the one that does."""
    return any(
        _opens(survey, rule) for rule in whom.rules if survey.section_of(rule.origin).policy is not section.policy
    )


def _opens(survey: Survey, rule: Rule) -> bool:
    reached = survey.grid.outside_of(rule) & _INTERNET
    return rule.ports is None and reached.size() * 2 > _INTERNET.family(4).size()


def _finding(survey: Survey, section: Section, peer: BlockPeer, many: list[Isolated]) -> Finding:
    groups = [group for one in many for group in one.groups]
    others = {str(other): other for one in many for other in one.policies if other is not section.policy}
    packets = PacketSet.cube(_INTERNET & AddressSet.network(peer.cidr), survey.web)
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{section} blocks nothing: it lets {some(groups)} reach the whole internet but {some(peer.excepts)}, "
        f"which {some(list(others), 2)} would not",
        subject_of(section.policy),
        peer.place,
        tuple(
            Related(one.place, f"{name} isolates {some(groups)} too, and policies add up")
            for name, one in list(others.items())[:3]
        ),
        beyond(survey, groups[0], packets),
        "take the policy away where a default deny stands; where another rule is for the internet, except the "
        "addresses in that rule; to deny for all, use the Admin tier (ClusterNetworkPolicy, action Deny)",
    )


CHECK = Check("except-is-not-deny", Severity.ERROR, _find, __doc__)
