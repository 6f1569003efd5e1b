"""The address of a Service in an address block.

What it does:
    Finds address blocks that contain addresses of Services and none of a pod or a node: they can only have been
    written for the Services. Rules of every kind of policy are looked at, also such as deny.

Why it matters:
    Policies are judged after the Service's address has been translated: no packet to a pod carries it any more. The
    rule allows nothing; whether a network plugin sees such an address at all, the API leaves open.

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
            - ipBlock: {cidr: 10.96.3.4/32}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: db, namespace: shop}
    spec:
      clusterIP: 10.96.3.4
      selector: {app: db}
      ports:
        - {port: 80, targetPort: 8080}
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
    kind: Service
    metadata: {name: db, namespace: shop}
    spec:
      clusterIP: 10.96.3.4
      selector: {app: db}
      ports:
        - {port: 80, targetPort: 8080}
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
    With a network plugin that judges before the translation (--profile aws-vpc-cni), or for the cache of DNS on the
    nodes.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-ipblock-selectors
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.resolvers import Resolvers
from outgate.checks.survey import Survey, some, subject_of
from outgate.checks.written import written_rules
from outgate.model import Service
from outgate.packets import AddressSet

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    if survey.policies.profile.before_translation or survey.policies.profile.blocks_see_service:
        return
    resolvers = survey.once(Resolvers)
    # A cache on the node answers at the address of the DNS Service itself, and nothing is translated.
    local = resolvers.service_addresses if resolvers.caches else frozenset()
    services = [one for one in survey.snapshot.services if one.cluster_ips]
    every = AddressSet.of(address for one in services for address in one.cluster_ips)
    for written in written_rules(survey):
        for peer in written.blocks:
            if peer.cidr.prefixlen == 0:
                continue
            block = AddressSet.network(peer.cidr)
            if block.isdisjoint(every) or not block.isdisjoint(survey.taken):
                continue
            within = [one for one in services if any(each in block and each not in local for each in one.cluster_ips)]
            if within:
                yield Finding(
                    CHECK.name,
                    CHECK.severity,
                    f"{written} names {peer.cidr}, where {some([f'Service {one}' for one in within])} "
                    f"{'has its' if len(within) == 1 else 'have their'} address, which no policy sees",
                    subject_of(written.policy),
                    peer.place,
                    (Related(within[0].place, f"Service {within[0]} leads to {_led(survey, within[0])}"),),
                    help="select the pods behind the Service",
                )


def _led(survey: Survey, service: Service) -> str:
    pods = list(survey.snapshot.backends(service))
    return some(pods) if pods else "what its EndpointSlices say"


CHECK = Check("clusterip-in-ipblock", Severity.ERROR, _find, __doc__)
