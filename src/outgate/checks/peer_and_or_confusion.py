"""Two peers that may have been meant as one.

What it does:
    Finds rules in which a peer with nothing but a selector of namespaces stands next to one with nothing but a
    selector of pods. They are two peers, and either is enough.

Why it matters:
    A dash more or less turns "these pods in those namespaces" into "those namespaces with all their pods, and these
    pods here". Both are valid, and the wider one is what most people wrote who meant the narrower.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-db, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - namespaceSelector:
                matchLabels: {kubernetes.io/metadata.name: data}
            - podSelector:
                matchLabels: {app: db}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: data, labels: {app: db}}
    spec: {containers: [{name: main, image: app}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: backup, namespace: data, labels: {app: backup}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-db, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - namespaceSelector:
                matchLabels: {kubernetes.io/metadata.name: data}
              podSelector:
                matchLabels: {app: db}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: data, labels: {app: db}}
    spec: {containers: [{name: main, image: app}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: backup, namespace: data, labels: {app: backup}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where both are meant: all pods of those namespaces, and some of one's own.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-to-and-from-selectors
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Related, Severity
from outgate.checks.survey import Section, Survey, some, subject_of
from outgate.model import PodPeer

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    for section in survey.sections():
        peers = section.rule.peers
        for one, other in itertools.pairwise(peers):
            if not (isinstance(one, PodPeer) and isinstance(other, PodPeer)):
                continue
            namespaces, pods = (one, other) if one.pods is None else (other, one)
            if namespaces.pods is None and pods.namespaces is None and namespaces.namespaces:
                yield _finding(survey, section, namespaces, pods)


def _finding(survey: Survey, section: Section, namespaces: PodPeer, pods: PodPeer) -> Finding:
    every = survey.peer_pods(section, namespaces)
    joined = survey.peer_pods(section, PodPeer(pods.pods, namespaces.namespaces))
    counted = f"{len(every)} pods, and not only the {len(joined)} with {pods.pods}" if every else "every pod there"
    beyond = [one for one in every if one not in joined]
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{section} names namespaces {namespaces.namespaces} and, as another peer, pods {pods.pods}: either is enough",
        subject_of(section.policy),
        namespaces.place,
        (Related(pods.place, f"these pods are those of namespace {section.policy.namespace}"),),
        help=f"the first alone is {counted}{f' (so {some(beyond)})' if beyond else ''}; "
        "take the second dash away if one peer was meant",
    )


CHECK = Check("peer-and-or-confusion", Severity.WARNING, _find, __doc__)
