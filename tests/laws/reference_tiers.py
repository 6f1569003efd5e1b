"""The slow evaluator with policies of the whole cluster in it, on plain manifests, after semantics B1 and B3.

As `tests.laws.reference` it shares nothing with the product. ClusterNetworkPolicy alone: what the older kinds become is
asked in `tests/model`.

    Admin     policies that have the pod as subject, by priority; of each its first matching rule; of one priority the
              strictest of the answers. Accept and Deny end it, Pass leaves the tier
    then      NetworkPolicies, where any isolates the pod: final
    Baseline  as Admin; and what nobody says anything of is allowed
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tests.laws.reference import Address, Manifest, Reference, ended, inside, named_ports, selected

__all__ = ["Asked", "TieredReference"]

_SECTIONS = {"egress": "to", "ingress": "from"}
_STRICTEST = ("Deny", "Pass", "Accept")


class Asked(NamedTuple):
    """One packet in one direction: `section` is ``egress`` or ``ingress``, `address` that of the other end."""

    section: str
    pod: Manifest
    peer: Manifest | None
    target: Manifest | None
    address: Address
    protocol: str
    port: int


class TieredReference(Reference):
    """A cluster as manifests, policies of the whole cluster among them."""

    def __init__(self, manifests: Iterable[Manifest], stand_ins: Mapping[tuple[str, str], list[Address]]) -> None:
        many = list(manifests)
        super().__init__(many, stand_ins)
        self.above = [one["spec"] for one in many if one["kind"] == "ClusterNetworkPolicy"]

    def allows_egress(self, source: Address, destination: Address, protocol: str, port: int) -> bool:
        """Whether whoever has the source address may send this."""
        pod = self._pod_at(source)
        if pod is None or destination in self._addresses(pod) or destination.is_loopback:
            return True
        target = self._pod_at(destination)
        verdict = self._in_tiers(Asked("egress", pod, target, target, destination, protocol, port))
        return super().allows_egress(source, destination, protocol, port) if verdict is None else verdict

    def allows_ingress(self, source: Address, destination: Address, protocol: str, port: int) -> bool:
        """Whether whoever has the destination address may be sent this."""
        pod = self._pod_at(destination)
        if pod is None or source in self._addresses(pod) or source in self._node_addresses(pod):
            return True
        verdict = self._in_tiers(Asked("ingress", pod, self._pod_at(source), pod, source, protocol, port))
        return super().allows_ingress(source, destination, protocol, port) if verdict is None else verdict

    def _in_tiers(self, asked: Asked) -> bool | None:
        """What the tiers say; None where NetworkPolicies decide."""
        above = self._in_tier("Admin", asked)
        if above:
            return above == "Accept"
        if self._selecting(asked.pod, asked.section.title()):
            return None
        return self._in_tier("Baseline", asked) != "Deny"

    def _in_tier(self, tier: str, asked: Asked) -> str:
        """Accept or Deny, as one tier has it; nothing where it is silent, or passes the packet on."""
        mine = [one for one in self.above if one["tier"] == tier and self._is_subject(one["subject"], asked.pod)]
        for priority in sorted({one["priority"] for one in mine}):
            said = {self._first(one, asked) for one in mine if one["priority"] == priority}
            answer = next((action for action in _STRICTEST if action in said), "")
            if answer:
                return "" if answer == "Pass" else answer
        return ""

    def _first(self, spec: Manifest, asked: Asked) -> str:
        for rule in spec.get(asked.section) or []:
            meant = any(self._is_meant(one, asked.peer, asked.address) for one in rule[_SECTIONS[asked.section]])
            if meant and _passes(rule.get("protocols"), asked.target, asked.protocol, asked.port):
                return str(rule["action"])
        return ""

    def _is_subject(self, subject: Manifest, pod: Manifest) -> bool:
        return self._is_selected(subject, pod)

    def _is_selected(self, one: Manifest, pod: Manifest) -> bool:
        labels = self._namespace_labels(pod["metadata"]["namespace"])
        if "namespaces" in one:
            return selected(one["namespaces"], labels)
        pods = one["pods"]
        spaces = pods.get("namespaceSelector") or {}
        return selected(spaces, labels) and selected(pods["podSelector"], pod["metadata"].get("labels") or {})

    def _is_meant(self, peer: Manifest, pod: Manifest | None, address: Address) -> bool:
        if "networks" in peer:
            return any(inside(address, str(ipaddress.ip_network(one, strict=False))) for one in peer["networks"])
        if "nodes" in peer:
            return any(address in found for found in self._nodes(peer["nodes"]))
        # Who is on a host network, or has ended, is found by no address of a pod.
        return pod is not None and not ended(pod) and self._is_selected(peer, pod)

    def _nodes(self, selector: Manifest) -> Iterator[list[Address]]:
        for node in self.nodes.values():
            if selected(selector, node["metadata"].get("labels") or {}):
                yield [ipaddress.ip_address(one["address"]) for one in node["status"]["addresses"]]


def _passes(protocols: list[dict[str, Any]] | None, target: Manifest | None, protocol: str, port: int) -> bool:
    """Absent: anything, other protocols too. A name has the protocol that the container port has."""
    if not protocols:
        return True
    for entry in protocols:
        if "destinationNamedPort" in entry:
            wanted = (entry["destinationNamedPort"], protocol, port)
            if target is not None and wanted in named_ports(target):
                return True
            continue
        ((name, said),) = entry.items()
        where = said["destinationPort"]
        low, high = (where["number"],) * 2 if "number" in where else (where["range"]["start"], where["range"]["end"])
        if name.upper() == protocol and low <= port <= high:
            return True
    return False
