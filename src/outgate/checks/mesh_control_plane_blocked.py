"""Workloads of a mesh that are cut off from it.

What it does:
    Finds workloads with a sidecar of Istio or Linkerd whose policies do not let the sidecar reach the control plane:
    istiod at 15012, or Linkerd's identity (8080) and destination (8086). It needs the pods of the control plane in the
    input. A workload has a sidecar where its pods have the container; one that has no pods yet, where its namespace or
    its template asks for one. It also finds ingress policies with rules of which none speaks of the port at which the
    traffic of a mesh arrives: 15008 in Istio's ambient mode, 4143 with Linkerd.

Why it matters:
    A sidecar that gets no certificate and no configuration is never ready, and the pod never starts. Where traffic
    arrives at a port of the mesh, the pod starts, and everything that the policy names by the port of the application
    is dropped.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
    ---
    apiVersion: v1
    kind: Namespace
    metadata: {name: shop, labels: {istio-injection: enabled}}
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec:
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec: {containers: [{name: web, image: web}]}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: istiod, namespace: istio-system}
    spec:
      clusterIP: 10.96.5.5
      selector: {app: istiod}
      ports: [{name: https-dns, port: 15012}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: istiod-0, namespace: istio-system, labels: {app: istiod}}
    spec: {containers: [{name: discovery, image: pilot}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - namespaceSelector:
                matchLabels: {kubernetes.io/metadata.name: istio-system}
              podSelector:
                matchLabels: {app: istiod}
          ports:
            - {protocol: TCP, port: 15012}
    ---
    apiVersion: v1
    kind: Namespace
    metadata: {name: shop, labels: {istio-injection: enabled}}
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec:
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec: {containers: [{name: web, image: web}]}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: istiod, namespace: istio-system}
    spec:
      clusterIP: 10.96.5.5
      selector: {app: istiod}
      ports: [{name: https-dns, port: 15012}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: istiod-0, namespace: istio-system, labels: {app: istiod}}
    spec: {containers: [{name: discovery, image: pilot}]}

When to ignore:
    Where the label of the namespace is older than the mesh, or the mesh is gone.

References:
    - https://istio.io/latest/docs/ops/deployment/application-requirements/#ports-used-by-istio
    - https://istio.io/latest/docs/ambient/usage/networkpolicy/
    - https://linkerd.io/2/common-errors/network-policy
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from functools import cached_property

from outgate.analysis.exposure_places import Door, doors_of
from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.doors import barred, denied, narrowed, speaks_of
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.survey import Isolated, Survey, by_blamed, isolation_place, some, subject_of
from outgate.model import Direction
from outgate.packets import Protocol
from outgate.policy import Endpoint

__all__ = ["CHECK"]

_ISTIOD_PORT = 15012
_LINKERD = {"identity": 8080, "destination": 8086}
"""The parts of Linkerd's control plane that a proxy asks, by the label of their pods, and their ports."""
_LINKERD_PART = "linkerd.io/control-plane-component"
_HBONE, _LINKERD_INBOUND = 15008, 4143
"""The ports at which traffic arrives in Istio's ambient mode and with Linkerd, whatever port was dialled."""
_AMBIENT = "istio.io/dataplane-mode"


def _find(survey: Survey) -> Iterator[Finding]:
    meshes = _Meshes(survey)
    for mesh, part, doors in meshes.parts:
        yield from _cut_off(survey, meshes, mesh, part, doors)
    yield from _arriving(survey, "Istio's ambient mode", _HBONE, lambda group: _is_ambient(survey, group))
    yield from _arriving(survey, "Linkerd", _LINKERD_INBOUND, lambda group: meshes.of(group) is _Mesh.LINKERD)


def _cut_off(survey: Survey, meshes: _Meshes, mesh: _Mesh, part: str, doors: tuple[Door, ...]) -> Iterator[Finding]:
    """The workloads of a mesh whose sidecars do not reach one part of its control plane."""
    for policy, many in by_blamed(barred(survey, lambda group: doors if meshes.of(group) is mesh else ())):
        groups = [group for one in many for group in one.groups]
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{policy} isolates {some(groups)} for egress, and no policy lets the "
            f"{'sidecar' if len(groups) == 1 else 'sidecars'} reach {part} at TCP {doors[0].port}",
            subject_of(policy),
            isolation_place(policy, Direction.EGRESS),
            tuple(Related(door.end.pod.place, f"{part} is {door.end}") for door in doors[:1] if door.end.pod),
            denied(survey, groups[0], doors),
            f"allow TCP {doors[0].port} to {doors[0].end}, by its labels and its namespace",
        )


def _arriving(survey: Survey, mesh: str, port: int, is_in: Callable[[Group], bool]) -> Iterator[Finding]:
    """The workloads of a mesh that let traffic in, and none of it at the port where it arrives."""

    def closed(whom: Isolated, group: Group) -> bool:
        # Whoever lets nobody in has no traffic that could be lost.
        return bool(whom.rules) and is_in(group) and not speaks_of(whom, port)

    for policy, many in by_blamed(narrowed(survey, Direction.INGRESS, closed)):
        groups = [group for one in many for group in one.groups]
        rule = many[0].rules[0]
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"the traffic of {mesh} arrives at {some(groups)} on TCP {port}, and no ingress rule speaks of that port",
            subject_of(policy),
            isolation_place(policy, Direction.INGRESS),
            (Related(rule.origin.place, f"{rule.origin} names other ports"),),
            help=f"add TCP {port} to the ports of each rule that lets in pods of the mesh",
        )


def _is_ambient(survey: Survey, group: Group) -> bool:
    own = group.pods[0].labels.get(_AMBIENT)
    return (own or survey.snapshot.namespace(group.namespace).labels.get(_AMBIENT)) == "ambient"


class _Mesh(enum.Enum):
    ISTIO = "istio-proxy"
    """By the name that its sidecar has in every pod."""
    LINKERD = "linkerd-proxy"


class _Meshes:
    """Who is in a mesh, and where its control plane is."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey

    @cached_property
    def parts(self) -> tuple[tuple[_Mesh, str, tuple[Door, ...]], ...]:
        """The parts of the control planes in the input that a sidecar must reach."""
        found = [(_Mesh.ISTIO, "Istio's istiod", tuple(self._istiod()))]
        for component, port in _LINKERD.items():
            found.append((_Mesh.LINKERD, f"Linkerd's {component}", tuple(self._linkerd(component, port))))
        return tuple(one for one in found if one[2])

    def _istiod(self) -> Iterator[Door]:
        for service in self.survey.snapshot.services:
            if (service.selector or {}).get("app") == "istiod":
                for door in doors_of(self.survey.snapshot, service):
                    if door.protocol is Protocol.TCP and (door.dialled or ("", door.port))[1] == _ISTIOD_PORT:
                        yield door

    def _linkerd(self, component: str, port: int) -> Iterator[Door]:
        for pod in self.survey.snapshot.endpoints:
            if pod.labels.get(_LINKERD_PART) == component:
                for end in (Endpoint.of_pod(pod, family) for family in (4, 6)):
                    if end is not None:
                        yield Door(end, Protocol.TCP, port)

    def of(self, group: Group) -> _Mesh | None:
        """The mesh that a workload has a sidecar of."""
        pod = group.pods[0]
        for mesh in _Mesh:
            if mesh.value in pod.hints.sidecars:
                return mesh
        if pod.addressed:
            # It runs, and nothing was added to it.
            return None
        space = self.survey.snapshot.namespace(group.namespace).labels
        inject = pod.labels.get("sidecar.istio.io/inject") or pod.hints.annotation("sidecar.istio.io/inject")
        asked = space.get("istio-injection") == "enabled" or ("istio.io/rev" in space and _AMBIENT not in space)
        if inject == "true" or (asked and inject != "false"):
            return _Mesh.ISTIO
        return _Mesh.LINKERD if pod.hints.annotation("linkerd.io/inject") in ("enabled", "ingress") else None


CHECK = Check("mesh-control-plane-blocked", Severity.ERROR, _find, __doc__)
