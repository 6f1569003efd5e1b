"""The address of one's own load balancer in an address block.

What it does:
    Finds egress rules, of every kind of policy, whose address block is the external address of a Service of the same
    cluster.

Why it matters:
    A packet from a pod to the load balancer's address seldom leaves the cluster: the node knows the Service, and
    sends it to a pod directly. Policies then see the pod, and the rule for the address does not match.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-self, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 203.0.113.80/32}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: entrance, namespace: shop}
    spec:
      type: LoadBalancer
      clusterIP: 10.96.3.5
      selector: {app: db}
      ports: [{port: 80, targetPort: 8080}]
    status: {loadBalancer: {ingress: [{ip: 203.0.113.80}]}}
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
    metadata: {name: to-self, namespace: shop}
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
    kind: Service
    metadata: {name: entrance, namespace: shop}
    spec:
      type: LoadBalancer
      clusterIP: 10.96.3.5
      selector: {app: db}
      ports: [{port: 80, targetPort: 8080}]
    status: {loadBalancer: {ingress: [{ip: 203.0.113.80}]}}
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
    Where the load balancer is of the kind whose address the nodes do not know (`ipMode: Proxy`).

References:
    - https://kubernetes.io/docs/concepts/services-networking/service/#load-balancer-ip-mode
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.survey import Survey, some, subject_of
from outgate.checks.written import written_rules
from outgate.model import Direction

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    outside = {address: service for service in survey.snapshot.services for address in service.external_ips}
    for written in written_rules(survey, Direction.EGRESS):
        for peer in written.blocks:
            if peer.cidr.num_addresses > 1:
                continue
            service = outside.get(peer.cidr.network_address)
            if service is not None:
                pods = list(survey.snapshot.backends(service))
                yield Finding(
                    CHECK.name,
                    CHECK.severity,
                    f"{written} names {peer.cidr.network_address}, the external address of Service {service}: nodes "
                    "send such packets to its pods directly",
                    subject_of(written.policy),
                    peer.place,
                    (
                        Related(
                            service.place, f"Service {service} leads to {some(pods) if pods else 'no pod of the input'}"
                        ),
                    ),
                    help="select the pods behind the Service as well",
                )


CHECK = Check("own-loadbalancer-hairpin", Severity.WARNING, _find, __doc__)
