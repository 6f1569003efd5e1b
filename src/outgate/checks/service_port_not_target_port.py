"""The port of the Service where the port of the pod is judged.

What it does:
    Finds rules with the number of a port that a Service of the selected pods has, and that the Service sends on to
    another port of theirs. It looks at egress rules (the pods are the peers) and at ingress rules (the pods are the
    subjects).

Why it matters:
    The Service's address and port are translated before the policies see the packet: it goes to the pod's own port. A
    rule for the Service's port allows a connection that nobody makes, and the one that is made is dropped.

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
            - podSelector:
                matchLabels: {app: db}
          ports:
            - {protocol: TCP, port: 80}
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
          ports:
            - {protocol: TCP, port: 8080}
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
    Never: also the plugins that see the Service's address (AWS) take the port of a rule for the pod's.

References:
    - https://kubernetes.io/docs/concepts/services-networking/service/#field-spec-ports
    - https://github.com/kubernetes/website/issues/8295
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.edit import Edit
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.survey import Section, Survey, subject_of
from outgate.model import Direction, Pod, PodPeer, PolicyPort, Service, ServicePort

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    # Ports that no Service translates need no second look, and nearly all are such.
    translated = {
        (port.protocol, port.port)
        for service in survey.snapshot.services
        for port in service.ports
        if not service.headless and not _target_is(port, port.port)
    }
    for section in survey.sections():
        doubtful = [one for one in section.rule.ports if (one.protocol, one.port) in translated and not one.end_port]
        pods = _one_of_each_kind(survey, _judged(survey, section)) if doubtful and section.counts else []
        for entry in doubtful if pods else ():
            if isinstance(entry.port, int):
                yield from _of_entry(survey, section, entry, entry.port, pods)


def _judged(survey: Survey, section: Section) -> Iterator[Pod]:
    """The pods whose ports a rule speaks of."""
    if section.direction is Direction.INGRESS:
        for group in survey.selected_groups(section.policy):
            yield from group.pods
        return
    for peer in section.rule.peers:
        if isinstance(peer, PodPeer):
            yield from survey.peer_pods(section, peer)


def _one_of_each_kind(survey: Survey, pods: Iterator[Pod]) -> list[Pod]:
    """Pods with the same labels and ports have the same Services and listen alike."""
    found = {(survey.policies.selection.kind_of(pod), pod.ports): pod for pod in pods}
    return list(found.values())


def _of_entry(survey: Survey, section: Section, entry: PolicyPort, number: int, pods: list[Pod]) -> Iterator[Finding]:
    behind = list(_translated(survey, entry, number, pods))
    # Where any of the pods listens there, the rule has its use.
    if not behind or any(number in _listening(pod, entry.protocol) for pod in pods):
        return
    if any(_target_is(port, number) for _, port in _services(survey, entry, pods)):
        return
    service, port = behind[0]
    targets = {port.target for _, port in behind}
    yield Finding(
        CHECK.name,
        CHECK.severity,
        f"{section} allows {entry.protocol} {number}, the port of Service {service}; its pods are reached on "
        f"{port.target}",
        subject_of(section.policy),
        entry.place / "port",
        (Related(service.place, f"Service {service} sends {port.port} to {port.target}"),),
        help=f"write {port.target}: policies see the pod's port",
        fix=(Edit.replace(entry.place / "port", port.target),) if len(targets) == 1 else (),
    )


def _services(survey: Survey, entry: PolicyPort, pods: list[Pod]) -> Iterator[tuple[Service, ServicePort]]:
    """The ports of that protocol of all Services that select any of the pods."""
    services = {(one.namespace, one.name): one for pod in pods for one in survey.services_of(pod)}
    for service in services.values():
        yield from ((service, port) for port in service.ports if port.protocol == entry.protocol)


def _translated(
    survey: Survey, entry: PolicyPort, number: int, pods: list[Pod]
) -> Iterator[tuple[Service, ServicePort]]:
    for service, port in _services(survey, entry, pods):
        if port.port == number and not service.headless and not _target_is(port, number):
            yield service, port


def _target_is(port: ServicePort, number: int) -> bool:
    return port.target == number


def _listening(pod: Pod, protocol: str) -> set[int]:
    return {one.port for one in pod.ports if one.protocol == protocol}


CHECK = Check("service-port-not-target-port", Severity.ERROR, _find, __doc__, fixable=True)
