"""The port of the Service where the port of the pod is judged.

What it does:
    Finds rules with the number of a port that a Service of the selected pods has, and that the Service sends on to
    another port of theirs. It looks at egress rules (the pods are the peers, or behind a Service of `toServices`) and
    at ingress rules (the pods are the subjects), in policies of every kind. What denies, or lets in others than pods,
    is found and not mended.

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
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.survey import Survey, subject_of
from outgate.checks.written import Written, written_rules
from outgate.checks.written_ports import PortSaid, ports_of
from outgate.checks.written_selectors import pods_meant
from outgate.model import Direction, Pod, PodPeer, Service, ServicePort
from outgate.model.cilium import EndpointPeer, ServicePeer
from outgate.policy import Action

__all__ = ["CHECK"]

_VERBS = {Action.ACCEPT: "allows", Action.DENY: "denies", Action.PASS: "passes on"}


def _find(survey: Survey) -> Iterator[Finding]:
    # Ports that no Service translates need no second look, and nearly all are such.
    translated = {
        (port.protocol, port.port)
        for service in survey.snapshot.services
        for port in service.ports
        if not service.headless and not _target_is(port, port.port)
    }
    for written in written_rules(survey):
        doubtful = [
            one
            for one in ports_of(written)
            if not one.end and any((protocol, one.port) in translated for protocol in one.protocols)
        ]
        pods = _one_of_each_kind(survey, _judged(survey, written)) if doubtful else []
        for entry in doubtful if pods else ():
            if isinstance(entry.port, int):
                yield from _of_entry(survey, written, entry, entry.port, pods)


def _judged(survey: Survey, written: Written) -> Iterator[Pod]:
    """The pods whose ports a rule speaks of."""
    if written.direction is Direction.INGRESS:
        for group in survey.selected_groups(written.policy):
            yield from group.pods
        return
    yield from pods_meant(survey, written)


def _one_of_each_kind(survey: Survey, pods: Iterator[Pod]) -> list[Pod]:
    """Pods with the same labels and ports have the same Services and listen alike."""
    found = {(survey.policies.selection.kind_of(pod), pod.ports): pod for pod in pods}
    return list(found.values())


def _of_entry(survey: Survey, written: Written, entry: PortSaid, number: int, pods: list[Pod]) -> Iterator[Finding]:
    behind = list(_translated(survey, entry, number, pods))
    # Where any of the pods listens there, the rule has its use.
    if not behind or any(number in _listening(pod, entry.protocols) for pod in pods):
        return
    if any(_target_is(port, number) for _, port in _services(survey, entry, pods)):
        return
    service, port = behind[0]
    targets = {port.target for _, port in behind}
    fix = (
        entry.rewritten(port.target) if len(targets) == 1 and _is_for_them(survey, written, entry, number, pods) else ()
    )
    yield Finding(
        CHECK.name,
        CHECK.severity,
        f"{written} {_VERBS[written.action]} {port.protocol} {number}, the port of Service {service}; its pods are "
        f"reached on {port.target}",
        subject_of(written.policy),
        entry.value,
        (Related(service.place, f"Service {service} sends {port.port} to {port.target}"),),
        help=f"write {port.target}: policies see the pod's port",
        fix=fix,
    )


def _is_for_them(survey: Survey, written: Written, entry: PortSaid, number: int, pods: list[Pod]) -> bool:
    """Whether a port is there for the pods behind such a Service and for nobody else.

    Nothing is closed by a machine, and nothing is opened to the internet: another port of a denial, or of an allowance
    for a block or for other pods beside these, is for somebody to write who knows what was meant. A pod that does not
    declare a port may listen on it (K/core types, Container.ports: "Not specifying a port here DOES NOT prevent that
    port from being exposed").
    """
    outside = any(not isinstance(peer, PodPeer | EndpointPeer | ServicePeer) for peer in written.peers)
    # A rule of egress for anybody says of no pod what its ports are; one of ingress lets the internet in.
    outside |= written.direction is Direction.INGRESS and not written.peers
    every = all(any(True for _ in _translated(survey, entry, number, [pod])) for pod in pods)
    return written.accepts and every and not outside


def _services(survey: Survey, entry: PortSaid, pods: list[Pod]) -> Iterator[tuple[Service, ServicePort]]:
    """The ports of those protocols of all Services that select any of the pods."""
    services = {(one.namespace, one.name): one for pod in pods for one in survey.services_of(pod)}
    for service in services.values():
        yield from ((service, port) for port in service.ports if port.protocol in entry.protocols)


def _translated(survey: Survey, entry: PortSaid, number: int, pods: list[Pod]) -> Iterator[tuple[Service, ServicePort]]:
    for service, port in _services(survey, entry, pods):
        if port.port == number and not service.headless and not _target_is(port, number):
            yield service, port


def _target_is(port: ServicePort, number: int) -> bool:
    return port.target == number


def _listening(pod: Pod, protocols: tuple[str, ...]) -> set[int]:
    return {one.port for one in pod.ports if one.protocol in protocols}


CHECK = Check("service-port-not-target-port", Severity.ERROR, _find, __doc__, fixable=True)
