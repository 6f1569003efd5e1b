"""Azure's WireServer within a wide rule.

What it does:
    Finds, in clusters on Azure, egress rules that let workloads reach TCP ports 80 and 32526 of 168.63.129.16. It
    knows Azure by the labels of nodes.

Why it matters:
    At that address Azure hands machines their configuration, secrets of extensions among it. It is a public address,
    so every rule for the internet contains it, also one that leaves out the private and link-local networks. Port 53
    there is the resolver of the network, and is not to be closed.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: internet, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}
    ---
    apiVersion: v1
    kind: Node
    metadata: {name: aks-1, labels: {kubernetes.azure.com/cluster: prod}}
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
            - ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16, 168.63.129.16/32]}
        - to:
            - ipBlock: {cidr: 168.63.129.16/32}
          ports:
            - {protocol: UDP, port: 53}
            - {protocol: TCP, port: 53}
    ---
    apiVersion: v1
    kind: Node
    metadata: {name: aks-1, labels: {kubernetes.azure.com/cluster: prod}}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where the platform blocks the address for pods by itself.

References:
    - https://learn.microsoft.com/en-us/azure/virtual-network/what-is-ip-address-168-63-129-16
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.proof import beyond
from outgate.checks.survey import Survey, subject_of
from outgate.model import Direction
from outgate.packets import AddressSet, IntervalSet, PacketSet, Protocol, TransportSet

__all__ = ["CHECK"]

_SERVER = AddressSet.of((ipaddress.ip_address("168.63.129.16"),))
_PORTS = TransportSet.ports(Protocol.TCP, IntervalSet.of((80, 80), (32526, 32526)))


def _find(survey: Survey) -> Iterator[Finding]:
    if not any(key.startswith("kubernetes.azure.com/") for one in survey.snapshot.nodes.values() for key in one.labels):
        return
    for section in survey.sections(Direction.EGRESS):
        if not section.counts:
            continue
        rule = survey.rule_of(section)
        ports = _PORTS if rule.ports is None else _PORTS & rule.ports.numbers
        if ports and not survey.grid.outside_of(rule).isdisjoint(_SERVER):
            groups = survey.selected_groups(section.policy)
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{section} lets {survey.whom(section.policy)} reach Azure's WireServer at 168.63.129.16",
                subject_of(section.policy),
                section.place,
                (),
                beyond(survey, groups[0], PacketSet.cube(_SERVER, ports)) if groups else None,
                "except 168.63.129.16/32, and allow its port 53 where it is the resolver",
            )


CHECK = Check("azure-wireserver", Severity.WARNING, _find, __doc__)
