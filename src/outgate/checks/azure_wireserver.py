"""Azure's WireServer within a wide rule.

What it does:
    Finds, in clusters on Azure, egress rules that let workloads reach TCP ports 80 and 32526 of 168.63.129.16. It
    knows Azure by the labels of nodes. Rules of all kinds of policy are read, and all policies of a workload count: one
    to which another denies the way is not named, be it a policy of the whole cluster or `egressDeny`.

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
from collections.abc import Iterator, Mapping

from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.clauses import allowances, opened_by
from outgate.checks.finding import Finding, Severity
from outgate.checks.proof import beyond
from outgate.checks.survey import Survey, some, subject_of
from outgate.checks.written import Written
from outgate.model import NetworkPolicy
from outgate.packets import AddressSet, IntervalSet, PacketSet, Protocol, TransportSet
from outgate.policy.rules import Conditions

__all__ = ["CHECK"]

_PORTS = TransportSet.ports(Protocol.TCP, IntervalSet.of((80, 80), (32526, 32526)))
_SERVER = PacketSet.cube(AddressSet.of((ipaddress.ip_address("168.63.129.16"),)), _PORTS)


def _find(survey: Survey) -> Iterator[Finding]:
    if not any(key.startswith("kubernetes.azure.com/") for one in survey.snapshot.nodes.values() for key in one.labels):
        return
    for written in allowances(survey):
        packets, groups = opened_by(survey, written, _SERVER, _may_ask)
        if packets:
            yield _finding(survey, written, groups)


def _may_ask(asked: Conditions | None) -> bool:
    """It speaks plain HTTP, at paths of its own."""
    return asked is None or not all(one.path for one in asked.http)


def _finding(survey: Survey, written: Written, groups: Mapping[Group, PacketSet]) -> Finding:
    who = some(list(groups)) if groups else survey.whom(written.policy)
    first = next(iter(groups.items()), None)
    if isinstance(written.policy, NetworkPolicy):
        advice = "except 168.63.129.16/32, and allow its port 53 where it is the resolver"
    else:
        way = "egressDeny" if written.is_ciliums else "a rule before this one that denies"
        advice = f"{way} 168.63.129.16/32 on TCP 80 and 32526, not on port 53 where it is the resolver"
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{written} lets {who} reach Azure's WireServer at 168.63.129.16",
        subject_of(written.policy),
        written.place,
        (),
        beyond(survey, *first) if first is not None else None,
        advice,
    )


CHECK = Check("azure-wireserver", Severity.WARNING, _find, __doc__)
