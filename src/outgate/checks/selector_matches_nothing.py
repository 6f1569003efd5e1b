"""A selector that matches nothing.

What it does:
    Finds policies that select no pod, and peers of rules that select none, where the namespaces that are meant are in
    the input and have pods. Templates of workloads count as pods. It says which labels there are that come near.
    Selectors of Cilium's count as it reads them: by labels that take no part in an identity nobody is found. What is
    selected in any namespace is judged where the input has all Namespaces that it mentions; a denial of nobody is only
    worth knowing. Of Cilium's policies also groups of blocks, Services and nodes that are not there, where the input
    has others.

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
from functools import cached_property

from outgate.checks.absent import why_absent
from outgate.checks.check import Check
from outgate.checks.clauses import clauses
from outgate.checks.finding import Finding, Severity
from outgate.checks.nearest import Carried, nearest_labels
from outgate.checks.survey import Section, Survey, some, spec_of, subject_of
from outgate.model import (
    CiliumPolicy,
    ClusterPolicy,
    Direction,
    Namespace,
    Operator,
    Place,
    Pod,
    PodPeer,
    Snapshot,
    UnknownPeer,
)
from outgate.model.cilium import EndpointPeer
from outgate.model.labels import EVERYTHING, LabelIndex, LabelSelector
from outgate.model.snapshot import NAME_LABEL
from outgate.policy import Action
from outgate.policy.rules import origin_of

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
                help=nearest_labels(policy.pods, Carried(pod.labels for pod in pods)),
            )
    meant = _Meant(survey.snapshot)
    yield from _of_others(survey, meant)
    for section in survey.sections():
        if section.counts:
            for peer in section.rule.peers:
                if isinstance(peer, PodPeer) and survey.selects_nobody(section, peer):
                    yield from _of_peer(meant, section, peer)


def _of_peer(meant: _Meant, section: Section, peer: PodPeer) -> Iterator[Finding]:
    there = meant.by(section.policy.namespace if peer.namespaces is None else peer.namespaces)
    if there is None:
        return
    if not there.namespaces:
        assert peer.namespaces is not None
        near = nearest_labels(peer.namespaces, meant.declared)
        yield _nothing(section, peer, f"no namespace has {peer.namespaces}", near)
        return
    selector = peer.pods or EVERYTHING
    # Pods on the host network are matched by no selector, which is a mistake of its own (hostnetwork-peer).
    if there.pods and not any(selector.matches(pod.labels) for pod in there.host):
        where = some([one.name for one in there.namespaces])
        words = f"none of the {len(there.pods)} pods of {where} has {selector}"
        yield _nothing(section, peer, words, nearest_labels(selector, there.carried))


class _There:
    """The namespaces that peers mean, and who is in them."""

    def __init__(self, namespaces: tuple[Namespace, ...], snapshot: Snapshot) -> None:
        self.namespaces = namespaces
        self.pods: tuple[Pod, ...] = tuple(
            pod for one in namespaces for pod in snapshot.pods_by_namespace.get(one.name, ())
        )
        self.host = tuple(pod for pod in self.pods if pod.host_network)

    @cached_property
    def carried(self) -> Carried:
        """The labels of these pods."""
        return Carried(pod.labels for pod in self.pods)


class _Meant:
    """Which namespaces peers mean. Many peers mean the same, so each of these is worked out once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._every = tuple(snapshot.namespaces.values())
        self._known: dict[str | LabelSelector, _There | None] = {}

    def by(self, key: str | LabelSelector) -> _There | None:
        """The one, or those that a selector selects; None where the input does not show what labels they have."""
        if key not in self._known:
            self._known[key] = self._of(key)
        return self._known[key]

    def _of(self, key: str | LabelSelector) -> _There | None:
        if isinstance(key, str):
            return _There((self._snapshot.namespace(key),), self._snapshot)
        found = tuple(self._every[number] for number in self._index.matching(key))
        # A label that nobody has is namespace-label-missing; a name that the input lacks is elsewhere in the cluster.
        known = all(one.declared for one in self._every) and key.keys() <= self._labelled
        named = any(one.startswith("kubernetes.io/") for one in key.keys())  # noqa: SIM118 - a method of ours
        return _There(found, self._snapshot) if found or (known and not named) else None

    def surely(self, key: LabelSelector) -> _There | None:
        """The same, where the input has all whom the selector means: one by its name, or all Namespaces there are."""
        named = any(one.key == NAME_LABEL and one.operator is Operator.IN for one in key.requirements)
        return self.by(key) if named or all(one.declared for one in self._every) else None

    @cached_property
    def _index(self) -> LabelIndex:
        return LabelIndex(one.labels for one in self._every)

    @cached_property
    def _labelled(self) -> set[str]:
        return {key for one in self._every for key in one.labels}

    @cached_property
    def declared(self) -> Carried:
        """The labels of all namespaces that the input has."""
        return Carried(one.labels for one in self._every if one.declared)


def _of_others(survey: Survey, meant: _Meant) -> Iterator[Finding]:
    policies: list[CiliumPolicy | ClusterPolicy] = [*survey.snapshot.cilium_policies, *survey.snapshot.cluster_policies]
    for policy in policies:
        subject = policy.subject
        known = not isinstance(policy, CiliumPolicy) or (policy.nodes is None and not policy.unenforced)
        if known and not isinstance(subject, UnknownPeer) and not survey.selected(policy):
            why = _why_nobody(meant, subject)
            if why is not None:
                at = _subject_place(policy)
                words = f"{origin_of(policy, Direction.EGRESS)} selects no pod: {why[0]}"
                yield Finding(CHECK.name, CHECK.severity, words, subject_of(policy), at, help=why[1])
    for clause in clauses(survey):
        for peer in clause.peers if clause.understood else ():
            why = (
                _why_nobody(meant, peer)
                if isinstance(peer, EndpointPeer | PodPeer)
                else why_absent(survey.snapshot, peer)
            )
            if why is not None:
                # To deny whom there is not (yet) may be foresight; a name that nobody has is hardly.
                foresight = clause.action is not Action.ACCEPT and isinstance(peer, EndpointPeer | PodPeer)
                severity = Severity.INFO if foresight else CHECK.severity
                words = f"{clause} has a peer that selects nobody: {why[0]}"
                yield Finding(CHECK.name, severity, words, subject_of(clause.policy), peer.place, help=why[1])


def _why_nobody(meant: _Meant, peer: EndpointPeer | PodPeer) -> tuple[str, str] | None:
    """Why a selector is known to match no pod, and what comes near; None where it is not known to."""
    if isinstance(peer, EndpointPeer):
        if peer.nobody:
            return "it asks for a label that no endpoint has, or that takes no part in an identity of Cilium's", ""
        if peer.clusters:
            return None
    namespaces, selector = peer.namespaces or EVERYTHING, peer.pods or EVERYTHING
    there = meant.surely(namespaces)
    if there is None:
        return None
    if not there.namespaces:
        return f"no namespace has {namespaces}", nearest_labels(namespaces, meant.declared)
    # Pods on the host network are matched by no selector, which is a mistake of its own (hostnetwork-peer).
    if not there.pods or any(selector.matches(pod.labels) for pod in there.pods):
        return None
    where = some([one.name for one in there.namespaces])
    words = f"none of the {len(there.pods)} pods of {where} has {selector}"
    return words, nearest_labels(selector, there.carried)


def _subject_place(policy: CiliumPolicy | ClusterPolicy) -> Place:
    if isinstance(policy, CiliumPolicy):
        place, _ = spec_of(policy)
        return place / "endpointSelector"
    return policy.place / "spec" / "subject"


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
