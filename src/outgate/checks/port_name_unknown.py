"""A port name that no pod has.

What it does:
    Finds rules with the name of a port that none of the pods concerned gives to a port of that protocol, and names of
    ports beside nothing but address blocks. Policies of every kind are looked at; of Cilium's, whose names beside
    blocks are looked up on every pod, only the names beside pods.

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
from outgate.checks.survey import Survey, some, subject_of
from outgate.checks.written import Written, written_rules
from outgate.checks.written_ports import PortSaid, ports_of
from outgate.checks.written_selectors import pods_meant
from outgate.model import Direction, Pod
from outgate.model.cilium import EntityPeer

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    for written in written_rules(survey):
        named = [one for one in ports_of(written) if isinstance(one.port, str) and one.protocols]
        if not named:
            continue
        if _only_blocks(written):
            for entry in named:
                yield _beside_blocks(written, entry)
            continue
        pods = list(_asked(survey, written))
        for entry in named if pods else ():
            if not any(one.name == entry.port and one.protocol in entry.protocols for pod in pods for one in pod.ports):
                yield _unknown(written, entry, pods)


def _only_blocks(written: Written) -> bool:
    """On ingress the pods that are asked are the policy's own subjects, whoever the peers are.

    Beside a block of Cilium's a name is looked up on every pod there is, which is nothing to rely on, and something.
    """
    peers = written.rule.peers
    return (
        written.direction is Direction.EGRESS
        and not written.is_ciliums
        and bool(peers)
        and len(written.blocks) == len(peers or ())
    )


def _asked(survey: Survey, written: Written) -> Iterator[Pod]:
    """The pods on which a name is looked up."""
    if written.direction is Direction.INGRESS:
        for group in survey.selected_groups(written.policy):
            yield from group.pods
    elif written.anybody or (
        written.is_ciliums and any(isinstance(one, EntityPeer) for one in written.rule.peers or ())
    ):
        yield from survey.snapshot.endpoints
    else:
        yield from pods_meant(survey, written)


def _unknown(written: Written, entry: PortSaid, pods: list[Pod]) -> Finding:
    from difflib import get_close_matches  # noqa: PLC0415 - only a finding pays for it

    names = sorted({one.name for pod in pods for one in pod.ports if one.name})
    other = sorted({one.protocol for pod in pods for one in pod.ports if one.name == entry.port})
    near = get_close_matches(str(entry.port), names, n=2) or names[:4]
    if other:
        advice = f"the pods have it for {some(other)}"
    else:
        advice = f"they have {some(near, 4)}" if near else "none of them names a port: write the number"
    what = f"{entry.port} ({entry.protocols[0]})" if len(entry.protocols) == 1 else f"{entry.port}"
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{written} names port {what}, and no such port is on {some(pods)}",
        subject_of(written.policy),
        entry.value,
        help=advice,
    )


def _beside_blocks(written: Written, entry: PortSaid) -> Finding:
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{written} names port {entry.port} beside address blocks alone, where no pod says what it means",
        subject_of(written.policy),
        entry.value,
        help="write the number",
    )


CHECK = Check("port-name-unknown", Severity.ERROR, _find, __doc__)
