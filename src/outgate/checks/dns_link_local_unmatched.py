"""DNS without the cache on the node.

What it does:
    Finds workloads whose policies let them ask the cluster's resolvers, and not the cache that the cluster runs on each
    node (NodeLocal DNSCache, at 169.254.20.10).

Why it matters:
    Where the cache is in use, pods ask it and not the resolvers behind it. It listens on the node, at an address of the
    link: no selector of pods can match it, so a rule for the pods of cluster DNS is no rule for it, and DNS ends on the
    day that the cache is turned on.

Example:
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
              podSelector:
                matchLabels: {k8s-app: kube-dns}
          ports:
            - {protocol: UDP, port: 53}
            - {protocol: TCP, port: 53}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: kube-dns, namespace: kube-system}
    spec:
      clusterIP: 10.96.0.10
      selector: {k8s-app: kube-dns}
      ports:
        - {name: dns, protocol: UDP, port: 53}
        - {name: dns-tcp, protocol: TCP, port: 53}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: coredns-1, namespace: kube-system, labels: {k8s-app: kube-dns}}
    spec: {containers: [{name: coredns, image: coredns}]}
    status: {podIP: 10.244.0.5, podIPs: [{ip: 10.244.0.5}]}
    ---
    apiVersion: apps/v1
    kind: DaemonSet
    metadata: {name: node-local-dns, namespace: kube-system}
    spec:
      selector: {matchLabels: {k8s-app: node-local-dns}}
      template:
        metadata: {labels: {k8s-app: node-local-dns}}
        spec: {hostNetwork: true, containers: [{name: node-cache, image: node-cache}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop}
    spec: {containers: [{name: web, image: web}]}

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
              podSelector:
                matchLabels: {k8s-app: kube-dns}
            - ipBlock: {cidr: 169.254.20.10/32}
            - ipBlock: {cidr: 10.96.0.10/32}
          ports:
            - {protocol: UDP, port: 53}
            - {protocol: TCP, port: 53}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: kube-dns, namespace: kube-system}
    spec:
      clusterIP: 10.96.0.10
      selector: {k8s-app: kube-dns}
      ports:
        - {name: dns, protocol: UDP, port: 53}
        - {name: dns-tcp, protocol: TCP, port: 53}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: coredns-1, namespace: kube-system, labels: {k8s-app: kube-dns}}
    spec: {containers: [{name: coredns, image: coredns}]}
    status: {podIP: 10.244.0.5, podIPs: [{ip: 10.244.0.5}]}
    ---
    apiVersion: apps/v1
    kind: DaemonSet
    metadata: {name: node-local-dns, namespace: kube-system}
    spec:
      selector: {matchLabels: {k8s-app: node-local-dns}}
      template:
        metadata: {labels: {k8s-app: node-local-dns}}
        spec: {hostNetwork: true, containers: [{name: node-cache, image: node-cache}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop}
    spec: {containers: [{name: web, image: web}]}

When to ignore:
    Where the network plugin hands such packets to a pod (the Local Redirect Policy of Cilium, GKE Dataplane V2), so
    that a rule for the pods of DNS suffices.

References:
    - https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.edit import Edit
from outgate.checks.finding import Finding, Severity
from outgate.checks.resolvers import Resolvers
from outgate.checks.survey import Survey, by_section, some, subject_of
from outgate.model import Direction
from outgate.packets import Protocol

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    resolvers = survey.once(Resolvers)
    if not (resolvers.caches and resolvers.doors):
        return
    found = (
        (survey.section_of(next(resolvers.rules_for(whom, Protocol.UDP)).origin), whom)
        for whom in survey.united(Direction.EGRESS)
        if resolvers.reached(whom, Protocol.UDP) and not resolvers.cached(whom)
    )
    blocks = sorted({f"{door.end.address}/{door.end.address.max_prefixlen}" for door in resolvers.caches})
    # In its usual mode the cache also has the address of the DNS Service itself.
    blocks += sorted({f"{one}/{one.max_prefixlen}" for one in resolvers.service_addresses})
    for section, many in by_section(found):
        groups = [group for one in many for group in one.groups]
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{section} leads to the pods of cluster DNS, and nothing lets {some(groups)} ask the cache on the node",
            subject_of(section.policy),
            section.place / "to",
            (),
            resolvers.denied(many[0], Protocol.UDP, resolvers.caches),
            f"allow {some(blocks, 4)} beside the pods",
            tuple(Edit.add_item(section.place / "to", {"ipBlock": {"cidr": one}}) for one in blocks)
            if section.rule.peers
            else (),
        )


CHECK = Check("dns-link-local-unmatched", Severity.ERROR, _find, __doc__, fixable=True)
