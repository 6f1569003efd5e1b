"""The addresses of pods in an address block.

What it does:
    Finds address blocks within the networks of pods, and such as name the address of a single pod. Blocks that are
    much wider (10.0.0.0/8) are left out.

Why it matters:
    A pod has its address until it restarts. And whether a block matches a pod at all depends on the network plugin:
    with Cilium it does not.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-db, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 10.244.0.9/32}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: shop, labels: {app: db}}
    spec:
      containers:
        - {name: main, image: app, ports: [{containerPort: 8080}]}
    status: {podIP: 10.244.0.9, podIPs: [{ip: 10.244.0.9}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-db, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - podSelector:
                matchLabels: {app: db}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: shop, labels: {app: db}}
    spec:
      containers:
        - {name: main, image: app, ports: [{containerPort: 8080}]}
    status: {podIP: 10.244.0.9, podIPs: [{ip: 10.244.0.9}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where a range of addresses is set apart for some pods, and the network plugin is known to match blocks with pods.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-ipblock-selectors
    - https://docs.cilium.io/en/stable/security/policy/language/#cidr-based
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey, some, subject_of
from outgate.model import BlockPeer, Pod
from outgate.packets import AddressSet

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    networks = AddressSet.union_of(
        AddressSet.network(one) for node in survey.snapshot.nodes.values() for one in node.pod_cidrs
    )
    for section in survey.sections():
        for peer in section.rule.peers if section.counts else ():
            if not isinstance(peer, BlockPeer) or peer.cidr.prefixlen == 0:
                continue
            pods = _holders(survey, peer)
            if not pods and not AddressSet.network(peer.cidr) <= networks:
                continue
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{section} names {peer.cidr}, "
                + (f"the address of {some(pods)}" if pods else "within a network of pods"),
                subject_of(section.policy),
                peer.place,
                help="select pods by label: addresses change, and not every network plugin matches blocks with pods",
            )


def _holders(survey: Survey, peer: BlockPeer) -> list[Pod]:
    """The pods that have the one address of a block."""
    if peer.cidr.num_addresses > 1:
        return []
    holders = survey.snapshot.owners_of(peer.cidr.network_address)
    return [pod for pod in holders if pod.addressed and not pod.host_network]


CHECK = Check("pod-ip-in-ipblock", Severity.ERROR, _find, __doc__)
