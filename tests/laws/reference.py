"""The slow, obvious evaluator: NetworkPolicy on plain manifests, word for word after the reference algorithm.

It shares nothing with the product: no import from `outgate`, no parsed objects, no sets of packets. It takes the
manifests as YAML gives them, with whatever is absent or null in them, and applies the two defaults that the API server
applies (a port's protocol, the policy types). What it adds to the algorithm is said by the same text:

* a pod always reaches itself, and loopback never leaves it;
* traffic from a pod's own node is always let in;
* a host-network pod is its node, to every rule and every selector;
* a pod that has ended is nobody, and its address may be somebody else's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Address", "Manifest", "Reference", "ended", "inside", "named_ports", "selected"]

Manifest = Mapping[str, Any]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def selected(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether a label selector, as written, matches labels: all requirements, with the API's truth table."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if key not in labels or labels[key] != value:
            return False
    for one in selector.get("matchExpressions") or []:
        key, operator, values = one["key"], one["operator"], one.get("values") or []
        has = key in labels
        holds = {
            "In": has and labels[key] in values,
            "NotIn": not has or labels[key] not in values,
            "Exists": has,
            "DoesNotExist": not has,
        }[operator]
        if not holds:
            return False
    return True


class Reference:
    """A cluster as manifests, ready to be asked about one packet at a time.

    `stand_ins` gives addresses to pods whose manifests have none, by namespace and name: which ones is no matter of
    policy.
    """

    def __init__(self, manifests: Iterable[Manifest], stand_ins: Mapping[tuple[str, str], list[Address]]) -> None:
        many = list(manifests)
        self.pods = [one for one in many if one["kind"] == "Pod"]
        self.policies = [one for one in many if one["kind"] == "NetworkPolicy"]
        self.nodes = {one["metadata"]["name"]: one for one in many if one["kind"] == "Node"}
        self.namespaces = {one["metadata"]["name"]: one for one in many if one["kind"] == "Namespace"}
        self.stand_ins = stand_ins

    def allows_egress(self, source: Address, destination: Address, protocol: str, port: int) -> bool:
        """Whether whoever has the source address may send this. Protocols are TCP, UDP, SCTP or any other word."""
        pod = self._pod_at(source)
        if pod is None or destination in self._addresses(pod) or destination.is_loopback:
            return True
        policies = self._selecting(pod, "Egress")
        if not policies:
            return True
        target = self._pod_at(destination)
        return any(
            self._ports_match(rule, target, protocol, port)
            and self._peers_match(rule.get("to"), policy, target, destination)
            for policy in policies
            for rule in policy["spec"].get("egress") or []
        )

    def allows_ingress(self, source: Address, destination: Address, protocol: str, port: int) -> bool:
        """Whether whoever has the destination address may be sent this."""
        pod = self._pod_at(destination)
        if pod is None or source in self._addresses(pod) or source in self._node_addresses(pod):
            return True
        policies = self._selecting(pod, "Ingress")
        if not policies:
            return True
        sender = self._pod_at(source)
        return any(
            self._ports_match(rule, pod, protocol, port) and self._peers_match(rule.get("from"), policy, sender, source)
            for policy in policies
            for rule in policy["spec"].get("ingress") or []
        )

    def _pod_at(self, address: Address) -> Manifest | None:
        for pod in self.pods:
            if not ended(pod) and not pod["spec"].get("hostNetwork") and address in self._addresses(pod):
                return pod
        return None

    def _addresses(self, pod: Manifest) -> list[Address]:
        said = [ipaddress.ip_address(one["ip"]) for one in (pod.get("status") or {}).get("podIPs") or []]
        return said or self.stand_ins.get((pod["metadata"]["namespace"], pod["metadata"]["name"]), [])

    def _node_addresses(self, pod: Manifest) -> list[Address]:
        """Of the node that a pod runs on: what the Node says, and what its host-network pods say."""
        name = pod["spec"].get("nodeName")
        found: list[Address] = []
        if name in self.nodes:
            said = self.nodes[name]["status"]["addresses"]
            found = [ipaddress.ip_address(one["address"]) for one in said]
        for other in self.pods:
            there = other["spec"].get("hostNetwork") and name and other["spec"].get("nodeName") == name
            if there and not ended(other):
                found += self._addresses(other)
        return found

    def _namespace_labels(self, name: str) -> Mapping[str, str]:
        labels = self.namespaces.get(name, {"metadata": {}})["metadata"].get("labels") or {}
        return {**labels, "kubernetes.io/metadata.name": name}

    def _selecting(self, pod: Manifest, kind: str) -> list[Manifest]:
        return [
            policy
            for policy in self.policies
            if policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
            and selected(policy["spec"].get("podSelector") or {}, pod["metadata"].get("labels") or {})
            and kind in _types(policy["spec"])
        ]

    def _ports_match(self, rule: Manifest, target: Manifest | None, protocol: str, port: int) -> bool:
        entries = rule.get("ports")
        if not entries:
            return True
        for entry in entries:
            if protocol != (entry.get("protocol") or "TCP"):
                continue
            wanted = entry.get("port")
            if wanted is None:
                return True
            if isinstance(wanted, str):
                if target is not None and (wanted, protocol, port) in named_ports(target):
                    return True
            elif wanted <= port <= (entry.get("endPort") or wanted):
                return True
        return False

    def _peers_match(
        self, peers: list[Manifest] | None, policy: Manifest, other: Manifest | None, address: Address
    ) -> bool:
        if not peers:
            return True
        for peer in peers:
            block = peer.get("ipBlock")
            if block is not None:
                if inside(address, block["cidr"]) and not any(inside(address, e) for e in block.get("except") or []):
                    return True
            elif other is not None and self._selects(peer, policy, other):
                return True
        return False

    def _selects(self, peer: Manifest, policy: Manifest, pod: Manifest) -> bool:
        spaces, pods = peer.get("namespaceSelector"), peer.get("podSelector")
        space = pod["metadata"]["namespace"]
        if spaces is None and space != policy["metadata"]["namespace"]:
            return False
        if spaces is not None and not selected(spaces, self._namespace_labels(space)):
            return False
        return pods is None or selected(pods, pod["metadata"].get("labels") or {})


def ended(pod: Manifest) -> bool:
    """Whether a pod has ended, and is nobody."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _types(spec: Manifest) -> list[str]:
    """``if len(policyTypes)==0: policyTypes=[Ingress]; if len(egress)!=0: append Egress``."""
    written = spec.get("policyTypes")
    if written:
        return list(written)
    return ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def named_ports(pod: Manifest) -> list[tuple[str, str, int]]:
    """Name, protocol and number of each container port that has a name."""
    return [
        (port["name"], port.get("protocol") or "TCP", port["containerPort"])
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or []
        if port.get("name")
    ]


def inside(address: Address, cidr: str) -> bool:
    """Whether an address is in a block."""
    return address in ipaddress.ip_network(cidr)
