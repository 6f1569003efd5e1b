"""Recipes that close: default-deny-egress, default-deny-all, quarantine.

A default deny without DNS is the most frequent outage that policies cause, so DNS comes with it, as a policy of its own
that can be seen and taken away. A quarantine is another thing: nothing is to be reached, names included.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.survey import Survey, some
from outgate.model import Direction, NetworkPolicy
from outgate.model.labels import LabelSelector, Operator
from outgate.recipes.policies import admin_policy, named_namespace, network_policy, subject
from outgate.recipes.recipe import Asked, Manifest, Scaffold
from outgate.recipes.resolving import dns_notes, dns_policy
from outgate.recipes.selecting import exact_labels, selector_of

__all__ = ["QUARANTINE", "default_deny_all", "default_deny_egress", "quarantine"]

QUARANTINE = exact_labels([("outgate.dev/quarantine", "true")])
"""Whom a quarantine selects unless told otherwise."""

_PLATFORM = ("kube-system", "openshift-dns")
_BESIDE = "-allow-dns"


def default_deny_egress(asked: Asked) -> Scaffold:
    """Nothing leaves but questions to DNS; what else may leave is added by other policies."""
    head = (
        (
            "Nothing leaves these pods. Policies add up: each other policy that selects them adds what it allows, and "
            "none can take away. Replies to connections from outside are let out; what comes in is not limited here."
        ),
    )
    name = asked.name or "default-deny-egress"
    manifest = network_policy(asked, name, pods=subject(asked), egress=(), head=head)
    return Scaffold((manifest, _dns_beside(asked)), (*dns_notes(asked), *_platform(asked)))


def default_deny_all(asked: Asked) -> Scaffold:
    """Nothing leaves but questions to DNS, and nothing comes in."""
    head = (
        (
            "Nothing leaves these pods and nothing reaches them, from the same namespace either. Policies add up: each "
            "other policy that selects them adds what it allows. Their own node always reaches them (probes)."
        ),
    )
    name = asked.name or "default-deny-all"
    manifest = network_policy(asked, name, pods=subject(asked), egress=(), ingress=(), head=head)
    return Scaffold((manifest, _dns_beside(asked)), (*dns_notes(asked), *_platform(asked)))


def _dns_beside(asked: Asked) -> Manifest:
    return dns_policy(asked, f"{asked.name}{_BESIDE}" if asked.name else "allow-dns", subject(asked))


def _platform(asked: Asked) -> Iterator[str]:
    if asked.home in _PLATFORM:
        yield f"{asked.home} has components of the cluster itself: a deny there cuts CoreDNS off from its upstream"


def quarantine(asked: Asked) -> Scaffold:
    """Nothing in, nothing out, no names either, for the pods that carry a label."""
    pods = subject(asked) if asked.selector else QUARANTINE
    how = f"kubectl label pod NAME --overwrite {_as_arguments(pods)}"
    if asked.admin_tier:
        return Scaffold((_admin_quarantine(asked, pods, how),))
    opening = _opening(asked, pods)
    head: tuple[str, ...] = (
        (
            "Nothing in and nothing out for the pods that carry the label. Replies of connections that stand already "
            "may go on, as the network plugin has it; end them by restarting what is at the other end."
        ),
        f"  {how}",
        (
            "Policies add up, and this one takes nothing away: what another policy allows such a pod stays allowed. So "
            "take away the labels by which others select it (its workload then starts a pod in its place, and the "
            "Service no longer sends it anything), or use the form that denies: outgate new quarantine --admin-tier."
        ),
    )
    if opening:
        head = (*head, f"These policies would go on to open something: {some(opening, 9)}.")
    ignored = {
        "dns-egress-missing": "who is in quarantine is to reach nothing, DNS included",
        "selector-matches-nothing": "pods get the label on the day that they are cut off",
    }
    name = asked.name or "quarantine"
    manifest = network_policy(asked, name, pods=pods, egress=(), ingress=(), head=head, ignored=ignored)
    notes = [f"policies that would still open something to a pod in quarantine: {some(opening, 9)}"] if opening else []
    return Scaffold((manifest,), tuple(notes))


def _as_arguments(pods: LabelSelector) -> str:
    exact = [f"{one.key}={one.values[0]}" for one in pods.requirements if _is_exact(one.operator, one.values)]
    return " ".join(exact) or "KEY=VALUE"


def _is_exact(operator: Operator, values: tuple[str, ...]) -> bool:
    return operator is Operator.IN and len(values) == 1


def _opening(asked: Asked, pods: LabelSelector) -> list[NetworkPolicy]:
    """The policies of the input with rules, that select who has the labels of the quarantine and no others."""
    if asked.survey is None:
        return []
    bare = {one.key: one.values[0] for one in pods.requirements if one.values}
    carried = [bare, *_labels_there(asked.survey, asked.home, pods)]
    name = asked.name or "quarantine"
    return [
        one
        for one in asked.survey.snapshot.policies_by_namespace.get(asked.home, ())
        if one.name != name
        and any(one.rules(direction) for direction in Direction if direction in one.types)
        and any(one.pods.matches(labels) for labels in carried)
    ]


def _labels_there(survey: Survey, namespace: str, pods: LabelSelector) -> Iterator[dict[str, str]]:
    for pod in survey.snapshot.pods_by_namespace.get(namespace, ()):
        if pods.matches(pod.labels):
            yield dict(pod.labels)


def _admin_quarantine(asked: Asked, pods: LabelSelector, how: str) -> Manifest:
    meant: dict[str, object] = {"podSelector": selector_of(pods)}
    if asked.namespace:
        meant = {"namespaceSelector": named_namespace(asked.namespace), **meant}
    anybody: list[object] = [{"namespaces": {}}, {"networks": ["0.0.0.0/0", "::/0"]}]
    return admin_policy(
        asked.name or "quarantine",
        0,
        {"pods": meant},
        egress=[{"name": "nothing-out", "action": "Deny", "to": anybody}],
        # The API knows no addresses as senders: what comes from outside the cluster is denied by no rule of ingress.
        ingress=[{"name": "nothing-in", "action": "Deny", "from": [{"namespaces": {}}]}],
        head=(
            (
                "Nothing out, and nothing in from any pod, whatever other policies allow: the Admin tier is asked "
                "before them. Senders outside the cluster cannot be named in this API; take the pod out of its Service."
            ),
            f"  {how}",
        ),
    )
