"""A namespace selector by a label that nobody sets.

What it does:
    Finds selectors of namespaces that ask for a label which no namespace of the input has, where the label is one
    that is often taken for the name (name, namespace, kubernetes.io/name), or where the input has the Namespace
    objects and so shows which labels there are. Policies of every kind are looked at, and the subjects of those of a
    whole cluster; a fix goes into rules of NetworkPolicies and of ClusterNetworkPolicies that accept.

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
from outgate.checks.survey import Survey, some, subject_of
from outgate.checks.written import keys_at, title_of, written_rules
from outgate.checks.written_selectors import peer_selectors, subject_selector
from outgate.model import CiliumPolicy, ClusterPolicy, LabelSelector, Place, Policy
from outgate.model.labels import Operator, Requirement
from outgate.model.parse_cilium_selectors import NAMESPACE_KEY
from outgate.model.snapshot import NAME_LABEL
from outgate.records import dataclass

__all__ = ["CHECK"]

_TAKEN_FOR_NAME = ("name", "namespace", "ns", "kubernetes.io/name")


@dataclass(frozen=True, slots=True)
class _Namespaces:
    """A selector of namespaces, and the policy or the rule that it is of. `place`: where it stands by itself."""

    policy: Policy
    who: str
    selector: LabelSelector
    place: Place
    mends: bool
    """Whether a right label in its place may be written by a machine: not where that closes, or chooses subjects."""


def _find(survey: Survey) -> Iterator[Finding]:
    namespaces = survey.snapshot.namespaces.values()
    labelled = {key for one in namespaces for key in one.labels}
    declared = [one.name for one in namespaces if one.declared]
    for one in _selectors(survey):
        for requirement in one.selector.requirements:
            wanted = requirement.operator in (Operator.IN, Operator.EXISTS)
            known = declared or requirement.key in _TAKEN_FOR_NAME
            if wanted and known and requirement.key not in labelled:
                yield _finding(one, requirement, sorted(labelled))


def _selectors(survey: Survey) -> Iterator[_Namespaces]:
    for policy in survey.snapshot.every_policy:
        chosen = subject_selector(policy)
        if chosen is not None and chosen.match is not None and chosen.match.namespaces is not None:
            place = _place(policy, chosen.place)
            yield _Namespaces(policy, title_of(policy), chosen.match.namespaces, place, mends=False)
    for written in written_rules(survey, void=True):
        for peer in peer_selectors(written):
            if peer.match is not None and peer.match.namespaces is not None:
                place, mends = _place(written.policy, peer.place), written.accepts and not written.is_ciliums
                yield _Namespaces(written.policy, str(written), peer.match.namespaces, place, mends)


def _place(policy: Policy, place: Place) -> Place:
    """Where a selector of namespaces stands; Cilium's is one with that of pods."""
    match policy:
        case CiliumPolicy():
            return place
        case ClusterPolicy():
            alone = "namespaces" in keys_at(place)
            return place / "namespaces" if alone else place / "pods" / "namespaceSelector"
    return place / "namespaceSelector"


def _finding(found: _Namespaces, one: Requirement, labelled: list[str]) -> Finding:
    place = found.place
    fix: tuple[Edit, ...] = ()
    keys = keys_at(place / "matchLabels")
    if one.operator is Operator.IN and len(one.values) == 1 and one.key in keys:
        place = place / "matchLabels" / one.key
        # Two labels may not get one key, which may be there as well: the object would be refused.
        if found.mends and [key for key in keys if key in (NAME_LABEL, *_TAKEN_FOR_NAME)] == [one.key]:
            fix = (Edit.rename(place, NAME_LABEL),)
    name = f"k8s:{NAMESPACE_KEY}" if isinstance(found.policy, CiliumPolicy) else NAME_LABEL
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{found.who} selects namespaces by the label {one.key}, which no namespace has",
        subject_of(found.policy),
        place,
        help=f"the label that is set to the name of each is {name}"
        if one.key in _TAKEN_FOR_NAME
        else f"the namespaces of the input have {some(labelled, 6)}",
        fix=fix,
    )


CHECK = Check("namespace-label-missing", Severity.ERROR, _find, __doc__, fixable=True)
