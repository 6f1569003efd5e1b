"""A namespace selector by a label that nobody sets.

What it does:
    Finds selectors of namespaces that ask for a label which no namespace of the input has, where the label is one
    that is often taken for the name (name, namespace, kubernetes.io/name), or where the input has the Namespace
    objects and so shows which labels there are.

Why it matters:
    The API server sets one label on every namespace, kubernetes.io/metadata.name. Every other one has to be set by
    somebody, and where nobody did, the selector matches no namespace, the rule allows nothing, and nothing says so.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-data, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - namespaceSelector:
                matchLabels: {name: data}
    ---
    apiVersion: v1
    kind: Namespace
    metadata: {name: data}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-data, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - namespaceSelector:
                matchLabels: {kubernetes.io/metadata.name: data}
    ---
    apiVersion: v1
    kind: Namespace
    metadata: {name: data}

When to ignore:
    Where the label is set by something that the input does not show.

References:
    - https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#targeting-a-namespace-by-its-name
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.edit import Edit
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Section, Survey, some, subject_of
from outgate.model import PodPeer
from outgate.model.labels import Operator, Requirement
from outgate.model.snapshot import NAME_LABEL

__all__ = ["CHECK"]

_TAKEN_FOR_NAME = ("name", "namespace", "ns", "kubernetes.io/name")


def _find(survey: Survey) -> Iterator[Finding]:
    namespaces = survey.snapshot.namespaces.values()
    labelled = {key for one in namespaces for key in one.labels}
    declared = [one.name for one in namespaces if one.declared]
    for section in survey.sections():
        for peer in section.rule.peers:
            if not isinstance(peer, PodPeer) or peer.namespaces is None:
                continue
            for requirement in peer.namespaces.requirements:
                wanted = requirement.operator in (Operator.IN, Operator.EXISTS)
                known = declared or requirement.key in _TAKEN_FOR_NAME
                if wanted and known and requirement.key not in labelled:
                    yield _finding(section, peer, requirement, sorted(labelled))


def _finding(section: Section, peer: PodPeer, one: Requirement, labelled: list[str]) -> Finding:
    place = peer.place / "namespaceSelector"
    fix: tuple[Edit, ...] = ()
    if one.operator is Operator.IN:
        exact = place / "matchLabels" / one.key
        if len(one.values) == 1 and _written(section, peer, one.key):
            place = exact
            if one.key in _TAKEN_FOR_NAME:
                fix = (Edit.rename(exact, NAME_LABEL),)
    named = one.key in _TAKEN_FOR_NAME
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{section} selects namespaces by the label {one.key}, which no namespace has",
        subject_of(section.policy),
        place,
        help=f"the label that the API server sets to the name is {NAME_LABEL}"
        if named
        else f"the namespaces of the input have {some(labelled, 6)}",
        fix=fix,
    )


def _written(section: Section, peer: PodPeer, key: str) -> bool:
    """Whether the label stands in ``matchLabels``, where its key can be changed alone."""
    value: object = section.policy.place.document.value
    for step in (*peer.place.at, "namespaceSelector", "matchLabels"):
        try:
            value = value[step]  # type: ignore[index]  # what is not there says so
        except (KeyError, IndexError, TypeError):
            return False
    return isinstance(value, dict) and key in value


CHECK = Check("namespace-label-missing", Severity.ERROR, _find, __doc__, fixable=True)
