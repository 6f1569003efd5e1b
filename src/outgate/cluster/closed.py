"""What stands for a policy that cannot be understood: one that closes its own pods, in its own direction.

Whoever writes a policy wants less traffic, not more, so what cannot be read must not leave pods open; and one bad
policy must not harm pods that it does not select. So the stand-in has the name, no rules at all, and

    podSelector    what the policy says, where that can be read; else the empty selector: all pods of its namespace
    policyTypes    what the policy says, where that can be read; else both directions

A policy of the whole cluster is made of rules that act one by one, and so is its stand-in: what can be read stands, and
a part that cannot makes its rule deny everything, or, if it should accept, match nothing
(`outgate.model.parse_cluster_policy`). Where not even the order can be read it comes first of the Admin tier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from outgate.model.cilium import CiliumObject, CiliumPolicy, EndpointPeer
from outgate.model.cluster_policy import ClusterPolicy
from outgate.model.cluster_policy_schemas import DEFINITIONS
from outgate.model.labels import EVERYTHING, LabelSelector
from outgate.model.objects import Direction, NetworkPolicy
from outgate.model.parse import Refused, parse_object
from outgate.model.parse_cluster_policy import read_cluster_policy
from outgate.model.place import Document, Place
from outgate.model.snapshot import NAME_LABEL
from outgate.model.structural import with_defaults, without_nulls

__all__ = ["closed_cilium_policy", "closed_cluster_policy", "closed_policy"]

_BOTH = frozenset(Direction)


def closed_policy(value: Mapping[str, Any], namespace: str, name: str, place: str) -> NetworkPolicy:
    """The stand-in for the policy that has this JSON value and these names."""
    metadata, spec = value.get("metadata"), value.get("spec")
    uid = metadata.get("uid") if isinstance(metadata, dict) else None
    # "The zero value": a spec that is not there selects all pods, for ingress.
    spec = {} if spec is None else spec
    return NetworkPolicy(
        namespace=namespace,
        name=name,
        pods=_selector(spec),
        types=_types(spec),
        uid=uid if isinstance(uid, str) else "",
        place=Place(Document(place, None, stored=True)),
    )


def closed_cluster_policy(value: Mapping[str, Any], version: str, kind: str, name: str, place: str) -> ClusterPolicy:
    """The stand-in for the policy of the cluster that has this JSON value and this name.

    Its annotations are not taken: what it says of being only watched is part of what cannot be trusted.
    """
    metadata, schema = value.get("metadata"), DEFINITIONS[version, kind].properties["spec"]
    uid = metadata.get("uid") if isinstance(metadata, dict) else None
    spec = with_defaults(without_nulls(value.get("spec"), schema), schema)
    told = {"name": name, "uid": uid if isinstance(uid, str) else ""}
    return read_cluster_policy(version, kind, told, spec, Place(Document(place, None, stored=True))).policy


def closed_cilium_policy(value: Mapping[str, Any], kind: str, namespace: str, name: str, place: str) -> CiliumObject:
    """The stand-in for an object of Cilium's: for each of its policies one that isolates whom that is about.

    Of each policy its selector is read, where that can be, and which sections it has; the rest closes. A policy of
    hosts is none of pods.
    """
    metadata = value.get("metadata")
    uid = metadata.get("uid") if isinstance(metadata, dict) else None
    specs = value.get("specs")
    parts = [value["spec"]] if "spec" in value else []
    parts += specs if isinstance(specs, list) else []
    made: list[CiliumPolicy] = []
    for index, spec in enumerate(parts or [None]):
        made += _closed_part(spec, kind, namespace, name, place, index)
    return CiliumObject(kind, namespace, name, tuple(made), uid if isinstance(uid, str) else "")


def _closed_part(spec: object, kind: str, namespace: str, name: str, place: str, index: int) -> Iterator[CiliumPolicy]:
    if isinstance(spec, dict) and "nodeSelector" in spec and "endpointSelector" not in spec:
        return
    ways = _BOTH
    if isinstance(spec, dict):
        sections = ((one, one.value.lower()) for one in Direction)
        ways = frozenset(one for one, word in sections if spec.get(word) or spec.get(f"{word}Deny")) or _BOTH
    at = Place(Document(place, None, stored=True))
    subject = None
    if isinstance(spec, dict) and "endpointSelector" in spec:
        alone = {"endpointSelector": spec["endpointSelector"], "egress": [{}]}
        metadata = {"name": "x", "namespace": namespace} if namespace else {"name": "x"}
        one = {"apiVersion": "cilium.io/v2", "kind": kind, "metadata": metadata, "spec": alone}
        read = parse_object(Document("", one, stored=True))
        if not isinstance(read, Refused):
            subject = next((found.subject for found in read if isinstance(found, CiliumPolicy)), None)
    if subject is None:
        own = LabelSelector.of({NAME_LABEL: namespace}) if namespace else EVERYTHING
        subject = EndpointPeer(namespaces=own)
    yield CiliumPolicy(name, namespace, subject, isolates=ways, index=index or None, place=at)


def _selector(spec: object) -> LabelSelector:
    alone = _alone({"podSelector": spec.get("podSelector")}) if isinstance(spec, dict) else None
    return EVERYTHING if alone is None else alone.pods


def _types(spec: object) -> frozenset[Direction]:
    if not isinstance(spec, dict):
        return _BOTH
    given = spec.get("policyTypes")
    if not given and given not in (None, []):
        return _BOTH
    if not given and spec.get("egress"):
        # "If [policyTypes] is not specified, [...] policies that contain an egress section are assumed to affect
        # egress"; whether this section has rules is what cannot be read.
        return _BOTH
    alone = _alone({"policyTypes": given})
    return _BOTH if alone is None else alone.types


def _alone(spec: Mapping[str, object]) -> NetworkPolicy | None:
    """A policy with this much of a spec and no more; None where that much cannot be read."""
    value = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "x", "namespace": "x"},
        "spec": {key: one for key, one in spec.items() if one is not None},
    }
    made = parse_object(Document("", value, stored=True))
    if isinstance(made, Refused) or not made:
        return None
    (policy,) = made
    return policy if isinstance(policy, NetworkPolicy) else None
