"""A selector of pods on the host network.

What it does:
    Finds peers, in policies of every kind, that select pods by label where every pod with those labels is on the host
    network.

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
from outgate.checks.written import Written, written_rules
from outgate.checks.written_selectors import peer_selectors
from outgate.model import CiliumPolicy, ClusterPolicy, Direction, NetworkPolicy

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    hosts = [pod for pod in survey.snapshot.endpoints if pod.host_network]
    for written in written_rules(survey) if hosts else ():
        # What becomes of them in a NetworkPolicy is up to the plugin; in the others it is said.
        if isinstance(written.policy, NetworkPolicy) and survey.policies.profile.host_network_selected:
            continue
        for peer in peer_selectors(written):
            if peer.match is None or not peer.match.pods:
                continue
            meant = [pod for pod in hosts if peer.names(survey, pod)]
            if meant and not peer.pods(survey):
                addresses = sorted({str(address) for pod in meant for address in pod.addresses if pod.addressed})
                where = f"their nodes have {some(addresses, 4)}" if addresses else "the input has no address of theirs"
                yield Finding(
                    CHECK.name,
                    CHECK.severity,
                    f"{written} selects {some(meant)}, on the host network, which no selector matches",
                    subject_of(written.policy),
                    peer.place,
                    help=f"{_advice(written)} ({where})",
                )


def _advice(written: Written) -> str:
    egress = written.direction is Direction.EGRESS
    match written.policy:
        case CiliumPolicy():
            side = "to" if egress else "from"
            return f"name the nodes in {side}Entities (host, remote-node) or {side}Nodes"
        case ClusterPolicy():
            return "name the nodes in `nodes`" if egress else "no peer of an ingress rule means nodes"
    return "name the addresses of the nodes in an ipBlock"


CHECK = Check("hostnetwork-peer", Severity.ERROR, _find, __doc__)
