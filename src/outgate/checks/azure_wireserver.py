"""Azure's WireServer within a wide rule.

What it does:
    Finds, in clusters on Azure, egress rules that let workloads reach TCP ports 80 and 32526 of 168.63.129.16. It
    knows Azure by the labels of nodes. Policies of Cilium's and of the whole cluster are read too, with what they deny.

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
from outgate.checks.clauses import clauses, opened_outside
from outgate.checks.finding import Finding, Severity
from outgate.checks.proof import beyond
from outgate.checks.survey import Survey, subject_of
from outgate.model import CiliumPolicy, Direction
from outgate.packets import AddressSet, IntervalSet, PacketSet, Protocol, TransportSet
from outgate.policy import Action

__all__ = ["CHECK"]

_SERVER = AddressSet.of((ipaddress.ip_address("168.63.129.16"),))
_PORTS = TransportSet.ports(Protocol.TCP, IntervalSet.of((80, 80), (32526, 32526)))


def _find(survey: Survey) -> Iterator[Finding]:
    if not any(key.startswith("kubernetes.azure.com/") for one in survey.snapshot.nodes.values() for key in one.labels):
        return
    yield from _find_clauses(survey)
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


def _find_clauses(survey: Survey) -> Iterator[Finding]:
    """The same of Cilium's policies and of those of the whole cluster. It speaks plain HTTP, at paths of its own."""
    for clause in clauses(survey, Direction.EGRESS):
        for rule in survey.grid.rules_of(clause.policy, Direction.EGRESS):
            asked = rule.conditions
            if rule.origin != clause.origin or clause.action is not Action.ACCEPT:
                continue
            if asked is not None and all(one.path for one in asked.http):
                continue
            packets, group = opened_outside(survey, clause, rule, _SERVER)
            packets &= PacketSet.cube(_SERVER, _PORTS)
            if packets:
                of_cilium = isinstance(clause.policy, CiliumPolicy)
                way = "egressDeny" if of_cilium else "a rule before this one that denies"
                yield Finding(
                    CHECK.name,
                    CHECK.severity,
                    f"{clause} lets {survey.whom(clause.policy)} reach Azure's WireServer at 168.63.129.16",
                    subject_of(clause.policy),
                    clause.place,
                    (),
                    beyond(survey, group, packets) if group is not None else None,
                    f"{way} 168.63.129.16/32 on TCP 80 and 32526, not on port 53 where it is the resolver",
                )
                break


CHECK = Check("azure-wireserver", Severity.WARNING, _find, __doc__)
