"""A selector of pods on the host network.

What it does:
    Finds peers that select pods by label where every pod with those labels is on the host network.

Why it matters:
    A pod on the host network has the address of its node, and network plugins cannot tell it from the node: a
    selector never matches it. The rule allows nothing, and the connection to the exporter, the storage driver or the
    API server is dropped.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-exporter, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - namespaceSelector: {}
              podSelector:
                matchLabels: {app: node-exporter}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: node-exporter-1, namespace: monitoring, labels: {app: node-exporter}}
    spec: {hostNetwork: true, containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-exporter, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 192.168.50.0/24}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: node-exporter-1, namespace: monitoring, labels: {app: node-exporter}}
    spec: {hostNetwork: true, containers: [{name: main, image: app}]}

When to ignore:
    With a network plugin that tells such pods apart.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#networkpolicy-and-hostnetwork-pods
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey, some, subject_of
from outgate.model import PodPeer

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    if survey.policies.profile.host_network_selected:
        return
    hosts = [pod for pod in survey.snapshot.endpoints if pod.host_network]
    for section in survey.sections() if hosts else ():
        for peer in section.rule.peers if section.counts else ():
            if not isinstance(peer, PodPeer) or not peer.pods:
                continue
            meant = [pod for pod in hosts if survey.is_meant(section, peer, pod)]
            if meant and not survey.peer_pods(section, peer):
                addresses = sorted({str(address) for pod in meant for address in pod.addresses if pod.addressed})
                where = f"their nodes have {some(addresses, 4)}" if addresses else "the input has no address of theirs"
                yield Finding(
                    CHECK.name,
                    CHECK.severity,
                    f"{section} selects {some(meant)}, on the host network, which no selector matches",
                    subject_of(section.policy),
                    peer.place,
                    help=f"name the addresses of the nodes in an ipBlock ({where})",
                )


CHECK = Check("hostnetwork-peer", Severity.ERROR, _find, __doc__)
