"""A NetworkPolicy as a manifest, with what every recipe has to say about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from outgate.model.labels import EVERYTHING, LabelSelector
from outgate.model.place import Path
from outgate.model.snapshot import NAME_LABEL
from outgate.recipes.recipe import Asked, Manifest
from outgate.recipes.selecting import read_selector, selector_of

__all__ = ["ISOLATES", "Said", "admin_policy", "named_namespace", "network_policy", "subject"]

ISOLATES = (
    "Whom a policy selects, it isolates: what no policy allows is denied from then on. Apply this beside a default "
    "deny that lets DNS through (outgate new default-deny-egress)."
)
"""What must be known of a policy that only allows, where the input does not show the rest."""

ADMIN_NEEDS = (
    "Needs the API policy.networking.k8s.io/v1alpha2 and a network plugin that enforces it; without both it is refused "
    "or does nothing. Outgate evaluates it, and its agent enforces it."
)


@dataclass(frozen=True, slots=True)
class Said:
    """One rule of a policy, and why it is there."""

    rule: Mapping[str, object]
    why: tuple[str, ...] = ()


def subject(asked: Asked) -> LabelSelector:
    """Whom the policy is for."""
    return EVERYTHING if asked.selector is None else read_selector(asked.selector)


def network_policy(
    asked: Asked,
    name: str,
    *,
    pods: LabelSelector = EVERYTHING,
    egress: Sequence[Said] | None = None,
    ingress: Sequence[Said] | None = None,
    head: Sequence[str] = (),
    ignored: Mapping[str, str] | None = None,
    tail: Sequence[str] = (),
) -> Manifest:
    """A policy for the directions that are not None; one without rules denies everything in it.

    `ignored`: checks whose findings are meant, and why.
    """
    metadata: dict[str, object] = {"name": name}
    if asked.namespace:
        metadata["namespace"] = asked.namespace
    if ignored:
        metadata["annotations"] = {f"ignore.outgate.dev/{rule}": why for rule, why in ignored.items()}
    sections = {key: said for key, said in (("egress", egress), ("ingress", ingress)) if said is not None}
    spec: dict[str, object] = {
        "podSelector": selector_of(pods),
        # Always written: without it every policy is one for ingress, too.
        "policyTypes": [key.capitalize() for key in sections],
    }
    comments: dict[Path, tuple[str, ...]] = {}
    for key, said in sections.items():
        if said:
            spec[key] = [dict(one.rule) for one in said]
            comments |= {("spec", key, at): one.why for at, one in enumerate(said) if one.why}
    value = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    return Manifest(value, tuple(head), comments, tuple(tail))


def admin_policy(
    name: str,
    priority: int,
    subject: Mapping[str, object],
    *,
    egress: Iterable[Mapping[str, object]],
    ingress: Iterable[Mapping[str, object]] = (),
    head: Sequence[str],
) -> Manifest:
    """A ClusterNetworkPolicy of the Admin tier: the one kind of policy that can deny what others allow."""
    spec: dict[str, object] = {"tier": "Admin", "priority": priority, "subject": subject, "egress": list(egress)}
    inward = list(ingress)
    if inward:
        spec["ingress"] = inward
    value: dict[str, object] = {
        "apiVersion": "policy.networking.k8s.io/v1alpha2",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }
    return Manifest(value, (*head, ADMIN_NEEDS))


def named_namespace(name: str) -> dict[str, object]:
    """The selector of one namespace. The label is set by the API server and cannot be forged or forgotten."""
    return {"matchLabels": {NAME_LABEL: name}}
