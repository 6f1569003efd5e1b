"""What a selector of Cilium's selects, in terms of pods, namespaces, accounts and clusters.

Cilium knows an endpoint by one set of labels, each with a source: those of the pod, those of its namespace under
``io.cilium.k8s.namespace.labels.``, and some of its own making. A selector is read here against that set and taken
apart. Two things that the text does not show are worked in:

- What Cilium adds (``getEndpointSelector``): the policy's own namespace where a selector names none, unless it speaks
  of ``reserved:`` labels; in a policy of the whole cluster, that there be a namespace at all.
- What Cilium leaves out: labels that take no part in an identity, by default those of Kubernetes' own making. No
  endpoint has such a label, so `In` and `Exists` never hold for it, and `NotIn` and `DoesNotExist` always do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from outgate.model.cilium import ACCOUNT_LABEL, CLUSTER_LABEL, EndpointPeer, EntityPeer, Unenforced
from outgate.model.labels import LabelSelector, Operator, Requirement
from outgate.model.place import Place
from outgate.model.snapshot import NAME_LABEL

__all__ = ["NAMESPACE_KEY", "endpoint_peer", "is_kept", "plain_selector", "requirements", "split_key", "subject"]

NAMESPACE_KEY = "io.kubernetes.pod.namespace"
"""The label of an endpoint that holds the name of its namespace."""
_NAMESPACE_LABELS = "io.cilium.k8s.namespace.labels."
_POSITIVE = (Operator.IN, Operator.EXISTS)
_RESERVED = ("host", "remote-node", "kube-apiserver", "health", "init", "ingress", "unmanaged")
"""The reserved labels that are an entity each. ``world`` is not: with both families its label splits in two."""

_FILTER = (
    # pkg/labelsfilter, defaultLabelPrefixCfg: regular expressions from the start of the key.
    (r"io\.kubernetes\.pod\.namespace", True),
    (r"io\.cilium\.k8s\.namespace\.labels", True),
    (r"app\.kubernetes\.io", True),
    (r"io\.cilium\.k8s\.policy\.cluster", True),
    (r"io\.cilium\.k8s\.policy\.serviceaccount", True),
    (r"io\.kubernetes", False),
    (r"kubernetes\.io", False),
    (r"statefulset\.kubernetes\.io/pod-name", False),
    (r"apps\.kubernetes\.io/pod-index", False),
    (r"batch\.kubernetes\.io/job-completion-index", False),
    (r"batch\.kubernetes\.io/controller-uid", False),
    (r".*beta\.kubernetes\.io", False),
    (r"k8s\.io", False),
    (r"pod-template-generation", False),
    (r"pod-template-hash", False),
    (r"controller-revision-hash", False),
    (r"annotation.*", False),
    (r"controller-uid", False),
    (r"etcd_node", False),
    (r"topology\.kubernetes\.io", False),
)
_RULES = tuple((re.compile(pattern), keep) for pattern, keep in _FILTER)


def is_kept(key: str) -> bool:
    """Whether a label of this key takes part in the identity of an endpoint, as Cilium is set by default.

    The longest match that keeps it is held against the shortest that leaves it out (``filterLabels``).
    """
    found = [(match.end(), keep) for rule, keep in _RULES if (match := rule.match(key)) is not None]
    left_out = min((length for length, keep in found if not keep), default=0)
    return not left_out or max((length for length, keep in found if keep), default=0) > left_out


def split_key(key: str) -> tuple[str, str]:
    """The source of a key and its name: ``k8s:app`` is (k8s, app); without a source it is ``any``."""
    source, colon, name = key.partition(":")
    return (source, name) if colon else ("any", key)


def requirements(selector: Mapping[str, Any]) -> Iterator[Requirement]:
    """Both halves of a written selector, one by one, the keys as written.

    ``app`` and ``any:app`` are one key to Cilium, which keeps one of the two values by chance; here both must hold.
    """
    for key, value in selector.get("matchLabels", {}).items():
        yield Requirement(key, Operator.IN, (value,))
    for one in selector.get("matchExpressions", ()):
        yield Requirement(one["key"], Operator(one["operator"]), tuple(one.get("values", ())))


def plain_selector(selector: Mapping[str, Any]) -> LabelSelector:
    """A selector over the labels of objects that are no endpoints (Services, nodes, groups), any source left out."""
    return LabelSelector.of(
        None, (Requirement(split_key(r.key)[1], r.operator, r.values) for r in requirements(selector))
    )


def subject(selector: Mapping[str, Any], namespace: str, place: Place) -> tuple[EndpointPeer, tuple[Unenforced, ...]]:
    """The pods that a policy is about, and what of that we cannot do.

    "EndpointSelector always applies in namespace of the policy resource": what the labels of a namespaced policy say
    of another is taken away, as Cilium does. A pod has no ``reserved:`` label.
    """
    pin = f"k8s:{NAMESPACE_KEY}"
    if namespace:
        selector = {**selector, "matchLabels": {**selector.get("matchLabels", {}), pin: namespace}}
    written = list(requirements(selector))
    reserved = [r for r in written if split_key(r.key)[0] == "reserved" and r.operator in _POSITIVE]
    words = "what carries a reserved label is no pod, and policies of others are not enforced"
    marks = tuple(Unenforced(r.key, words, place) for r in reserved)
    return _taken_apart(written, place), marks


def endpoint_peer(
    selector: Mapping[str, Any], namespace: str, place: Place
) -> tuple[EndpointPeer | EntityPeer, tuple[Unenforced, ...]]:
    """Who is meant by an entry of ``toEndpoints`` or ``fromEndpoints``, and what of that we cannot do.

    `namespace` is the policy's own, or empty for a policy of the whole cluster.
    """
    written = list(requirements(selector))
    reserved = [r for r in written if split_key(r.key)[0] == "reserved"]
    if reserved:
        return _reserved(written, reserved, place)
    keys = {r.key.removeprefix("any:").removeprefix("k8s:") for r in written if split_key(r.key)[0] in ("any", "k8s")}
    # Cilium looks for the very keys: a namespace label in whatever source is no reason to leave the namespace out.
    if namespace and NAMESPACE_KEY not in keys and not any(key.startswith(_NAMESPACE_LABELS) for key in keys):
        written.append(Requirement(f"k8s:{NAMESPACE_KEY}", Operator.IN, (namespace,)))
    return _taken_apart(written, place), _other_clusters(written, place)


def _reserved(
    written: list[Requirement], reserved: list[Requirement], place: Place
) -> tuple[EndpointPeer | EntityPeer, tuple[Unenforced, ...]]:
    """A selector of reserved labels: an entity where it is one and no more, else something that we do not do."""
    name = split_key(reserved[0].key)[1]
    holds = reserved[0].operator is Operator.EXISTS or (
        reserved[0].operator is Operator.IN and "" in reserved[0].values
    )
    if len(written) == 1 and holds and name in _RESERVED:
        return EntityPeer(name, place), ()
    words = "a selector of reserved labels that is not one entity is not taken apart"
    return EndpointPeer(nobody=True, place=place), (Unenforced(reserved[0].key, words, place),)


def _other_clusters(written: Iterable[Requirement], place: Place) -> tuple[Unenforced, ...]:
    """Which cluster this is among those that are named is not known here."""
    words = "the clusters of a mesh are not told apart"
    return tuple(
        Unenforced(r.key, words, place)
        for r in written
        if split_key(r.key) in (("k8s", CLUSTER_LABEL), ("any", CLUSTER_LABEL))
        and r.operator in (Operator.IN, Operator.NOT_IN)
    )


def _taken_apart(written: Iterable[Requirement], place: Place) -> EndpointPeer:
    """The requirements sorted by whose labels they are about."""
    parts: dict[str, list[Requirement]] = {"pods": [], "namespaces": [], "accounts": [], "clusters": []}
    nobody = False
    for one in written:
        source, key = split_key(one.key)
        part, name = _whose(key)
        if source not in ("any", "k8s") or (part == "pods" and not is_kept(key)):
            # No endpoint that is a pod has such a label.
            nobody = nobody or one.operator in _POSITIVE
        elif key == NAMESPACE_KEY and one.operator in (Operator.EXISTS, Operator.DOES_NOT_EXIST):
            nobody = nobody or one.operator is Operator.DOES_NOT_EXIST
        else:
            parts[part].append(Requirement(name, one.operator, one.values))
    if nobody:
        return EndpointPeer(nobody=True, place=place)
    made = {part: LabelSelector.of(None, several) for part, several in parts.items()}
    return EndpointPeer(made["pods"], made["namespaces"], made["accounts"], made["clusters"], place=place)


def _whose(key: str) -> tuple[str, str]:
    """Whose labels a key is about, and what it is called there."""
    if key == NAMESPACE_KEY:
        return "namespaces", NAME_LABEL
    if key.startswith(_NAMESPACE_LABELS):
        return "namespaces", key.removeprefix(_NAMESPACE_LABELS)
    if key == ACCOUNT_LABEL:
        return "accounts", key
    return ("clusters" if key == CLUSTER_LABEL else "pods"), key
