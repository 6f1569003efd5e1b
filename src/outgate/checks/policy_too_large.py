"""A policy that is too large.

What it does:
    Finds policies, of every kind, with more than a thousand peers and ports, or whose rules make more than ten thousand
    pairs of them.

Why it matters:
    Every pair of a peer and a port becomes an entry in the tables of every node that has one of the pods. Network
    plugins have limits, some of which are reached in silence, and each change of such an object is sent to every node
    as a whole.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: ranges, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to: &peers [
            {ipBlock: {cidr: 11.0.0.0/16}}, {ipBlock: {cidr: 11.1.0.0/16}}, {ipBlock: {cidr: 11.2.0.0/16}},
            {ipBlock: {cidr: 11.3.0.0/16}}, {ipBlock: {cidr: 11.4.0.0/16}}, {ipBlock: {cidr: 11.5.0.0/16}},
            {ipBlock: {cidr: 11.6.0.0/16}}, {ipBlock: {cidr: 11.7.0.0/16}}, {ipBlock: {cidr: 11.8.0.0/16}},
            {ipBlock: {cidr: 11.9.0.0/16}}, {ipBlock: {cidr: 11.10.0.0/16}}, {ipBlock: {cidr: 11.11.0.0/16}},
            {ipBlock: {cidr: 11.12.0.0/16}}, {ipBlock: {cidr: 11.13.0.0/16}}, {ipBlock: {cidr: 11.14.0.0/16}},
            {ipBlock: {cidr: 11.15.0.0/16}}, {ipBlock: {cidr: 11.16.0.0/16}}, {ipBlock: {cidr: 11.17.0.0/16}},
            {ipBlock: {cidr: 11.18.0.0/16}}, {ipBlock: {cidr: 11.19.0.0/16}}, {ipBlock: {cidr: 11.20.0.0/16}},
            {ipBlock: {cidr: 11.21.0.0/16}}, {ipBlock: {cidr: 11.22.0.0/16}}, {ipBlock: {cidr: 11.23.0.0/16}},
            {ipBlock: {cidr: 11.24.0.0/16}}, {ipBlock: {cidr: 11.25.0.0/16}}, {ipBlock: {cidr: 11.26.0.0/16}},
            {ipBlock: {cidr: 11.27.0.0/16}}, {ipBlock: {cidr: 11.28.0.0/16}}, {ipBlock: {cidr: 11.29.0.0/16}},
            {ipBlock: {cidr: 11.30.0.0/16}}, {ipBlock: {cidr: 11.31.0.0/16}}, {ipBlock: {cidr: 11.32.0.0/16}},
            {ipBlock: {cidr: 11.33.0.0/16}}, {ipBlock: {cidr: 11.34.0.0/16}}, {ipBlock: {cidr: 11.35.0.0/16}},
            {ipBlock: {cidr: 11.36.0.0/16}}, {ipBlock: {cidr: 11.37.0.0/16}}, {ipBlock: {cidr: 11.38.0.0/16}},
            {ipBlock: {cidr: 11.39.0.0/16}}]
          ports: &ports [
            {port: 8000}, {port: 8001}, {port: 8002}, {port: 8003}, {port: 8004}, {port: 8005},
            {port: 8006}, {port: 8007}, {port: 8008}, {port: 8009}, {port: 8010}, {port: 8011},
            {port: 8012}, {port: 8013}, {port: 8014}, {port: 8015}, {port: 8016}, {port: 8017},
            {port: 8018}, {port: 8019}, {port: 8020}, {port: 8021}, {port: 8022}, {port: 8023},
            {port: 8024}, {port: 8025}, {port: 8026}, {port: 8027}, {port: 8028}, {port: 8029}]
        - {to: *peers, ports: *ports}
        - {to: *peers, ports: *ports}
        - {to: *peers, ports: *ports}
        - {to: *peers, ports: *ports}
        - {to: *peers, ports: *ports}
        - {to: *peers, ports: *ports}
        - {to: *peers, ports: *ports}
        - {to: *peers, ports: *ports}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: ranges, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 11.0.0.0/13}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where the network plugin is known to bear it.

References:
    - https://github.com/Azure/azure-container-networking/issues/2313
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey, subject_of
from outgate.checks.written import title_of, written_rules
from outgate.checks.written_ports import ports_of
from outgate.model import CiliumPolicy, Policy

__all__ = ["CHECK", "MOST_ENTRIES", "MOST_PAIRS"]

MOST_ENTRIES = 1_000
MOST_PAIRS = 10_000


def _find(survey: Survey) -> Iterator[Finding]:
    sizes: dict[int, tuple[Policy, list[tuple[int, int]]]] = {}
    for written in written_rules(survey, void=True):
        size = len(written.rule.peers or ()), sum(1 for _ in ports_of(written))
        sizes.setdefault(id(written.policy), (written.policy, []))[1].append(size)
    for policy, rules in sizes.values():
        entries = sum(peers + ports for peers, ports in rules)
        pairs = sum(max(peers, 1) * max(ports, 1) for peers, ports in rules)
        if entries > MOST_ENTRIES or pairs > MOST_PAIRS:
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{title_of(policy)} has {entries} peers and ports, which make {pairs} pairs",
                subject_of(policy),
                policy.place / "spec" if not isinstance(policy, CiliumPolicy) or policy.index is None else policy.place,
                help="name wider blocks and ranges of ports, or select by labels",
            )


CHECK = Check("policy-too-large", Severity.WARNING, _find, __doc__)
