"""A selector that matches nothing.

What it does:
    Finds policies that select no pod, and peers of rules that select none, where the namespaces that are meant are in
    the input and have pods. Templates of workloads count as pods. It says which labels there are that come near.

Why it matters:
    A label with a typing mistake is a valid label. The policy is accepted, protects nothing or allows nothing, and
    whoever wrote it believes that it is in force.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: apj}
      policyTypes: [Egress]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: api-1, namespace: shop, labels: {app: api}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: api}
      policyTypes: [Egress]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: api-1, namespace: shop, labels: {app: api}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    For pods that something else makes, such as the jobs of an operator, which the input does not have.

References:
    - https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.nearest import nearest_labels
from outgate.checks.survey import Section, Survey, some, subject_of
from outgate.model import Namespace, PodPeer
from outgate.model.labels import LabelSelector

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    there = survey.snapshot.pods_by_namespace
    for policy in survey.snapshot.policies:
        pods = there.get(policy.namespace, ())
        # Those on the host network are selected by no policy, and are somebody all the same (hostnetwork-subject).
        if pods and not survey.selected(policy) and not any(policy.pods.matches(pod.labels) for pod in pods):
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{policy} selects no pod: none of the {len(pods)} of {policy.namespace} has {policy.pods}",
                subject_of(policy),
                policy.place / "spec" / "podSelector",
                help=nearest_labels(policy.pods, [pod.labels for pod in pods]),
            )
    for section in survey.sections():
        if section.counts:
            for peer in section.rule.peers:
                if isinstance(peer, PodPeer):
                    yield from _of_peer(survey, section, peer)


def _of_peer(survey: Survey, section: Section, peer: PodPeer) -> Iterator[Finding]:
    if not survey.selects_nobody(section, peer):
        return
    namespaces = _meant(survey, section, peer)
    if namespaces is None:
        return
    if not namespaces:
        assert peer.namespaces is not None
        labels = [one.labels for one in survey.snapshot.namespaces.values() if one.declared]
        yield _nothing(section, peer, f"no namespace has {peer.namespaces}", nearest_labels(peer.namespaces, labels))
        return
    pods = [pod for one in namespaces for pod in survey.snapshot.pods_by_namespace.get(one.name, ())]
    selector = peer.pods or LabelSelector()
    # Pods on the host network are matched by no selector, which is a mistake of its own (hostnetwork-peer).
    host = (pod for pod in pods if pod.host_network)
    if pods and not any(selector.matches(pod.labels) for pod in host):
        where = some([one.name for one in namespaces])
        words = f"none of the {len(pods)} pods of {where} has {selector}"
        yield _nothing(section, peer, words, nearest_labels(selector, [pod.labels for pod in pods]))


def _meant(survey: Survey, section: Section, peer: PodPeer) -> list[Namespace] | None:
    """The namespaces that a peer selects; None where the input does not show what labels they have."""
    every = survey.snapshot.namespaces.values()
    if peer.namespaces is None:
        return [survey.snapshot.namespace(section.policy.namespace)]
    found = [one for one in every if peer.namespaces.matches(one.labels)]
    labelled = {key for one in every for key in one.labels}
    # A label that nobody has is namespace-label-missing; a name that the input lacks is another part of the cluster.
    known = all(one.declared for one in every) and peer.namespaces.keys() <= labelled
    named = any(key.startswith("kubernetes.io/") for key in peer.namespaces.keys())  # noqa: SIM118 - a method of ours
    return found if found or (known and not named) else None


def _nothing(section: Section, peer: PodPeer, words: str, near: str) -> Finding:
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{section} has a peer that selects nobody: {words}",
        subject_of(section.policy),
        peer.place,
        help=near,
    )


CHECK = Check("selector-matches-nothing", Severity.WARNING, _find, __doc__)
