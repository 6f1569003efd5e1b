"""A rule for DNS that selects no resolver.

What it does:
    Finds egress rules that name the port of DNS and somebody to ask, where none of the cluster's resolvers is among
    those, and the workloads reach no resolver by any other rule. It needs the resolvers in the input.

Why it matters:
    The labels of cluster DNS differ: k8s-app is kube-dns in one cluster and coredns in another, Helm's chart sets
    app.kubernetes.io/name, OpenShift has a namespace of its own. A rule that was copied is accepted, selects nobody,
    and every lookup times out, with the rule for DNS plain to see.

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
                matchLabels: {k8s-app: coredns}
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
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop}
    spec: {containers: [{name: web, image: web}]}

When to ignore:
    For rules that lead to a resolver outside the cluster, or to one that the input does not have.

References:
    - https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/
    - https://github.com/coredns/helm
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.edit import Edit
from outgate.checks.finding import Finding, Severity
from outgate.checks.resolvers import DNS_NUMBERS, Beside, Resolvers, dns_rule, unserved
from outgate.checks.survey import Section, Survey, some, subject_of
from outgate.packets import Protocol
from outgate.policy import PodMatch

__all__ = ["CHECK"]

_NAMES = ("dns", "dns-tcp")
"""What the manifests of resolvers call their ports."""


def _find(survey: Survey) -> Iterator[Finding]:
    resolvers, beside = survey.once(Resolvers), Beside(survey)
    for section, many in unserved(resolvers, lambda rule: not resolvers.selected_by(rule)):
        groups = [group for one in many for group in one.groups]
        selected = (Edit.replace(section.place / "to", dns_rule(survey)["to"]),)
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{section} is a rule for DNS and selects none of the cluster's resolvers "
            f"({some(resolvers.names)}), so {some(groups)} cannot ask them",
            subject_of(section.policy),
            section.rule.peers[0].place,
            (),
            resolvers.denied(many[0], Protocol.UDP),
            f"select them by what the Service of cluster DNS selects: {some(resolvers.selectors)}",
            selected if _leads_nowhere(survey, section) else beside.of(section),
        )


def _leads_nowhere(survey: Survey, section: Section) -> bool:
    """Whether a rule opens nothing and speaks of DNS alone, so that nobody misses it as it is.

    A block is of somebody: a resolver outside of the cluster, or the address of a Service.
    """
    selection = survey.policies.selection
    peers = selection.rules(section.policy, section.direction)[section.index].peers or ()
    nobody = all(isinstance(peer, PodMatch) and not selection.addresses(peer) for peer in peers)
    return nobody and all(one.port in (*DNS_NUMBERS, *_NAMES) and one.end_port is None for one in section.rule.ports)


CHECK = Check("dns-selector-mismatch", Severity.ERROR, _find, __doc__, fixable=True)
