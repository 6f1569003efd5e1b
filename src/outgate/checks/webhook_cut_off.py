"""Webhooks and API services that the API server cannot reach.

What it does:
    Finds pods behind a Service that a webhook configuration or an APIService names, whose ingress policies let in
    nothing that comes from the API server. Where its endpoints are in the input, packets from there (and from the
    konnectivity agents, where the input has them) are judged. Where they are not, only such pods are found whose rules
    let in on that port no address outside of the pod network, and nobody from kube-system, where tunnels end.

Why it matters:
    The API server asks a webhook before it stores an object. One that cannot be reached lets every such request fail,
    in all namespaces: no pod starts any more, also none of those that would mend it. With `failurePolicy: Ignore` each
    request waits for the timeout instead. The policy that did it is in a namespace that nobody looks at.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: policy-system}
    spec:
      podSelector: {}
      policyTypes: [Ingress]
    ---
    apiVersion: admissionregistration.k8s.io/v1
    kind: ValidatingWebhookConfiguration
    metadata: {name: images}
    webhooks:
      - name: images.policy.example.com
        clientConfig:
          service: {namespace: policy-system, name: webhook}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: webhook, namespace: policy-system}
    spec:
      clusterIP: 10.96.4.4
      selector: {app: webhook}
      ports: [{port: 443, targetPort: 9443}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: webhook-0, namespace: policy-system, labels: {app: webhook}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: policy-system}
    spec:
      podSelector: {}
      policyTypes: [Ingress]
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: webhook, namespace: policy-system}
    spec:
      podSelector:
        matchLabels: {app: webhook}
      policyTypes: [Ingress]
      ingress:
        - from:
            - ipBlock: {cidr: 192.0.2.10/32}
          ports:
            - {protocol: TCP, port: 9443}
    ---
    apiVersion: admissionregistration.k8s.io/v1
    kind: ValidatingWebhookConfiguration
    metadata: {name: images}
    webhooks:
      - name: images.policy.example.com
        clientConfig:
          service: {namespace: policy-system, name: webhook}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: webhook, namespace: policy-system}
    spec:
      clusterIP: 10.96.4.4
      selector: {app: webhook}
      ports: [{port: 443, targetPort: 9443}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: webhook-0, namespace: policy-system, labels: {app: webhook}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where the API server calls from addresses that the input does not have (a tunnel of the provider, say) and a rule
    lets these in.

References:
    - https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
    - https://github.com/kubernetes/kubernetes/issues/71508
    - https://github.com/kubernetes/kubernetes/issues/128162
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.exposure_places import Door, Found, doors_of
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity, Witness
from outgate.checks.resolvers import may_match
from outgate.checks.survey import Isolated, Survey, isolation_place, some, subject_of
from outgate.model import Called, Callout, Direction, Pod
from outgate.packets import Packet, Protocol
from outgate.policy import Endpoint, Flow
from outgate.policy.rules import PeerMatch, PodMatch
from outgate.records import dataclass

__all__ = ["CHECK"]

_AGENTS = ("app", "k8s-app")
"""The labels that say ``konnectivity-agent``, on different clouds."""
_HOME = "kube-system"
"""Where the agents of tunnels are."""


def _find(survey: Survey) -> Iterator[Finding]:
    entrances = _Entrances(survey)
    for callout in survey.snapshot.callouts:
        for called in callout.called:
            closed = list(entrances.closed(called))
            if closed:
                yield _finding(callout, called, closed)


@dataclass(frozen=True, slots=True)
class _Closed:
    """A pod that lets nothing in from the API server."""

    pod: Pod
    port: int
    whom: Isolated
    witness: Witness | None


def _finding(callout: Callout, called: Called, closed: list[_Closed]) -> Finding:
    first = closed[0]
    policy = first.whom.blamed
    pods = list(dict.fromkeys(str(one.pod) for one in closed))
    what = f"the webhook {called.name}" if called.name else "an API"
    severity = CHECK.severity if called.needed else Severity.WARNING
    then = "what it is asked about is refused" if called.needed else "each question waits for its timeout"
    return Finding(
        CHECK.name,
        severity,
        f"{policy} isolates {some(pods)} for ingress, and no policy lets the API server in on port {first.port}, where "
        f"Service {called.namespace}/{called.service} serves {what}: {then}",
        subject_of(policy),
        isolation_place(policy, Direction.INGRESS),
        (Related(called.place, f"{callout} makes the API server call it"),),
        first.witness,
        "allow the addresses that the API server calls from, on the pods' port",
    )


class _Entrances:
    """The pods that policies isolate for ingress, and where the API server calls from."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.known = survey.api_server.found is Found.KNOWN
        agents = (
            pod
            for pod in survey.snapshot.endpoints
            if any(pod.labels.get(label) == "konnectivity-agent" for label in _AGENTS)
        )
        ends = [Endpoint.of_pod(pod, family) for pod in agents for family in (4, 6)]
        self.sources = [*(door.end for door in survey.api_server.doors), *(end for end in ends if end is not None)]
        self.isolated = {
            pod.key: whom
            for whom in (survey.isolated(Direction.INGRESS) if survey.snapshot.callouts else ())
            for group in whom.groups
            for pod in group.pods
        }

    def closed(self, called: Called) -> Iterator[_Closed]:
        """The pods behind a Service that is called, of those that are closed to the API server."""
        service = self.survey.snapshot.service(called.namespace, called.service)
        for door in doors_of(self.survey.snapshot, service) if service is not None else ():
            pod = door.end.pod
            if pod is None or door.protocol is not Protocol.TCP or not _is_meant(door, called.port):
                continue
            whom = self.isolated.get(pod.key)
            if whom is None:
                continue
            allowed, witness = self._judged(door)
            if not allowed and (self.known or not self._may_let_in(whom, pod, door.port)):
                yield _Closed(pod, door.port, whom, witness)

    def _judged(self, door: Door) -> tuple[bool, Witness | None]:
        """Whether a packet from any known source is let in; else one that is not, where there is any."""
        shown = None
        for source in self.sources:
            if source.address.version != door.end.address.version:
                continue
            flow = Flow(source, door.end, int(door.protocol), door.port, door.dialled)
            if self.survey.judge.judge(flow).ingress.verdict.allows:
                return True, None
            packet = Packet(source.address, door.end.address, int(door.protocol), door.port)
            shown = shown or Witness(packet, str(source), str(door.end), passes=False)
        return False, shown

    def _may_let_in(self, whom: Isolated, pod: Pod, port: int) -> bool:
        """Whether any rule speaks of that port and of somebody who may be it: an address, or a tunnel's agent."""
        grid = self.survey.grid
        number = next(group.identity for group in whom.groups if any(one.key == pod.key for one in group.pods))
        return self.survey.policies.profile.host_network_selected or any(
            grid.ports_outside(rule, number).contains(Protocol.TCP, port)
            and (bool(grid.outside_of(rule)) or any(map(self._may_be_agent, rule.peers or ())))
            for rule in whom.rules
        )

    def _may_be_agent(self, match: PeerMatch) -> bool:
        if not isinstance(match, PodMatch):
            return False
        if match.namespaces is None:
            return match.namespace == _HOME
        return may_match(match.namespaces, self.survey.snapshot.namespace(_HOME))


def _is_meant(door: Door, port: int) -> bool:
    # A headless Service has no address that the API server could call.
    return door.dialled is not None and door.dialled[1] == port


CHECK = Check("webhook-cut-off", Severity.ERROR, _find, __doc__)
