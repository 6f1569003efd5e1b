"""A port name that no pod has.

What it does:
    Finds rules with the name of a port that none of the pods concerned gives to a port of that protocol, and names of
    ports beside nothing but address blocks.

Why it matters:
    A name is looked up on each destination pod: its container ports, by name and protocol. Where no pod has it, the
    rule matches nothing. Outside the cluster there is no pod to ask, so beside an address block a name means nothing.

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
            - {protocol: TCP, port: postgress}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: shop, labels: {app: db}}
    spec:
      containers:
        - {name: main, image: app, ports: [{name: postgres, containerPort: 5432}]}

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
            - {protocol: TCP, port: postgres}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: shop, labels: {app: db}}
    spec:
      containers:
        - {name: main, image: app, ports: [{name: postgres, containerPort: 5432}]}

When to ignore:
    For pods that the input does not have.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#targeting-a-range-of-ports
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Section, Survey, some, subject_of
from outgate.model import BlockPeer, Direction, Pod, PodPeer, PolicyPort

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    for section in survey.sections():
        named = [entry for entry in section.rule.ports if isinstance(entry.port, str)]
        if not named or not section.counts:
            continue
        if _only_blocks(section):
            for entry in named:
                yield _beside_blocks(section, entry)
            continue
        pods = list(_asked(survey, section))
        for entry in named if pods else ():
            if not any((one.name, one.protocol) == (entry.port, entry.protocol) for pod in pods for one in pod.ports):
                yield _unknown(section, entry, pods)


def _only_blocks(section: Section) -> bool:
    """On ingress the pods that are asked are the policy's own subjects, whoever the peers are."""
    peers = section.rule.peers
    return section.direction is Direction.EGRESS and bool(peers) and all(isinstance(one, BlockPeer) for one in peers)


def _asked(survey: Survey, section: Section) -> Iterator[Pod]:
    """The pods on which a name is looked up."""
    if section.direction is Direction.INGRESS:
        for group in survey.selected_groups(section.policy):
            yield from group.pods
    elif not section.rule.peers:
        yield from survey.snapshot.endpoints
    else:
        for peer in section.rule.peers:
            if isinstance(peer, PodPeer):
                yield from survey.peer_pods(section, peer)


def _unknown(section: Section, entry: PolicyPort, pods: list[Pod]) -> Finding:
    from difflib import get_close_matches  # noqa: PLC0415 - only a finding pays for it

    names = sorted({one.name for pod in pods for one in pod.ports if one.name})
    other = sorted({one.protocol for pod in pods for one in pod.ports if one.name == entry.port})
    near = get_close_matches(str(entry.port), names, n=2) or names[:4]
    if other:
        advice = f"the pods have it for {some(other)}"
    else:
        advice = f"they have {some(near, 4)}" if near else "none of them names a port: write the number"
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{section} names port {entry.port} ({entry.protocol}), and no such port is on {some(pods)}",
        subject_of(section.policy),
        entry.place / "port",
        help=advice,
    )


def _beside_blocks(section: Section, entry: PolicyPort) -> Finding:
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{section} names port {entry.port} beside address blocks alone, where no pod says what it means",
        subject_of(section.policy),
        entry.place / "port",
        help="write the number",
    )


CHECK = Check("port-name-unknown", Severity.ERROR, _find, __doc__)
