"""Asking one check about a few manifests."""

from __future__ import annotations

from typing import Any

from outgate.checks import Finding, Survey, load
from outgate.policy.profile import OUTGATE, Profile
from outgate.testing import Manifest, namespace, pod, policy, service, snapshot_of
from outgate.testing_cilium import cilium_policy

__all__ = [
    "COREDNS",
    "DNS_PORTS",
    "KUBE_DNS",
    "TO_DNS",
    "ask",
    "block",
    "cilium",
    "deny",
    "egress",
    "entry",
    "net",
    "one",
    "pods",
    "spaces",
    "to",
    "within",
    "words",
]

DNS_PORTS = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
TO_DNS = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": DNS_PORTS,
}
KUBE_DNS = service(
    "kube-system/kube-dns",
    "10.96.0.10",
    [{"name": "dns", "protocol": "UDP", "port": 53}, {"name": "dns-tcp", "protocol": "TCP", "port": 53}],
    **{"k8s-app": "kube-dns"},
)
COREDNS = pod("kube-system/coredns", ["10.244.0.5"], labels={"k8s-app": "kube-dns"})


def ask(rule: str, *cluster: Manifest, profile: Profile = OUTGATE) -> list[Finding]:
    """What one check finds."""
    return list(load(rule).find(Survey(snapshot_of(cluster), profile)))


def one(rule: str, *cluster: Manifest, profile: Profile = OUTGATE) -> Finding:
    """The one thing that a check finds."""
    (found,) = ask(rule, *cluster, profile=profile)
    return found


def words(rule: str, *cluster: Manifest, profile: Profile = OUTGATE) -> list[str]:
    """The sentences of what a check finds."""
    return [finding.message for finding in ask(rule, *cluster, profile=profile)]


def egress(path: str, *rules: dict[str, Any], types: bool = True, **labels: str) -> Manifest:
    """A policy with these egress rules for pods with these labels (all, where none are given)."""
    spec: dict[str, Any] = {"podSelector": {"matchLabels": labels} if labels else {}, "egress": list(rules)}
    return policy(path, spec | ({"policyTypes": ["Egress"]} if types else {}))


def deny(path: str = "shop/default-deny") -> Manifest:
    """A default deny of egress."""
    return policy(path, {"podSelector": {}, "policyTypes": ["Egress"]})


def to(*peers: dict[str, Any], ports: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """An egress rule."""
    return {"to": list(peers), **({"ports": ports} if ports is not None else {})}


def block(cidr: str, *excepts: str) -> dict[str, Any]:
    """A peer by addresses."""
    return {"ipBlock": {"cidr": cidr, **({"except": list(excepts)} if excepts else {})}}


def pods(**labels: str) -> dict[str, Any]:
    """A peer by labels, in the policy's own namespace."""
    return {"podSelector": {"matchLabels": labels}}


def within(name: str, **labels: str) -> dict[str, Any]:
    """A peer by the name of its namespace, and labels."""
    found: dict[str, Any] = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
    return found | (pods(**labels) if labels else {})


def cilium(
    path: str, *rules: dict[str, Any], denied: tuple[dict[str, Any], ...] = (), side: str = "egress", **labels: str
) -> Manifest:
    """A policy of Cilium's with these rules for pods with these labels (all, where none are given)."""
    spec: dict[str, Any] = {"endpointSelector": {"matchLabels": labels} if labels else {}}
    spec |= {key: list(many) for key, many in ((side, rules), (f"{side}Deny", denied)) if many}
    return cilium_policy(path, spec)


def entry(port: int | str, protocol: str = "TCP", **more: object) -> dict[str, Any]:
    """``toPorts`` with one port, and perhaps ``rules`` or ``serverNames``."""
    return {"toPorts": [{"ports": [{"port": str(port), "protocol": protocol}], **more}]}


def net(action: str, *cidrs: str, **more: object) -> dict[str, Any]:
    """An egress rule of a policy of the whole cluster, for blocks."""
    return {"action": action, "to": [{"networks": list(cidrs)}], **more}


def spaces(*names: str) -> list[Manifest]:
    """Namespaces."""
    return [namespace(name) for name in names]
