"""DNS to any resolver.

What it does:
    Finds egress rules that open port 53 (or 853, DNS over TLS) and name nobody: every address may be asked.

Why it matters:
    Whoever may ask any resolver may ask one of their own, and a question carries data: DNS is the tunnel that is tried
    first, because it is open nearly everywhere. A rule for the cluster's resolvers alone serves the workload as well.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: allow-dns, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - ports:
            - {protocol: UDP, port: 53}
            - {protocol: TCP, port: 53}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: allow-dns, namespace: shop}
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

When to ignore:
    For resolvers themselves, which ask the servers of the internet.

References:
    - https://attack.mitre.org/techniques/T1071/004/
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.proof import sample_outside
from outgate.checks.survey import Section, Survey, subject_of
from outgate.model import BlockPeer, Direction

__all__ = ["CHECK"]

_DNS = (53, 853)


def _find(survey: Survey) -> Iterator[Finding]:
    for section in survey.sections(Direction.EGRESS):
        ports = _dns_ports(section)
        if not (section.counts and ports and _anywhere(section)):
            continue
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{section} lets {survey.whom(section.policy)} ask any resolver on the internet",
            subject_of(section.policy),
            section.rule.ports[ports[0]].place,
            (),
            sample_outside(survey, section),
            "name the cluster's resolvers in `to`",
        )


def _dns_ports(section: Section) -> list[int]:
    """Where in the list of ports those of DNS stand; none where others stand among them as ranges."""
    return [number for number, entry in enumerate(section.rule.ports) if entry.port in _DNS and entry.end_port is None]


def _anywhere(section: Section) -> bool:
    blocks = [peer for peer in section.rule.peers if isinstance(peer, BlockPeer)]
    return not section.rule.peers or any(block.cidr.prefixlen == 0 for block in blocks)


CHECK = Check("dns-any-destination", Severity.WARNING, _find, __doc__)
