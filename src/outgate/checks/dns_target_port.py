"""A rule for DNS with the port of the Service.

What it does:
    Finds egress rules that select the cluster's resolvers and name another port than the one that the resolvers listen
    on. It needs the resolvers in the input.

Why it matters:
    A policy is held against the packet as it leaves for the pod, after the Service's address and port have been
    translated. OpenShift's DNS Service has port 53 and its pods have 5353: a rule for 53 allows nothing, and every
    lookup times out.

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
                matchLabels: {kubernetes.io/metadata.name: openshift-dns}
              podSelector:
                matchLabels: {dns.operator.openshift.io/daemonset-dns: default}
          ports:
            - {protocol: UDP, port: 53}
            - {protocol: TCP, port: 53}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: dns-default, namespace: openshift-dns}
    spec:
      clusterIP: 172.30.0.10
      selector: {dns.operator.openshift.io/daemonset-dns: default}
      ports:
        - {name: dns, protocol: UDP, port: 53, targetPort: dns}
        - {name: dns-tcp, protocol: TCP, port: 53, targetPort: dns-tcp}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: dns-default-1
      namespace: openshift-dns
      labels: {dns.operator.openshift.io/daemonset-dns: default}
    spec:
      containers:
        - name: dns
          image: coredns
          ports:
            - {name: dns, protocol: UDP, containerPort: 5353}
            - {name: dns-tcp, protocol: TCP, containerPort: 5353}
    status: {podIP: 10.128.0.5, podIPs: [{ip: 10.128.0.5}]}
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
                matchLabels: {kubernetes.io/metadata.name: openshift-dns}
              podSelector:
                matchLabels: {dns.operator.openshift.io/daemonset-dns: default}
          ports:
            - {protocol: UDP, port: 5353}
            - {protocol: TCP, port: 5353}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: dns-default, namespace: openshift-dns}
    spec:
      clusterIP: 172.30.0.10
      selector: {dns.operator.openshift.io/daemonset-dns: default}
      ports:
        - {name: dns, protocol: UDP, port: 53, targetPort: dns}
        - {name: dns-tcp, protocol: TCP, port: 53, targetPort: dns-tcp}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: dns-default-1
      namespace: openshift-dns
      labels: {dns.operator.openshift.io/daemonset-dns: default}
    spec:
      containers:
        - name: dns
          image: coredns
          ports:
            - {name: dns, protocol: UDP, containerPort: 5353}
            - {name: dns-tcp, protocol: TCP, containerPort: 5353}
    status: {podIP: 10.128.0.5, podIPs: [{ip: 10.128.0.5}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop}
    spec: {containers: [{name: web, image: web}]}

When to ignore:
    Never: also the plugins that see the Service's address (AWS) take the port of a rule for the pod's.

References:
    - https://docs.redhat.com/en/documentation/openshift_container_platform/
    - https://kubernetes.io/docs/concepts/services-networking/service/#field-spec-ports
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.edit import Edit
from outgate.checks.finding import Finding, Severity
from outgate.checks.resolvers import Beside, Resolvers, dns_rule, is_aimed, unserved
from outgate.checks.survey import Survey, some, subject_of
from outgate.packets import Protocol

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    resolvers, beside = survey.once(Resolvers), Beside(survey)
    for section, many in unserved(resolvers, resolvers.selected_by):
        groups = [group for one in many for group in one.groups]
        numbers = sorted({door.port for door in resolvers.doors})
        missing = [one for one in _ports(survey) if one not in _written(section.place.document.value, section.place.at)]
        more = tuple(Edit.add_item(section.place / "ports", one) for one in missing)
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{section} is a rule for DNS, and the resolvers that it selects listen on port "
            f"{' and '.join(map(str, numbers))}: {some(groups)} cannot ask them",
            subject_of(section.policy),
            section.rule.ports[0].place,
            (),
            resolvers.denied(many[0], Protocol.UDP),
            "name the port of the pods; policies are judged after the Service's port is translated",
            # In the rule itself it may open the port to a network, and to the internet perhaps.
            more if is_aimed(section) else beside.of(section),
        )


def _ports(survey: Survey) -> list[object]:
    found = dns_rule(survey)["ports"]
    return found if isinstance(found, list) else []


def _written(value: object, at: tuple[str | int, ...]) -> list[object]:
    for step in (*at, "ports"):
        value = value[step]  # type: ignore[index]  # the rule was read from there
    return value if isinstance(value, list) else []


CHECK = Check("dns-target-port", Severity.ERROR, _find, __doc__, fixable=True)
