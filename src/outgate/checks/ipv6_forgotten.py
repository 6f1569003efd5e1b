"""Rules for IPv4 alone where pods have IPv6.

What it does:
    Finds rules for the whole IPv4 internet (0.0.0.0/0) of policies that have no rule for the IPv6 one (::/0). Where
    pods, nodes or Services of the input have IPv6 addresses it is a warning; where nothing in the input has an
    address, a note.

Why it matters:
    An address block is of one family. In a cluster with both, a name that resolves to IPv6 is dialled by IPv6 first,
    and fails; and an exception that is written for IPv4 says nothing about the IPv6 address of the same service.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: internet, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 0.0.0.0/0}
          ports:
            - {protocol: TCP, port: 443}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}
    status: {podIP: 10.1.0.4, podIPs: [{ip: 10.1.0.4}, {ip: 'fd00:1::4'}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: internet, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 0.0.0.0/0}
            - ipBlock: {cidr: '::/0', except: ['fc00::/7', 'fe80::/10']}
          ports:
            - {protocol: TCP, port: 443}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}
    status: {podIP: 10.1.0.4, podIPs: [{ip: 10.1.0.4}, {ip: 'fd00:1::4'}]}

When to ignore:
    In a cluster with IPv4 alone.

References:
    - https://kubernetes.io/docs/concepts/services-networking/dual-stack/
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Section, Survey, some, subject_of
from outgate.model import BlockPeer

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    speakers = _speakers(survey)
    if speakers is None:
        return
    for section in survey.sections():
        whole = next((one for one in _blocks(section) if one.cidr.version == 4 and one.cidr.prefixlen == 0), None)
        if whole is None or not section.counts:
            continue
        family6 = (one for other in _beside(section) for one in _blocks(other) if one.cidr.version == 6)
        if any(one.cidr.prefixlen <= 3 for one in family6):
            continue
        known = f", and {some(speakers)} {'has' if len(speakers) == 1 else 'have'} IPv6" if speakers else ""
        yield Finding(
            CHECK.name,
            CHECK.severity if speakers else Severity.INFO,
            f"{section} is for all of IPv4, no rule of {section.policy} is for IPv6{known}",
            subject_of(section.policy),
            whole.place,
            help="add ::/0 with the exceptions that it needs (fc00::/7, fe80::/10), or say that it is not wanted",
        )


def _blocks(section: Section) -> list[BlockPeer]:
    return [peer for peer in section.rule.peers if isinstance(peer, BlockPeer)]


def _beside(section: Section) -> list[Section]:
    rules = section.policy.rules(section.direction)
    return [Section(section.policy, section.direction, number, rule) for number, rule in enumerate(rules)]


def _speakers(survey: Survey) -> list[str] | None:
    """Who has IPv6; nobody known where nobody has an address; None where those who have one have IPv4 alone."""
    addressed = [pod for pod in survey.snapshot.endpoints if pod.addressed and pod.addresses]
    nodes = [node for node in survey.snapshot.nodes.values() if node.addresses]
    named = [*((str(pod), pod.addresses) for pod in addressed), *((f"node {one.name}", one.addresses) for one in nodes)]
    found = [name for name, addresses in named if any(address.version == 6 for address in addresses)]
    return found if found or not named else None


CHECK = Check("ipv6-forgotten", Severity.WARNING, _find, __doc__)
