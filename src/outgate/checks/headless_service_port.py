"""A headless Service whose port is not the pod's.

What it does:
    Finds headless Services with a target port that is another number than the port.

Why it matters:
    A headless Service translates nothing: its name resolves to the pods, and whoever dials the Service's port dials
    that port of the pod. The target port is only for those who ask for it (SRV records), so the connection is
    refused, and a policy for the one port does not help with the other.

Example:
    apiVersion: v1
    kind: Service
    metadata: {name: db, namespace: shop}
    spec:
      clusterIP: None
      selector: {app: db}
      ports: [{port: 80, targetPort: 8080}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: shop, labels: {app: db}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: v1
    kind: Service
    metadata: {name: db, namespace: shop}
    spec:
      clusterIP: None
      selector: {app: db}
      ports: [{port: 8080, targetPort: 8080}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: shop, labels: {app: db}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where every client asks for the SRV record.

References:
    - https://kubernetes.io/docs/concepts/services-networking/service/#headless-services
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity, Subject
from outgate.checks.survey import Survey

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    for service in survey.snapshot.services:
        for number, port in enumerate(service.ports if service.headless else ()):
            if isinstance(port.target, int) and port.target != port.port:
                yield Finding(
                    CHECK.name,
                    CHECK.severity,
                    f"Service {service} is headless, so nothing translates its port {port.port} to {port.target}",
                    Subject("Service", service.namespace, service.name),
                    service.place / "spec" / "ports" / number,
                    help=f"let both be {port.target}, the pod's",
                )


CHECK = Check("headless-service-port", Severity.WARNING, _find, __doc__)
