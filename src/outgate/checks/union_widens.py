"""Policies that undo each other, because they add up.

What it does:
    Finds exceptions (`except`) of an address block where another rule for the same workloads lets them reach what is
    excepted; and policies for everything less a few addresses, metadata services say, that give the whole internet
    back to workloads which other policies had cut off. A packet shows it, and both rules are named.

Why it matters:
    An exception takes addresses out of its own block and denies nothing: NetworkPolicy has no way to say "not there".
    Whatever any rule of any policy allows, is allowed. So the careful `except` of one policy is a comment where
    another has none; and "everything but the metadata service", beside a default deny, blocks nothing that was open
    and opens all the rest.

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
    Where an exception only says that this rule is not the one for those addresses, and another one is meant to be;
    and where the workloads are meant to reach all of the internet, and this is the rule for it.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
    - https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
    - https://network-policy-api.sigs.k8s.io/
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.exposure_metadata import CLOUD_ADDRESSES, CloudUse
from outgate.analysis.exposure_outside import DNS_PORTS
from outgate.analysis.spelling import spell_addresses
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.proof import beyond
from outgate.checks.survey import Isolated, Section, Survey, some, subject_of
from outgate.model import BlockPeer, Direction
from outgate.packets import AddressSet, PacketSet, Protocol, TransportSet
from outgate.packets.special import INTERNET_V4, INTERNET_V6, LINK_LOCAL_V4, LINK_LOCAL_V6
from outgate.policy import Rule
from outgate.policy.rules import BlockMatch

__all__ = ["CHECK"]

_INTERNET = INTERNET_V4.addresses | INTERNET_V6.addresses
_NEEDED = "EKS Pod Identity agent"
"""What workloads are given a way to on purpose."""
_METADATA = AddressSet.of(
    one.address
    for one in CLOUD_ADDRESSES
    if one.use is CloudUse.METADATA and not any(what == _NEEDED for _, what in one.what)
)
_HARMLESS = DNS_PORTS | TransportSet.ports(Protocol.UDP, 123)
_BLOCKED = AddressSet.of(one.address for one in CLOUD_ADDRESSES) | LINK_LOCAL_V4.addresses | LINK_LOCAL_V6.addresses
"""What policies mean to block that are written as everything less a little."""


def _find(survey: Survey) -> Iterator[Finding]:
    yield from _exceptions(survey)
    yield from _blocking(survey)


# ---- exceptions that another rule undoes -----------------------------------------------------------------------------


def _exceptions(survey: Survey) -> Iterator[Finding]:
    seen: set[tuple[str, int, str]] = set()
    for whom in survey.united(Direction.EGRESS):
        for rule in whom.rules:
            section = survey.section_of(rule.origin)
            for number, peer in enumerate(section.rule.peers):
                if isinstance(peer, BlockPeer) and peer.excepts:
                    for other, packets in _undoing(whom, rule, peer):
                        key = (str(section), number, str(other.origin))
                        if key not in seen:
                            seen.add(key)
                            yield _undone(survey, whom, section, peer, other, packets)


def _undoing(whom: Isolated, rule: Rule, peer: BlockPeer) -> Iterator[tuple[Rule, PacketSet]]:
    """The rules that reach into the exceptions by blocks of their own, or by naming nobody, and where."""
    holes = AddressSet.union_of(AddressSet.network(one) for one in peer.excepts)
    transports = TransportSet.governed() if rule.ports is None else rule.ports.numbers & TransportSet.governed()
    for other in whom.rules:
        if other is rule:
            continue
        into, ports = holes, transports if other.ports is None else transports & other.ports.numbers
        if other.peers is not None:
            blocks = (one.addresses for one in other.peers if isinstance(one, BlockMatch))
            into = AddressSet.union_of(one & holes for one in blocks if not _is_planned(one, holes, ports))
        if into and ports:
            yield other, PacketSet.cube(into, ports)


def _is_planned(block: AddressSet, holes: AddressSet, ports: TransportSet) -> bool:
    """Whether a block was written for just what is excepted: the other half of a plan, but for metadata services.

    Of their addresses some are resolvers and clocks as well, and who allows only that knows what they do.
    """
    return block <= holes and (block.isdisjoint(_METADATA) or ports <= _HARMLESS)


def _undone(
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


# ---- policies that were to block, and open ---------------------------------------------------------------------------


def _blocking(survey: Survey) -> Iterator[Finding]:
    found: dict[str, tuple[Section, BlockPeer, list[Isolated]]] = {}
    for whom in survey.united(Direction.EGRESS):
        if len(whom.policies) < 2:
            continue
        for rule in whom.rules:
            section = survey.section_of(rule.origin)
            peer = next((one for one in section.rule.peers if isinstance(one, BlockPeer) and _blocks(one)), None)
            if peer is not None and not section.rule.ports and not _reached_without(survey, whom, section):
                found.setdefault(str(section), (section, peer, []))[2].append(whom)
    for section, peer, many in found.values():
        yield _opened(survey, section, peer, many)


def _blocks(peer: BlockPeer) -> bool:
    """Whether a block is everything less what somebody wants blocked."""
    holes = AddressSet.union_of(AddressSet.network(one) for one in peer.excepts)
    return peer.cidr.prefixlen == 0 and bool(holes) and holes <= _BLOCKED


def _reached_without(survey: Survey, whom: Isolated, section: Section) -> bool:
    """Whether another policy opens the internet as well, so that this one is not the one that does."""
    others = (rule for rule in whom.rules if survey.section_of(rule.origin).policy is not section.policy)
    return any(_opens(survey, rule) for rule in others)


def _opens(survey: Survey, rule: Rule) -> bool:
    reached = survey.grid.outside_of(rule) & _INTERNET
    return rule.ports is None and reached.size() * 2 > _INTERNET.family(4).size()


def _opened(survey: Survey, section: Section, peer: BlockPeer, many: list[Isolated]) -> Finding:
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


CHECK = Check("union-widens", Severity.ERROR, _find, __doc__)
