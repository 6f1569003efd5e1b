"""Assertions at random, and what they say of one packet: read here straight from what is written, by the slow way.

Nothing of `outgate.analysis` is used: an end is asked whether it has an address, by looking at the manifests.
"""

from __future__ import annotations

import ipaddress
import random
from typing import Any

from outgate.packets import Address, Packet, Protocol
from outgate.testing import Manifest
from tests.laws.reference import Reference

__all__ = ["Meaning", "random_assertion", "random_destination"]

_PORTS: tuple[Any, ...] = (80, "79-81", "53/UDP", "UDP", "http", [443, "dns/UDP"], "web", [80, "80/SCTP"])
_BLOCKS = ("10.1.0.0/24", "10.1.0.8/29", "203.0.113.0/24", "0.0.0.0/0", "::/0", "fd00:1::/64", "192.168.50.0/24")


def random_assertion(chance: random.Random, manifests: list[Manifest]) -> dict[str, Any]:
    """One assertion as it would be written, about what a cluster has and what it may not have."""
    near, far = chance.choice((("from", "to"), ("to", "from")))
    verb = chance.choice(("allow", "deny", "only", "exactly"))
    written: dict[str, Any] = {near: _ends(chance, manifests)}
    if chance.random() < 0.4:
        written["port"] = chance.choice(_PORTS)
    entries = []
    for _ in range(chance.choice((1, 1, 2))):
        entry: dict[str, Any] = {far: _ends(chance, manifests)}
        if chance.random() < 0.4:
            entry["ports"] = chance.choice(_PORTS)
        entries.append(entry)
    written[verb] = entries
    if verb in ("only", "exactly") and chance.random() < 0.4:
        written["ignore"] = chance.choice(("dns", {"port": "80-90"}, [{far: _end(chance, manifests)}]))
    return written


def random_destination(chance: random.Random, manifests: list[Manifest]) -> dict[str, Any]:
    """One end, or two, and often a port name."""
    return {"to": _ends(chance, manifests), "port": chance.choice((*_PORTS, "http", "web", ["dns", "web/SCTP"]))}


def _ends(chance: random.Random, manifests: list[Manifest]) -> Any:
    return [_end(chance, manifests) for _ in range(2)] if chance.random() < 0.3 else _end(chance, manifests)


def _end(chance: random.Random, manifests: list[Manifest]) -> Any:
    live = [one for one in manifests if one["kind"] == "Pod" and one["status"]["phase"] == "Running"]
    pods = [f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in live] or ["alpha/nobody"]
    match chance.choice(("pod", "pod", "space", "labels", "block", "word", "address", "except")):
        case "pod":
            return chance.choice(pods)
        case "space":
            return chance.choice(("alpha/*", "beta/*", {"namespace": "alpha"}, {"namespaceLabels": {"team": "red"}}))
        case "labels":
            some = [one["metadata"] for one in live if one["metadata"]["labels"]]
            mine: dict[str, Any] = chance.choice(some) if some else {"labels": {"app": "web"}, "namespace": "alpha"}
            wider = {key: [value, "web"] for key, value in mine["labels"].items()}
            space: dict[str, Any] = chance.choice(({}, {"namespace": mine["namespace"]}))
            return {**space, "labels": chance.choice((mine["labels"], wider))}
        case "block":
            return chance.choice(_BLOCKS)
        case "word":
            return chance.choice(("anywhere", "every pod", "every node"))
        case "address":
            return chance.choice(("203.0.113.20", "10.1.0.11", "fd00:1::b", "192.168.50.11", "2001:db8:1::20"))
    inner = chance.choice((chance.choice(pods), "alpha/*", "10.1.0.10/31", "192.168.50.11"))
    return {"any": chance.choice(("every pod", "anywhere", "10.0.0.0/8")), "except": inner}


class Meaning:
    """What one assertion says of packets, in one cluster."""

    def __init__(self, written: dict[str, Any], reference: Reference) -> None:
        self.written = written
        self.reference = reference
        self.outbound = "from" in written
        self.far = "to" if self.outbound else "from"
        self.verb = next(one for one in ("allow", "deny", "only", "exactly") if one in written)

    def reaches(self, entry: dict[str, Any], packet: Packet) -> bool:
        """Whether an entry of destinations and ports has the destination and the port of a packet."""
        pods = self._meant(entry["to"], packet.destination)
        return pods is not None and self._ports(entry["port"], packet, pods)

    def wants(self, packet: Packet) -> bool | None:
        """Whether the packet must be allowed (True), must be denied (False), or nothing is said of it (None)."""
        near, far = (packet.source, packet.destination)[:: 1 if self.outbound else -1]
        subject = self._meant(self.written["from" if self.outbound else "to"], near)
        if subject is None or not self.meets(packet):
            return None
        if any(self._entry(one, far, packet, subject) for one in _list(self.written.get("ignore", []))):
            return None
        if any(self._entry(one, far, packet, subject) for one in self.written[self.verb]):
            return {"allow": True, "deny": False, "only": None, "exactly": True}[self.verb]
        whole = self._ports(self.written.get("port"), packet, self._holders(far) if self.outbound else subject)
        return False if self.verb in ("only", "exactly") and whole and not _silent(far) else None

    def meets(self, packet: Packet) -> bool:
        """Whether any policy may stand between the two ends: one is a pod, they are not the same, nor node and pod."""
        if packet.source == packet.destination:
            return False
        source, destination = (self.pod(one) for one in (packet.source, packet.destination))
        if source is None and destination is None:
            return packet.source in self.nodes() or packet.destination in self.nodes()
        if source is not None and source is destination:
            return False
        return destination is None or packet.source not in self.reference._node_addresses(destination)

    def names(self, packet: Packet) -> bool:
        """Whether both ends are named one by one, as a pod or an address, in the subject and in an entry."""
        near, far = (packet.source, packet.destination)[:: 1 if self.outbound else -1]
        subject = _list(self.written["from" if self.outbound else "to"])
        others = [one for entry in self.written[self.verb] for one in _list(entry[self.far])]
        return all(
            any(_single(one) and self._has(one, address) for one in ends)
            for ends, address in ((subject, near), (others, far))
        )

    def nodes(self) -> set[Address]:
        """Every address of a node or of a pod on its network."""
        mine = {
            ipaddress.ip_address(one["address"])
            for node in self.reference.nodes.values()
            for one in node["status"]["addresses"]
        }
        host = (pod for pod in self._live() if pod["spec"].get("hostNetwork"))
        return mine | {one for pod in host for one in self.reference._addresses(pod)}

    def pod(self, address: Address) -> Any:
        """The pod that has an address of its own."""
        return self.reference._pod_at(address)

    def _live(self) -> list[Any]:
        return [one for one in self.reference.pods if one["status"]["phase"] not in ("Succeeded", "Failed")]

    def _entry(self, entry: Any, far: Address, packet: Packet, subject: list[Any]) -> bool:
        if entry == "dns":
            return packet.coordinate == 53 and packet.protocol in (Protocol.TCP, Protocol.UDP)
        ports = entry.get("ports", entry.get("port", self.written.get("port")))
        others = self._meant(entry.get(self.far, "anywhere"), far)
        return others is not None and self._ports(ports, packet, others if self.outbound else subject)

    def _has(self, end: Any, address: Address) -> bool:
        return self._meant(end, address) is not None

    def _meant(self, end: Any, address: Address) -> list[Any] | None:
        """The pods that an end means by an address: those it speaks of, or where it speaks of addresses, all there.

        None: it does not have the address.
        """
        holders = self._holders(address)
        if isinstance(end, list):
            found = [self._meant(one, address) for one in end]
            return [pod for some in found for pod in some or ()] if any(some is not None for some in found) else None
        if isinstance(end, dict):
            if "any" in end:
                return None if self._has(end["except"], address) else self._meant(end["any"], address)
            return [pod for pod in holders if self._labelled(end, pod)] or None
        if end == "every pod":
            return holders or None
        if end in ("anywhere", "every node") or _is_block(end):
            return holders if self._spans(end, address) else None
        space, _, name = end.partition("/")
        named = [pod for pod in holders if pod["metadata"]["namespace"] == space]
        return [pod for pod in named if name in ("*", pod["metadata"]["name"])] or None

    def _spans(self, end: str, address: Address) -> bool:
        """Whether a block or a word for addresses has one of them."""
        if end == "anywhere":
            return not _silent(address)
        if end == "every node":
            return any(
                str(address) == one["address"]
                for node in self.reference.nodes.values()
                for one in node["status"]["addresses"]
            )
        block = ipaddress.ip_network(end)
        return address in block and not (_silent(address) and block.num_addresses > 1)

    def _holders(self, address: Address) -> list[Any]:
        return [pod for pod in self._live() if address in self.reference._addresses(pod)]

    def _labelled(self, end: dict[str, Any], pod: Any) -> bool:
        space = pod["metadata"]["namespace"]
        if end.get("namespace", space) != space:
            return False
        around = self.reference._namespace_labels(space)
        wanted = [
            (end.get("namespaceLabels", {}), around),
            (end.get("labels", {}), pod["metadata"].get("labels") or {}),
        ]
        return all(
            labels.get(key) in (value if isinstance(value, list) else [value])
            for some, labels in wanted
            for key, value in some.items()
        )

    def _ports(self, ports: Any, packet: Packet, pods: list[Any]) -> bool:
        """Whether a packet is to one of some ports; `pods` are those that say what a name means at its destination."""
        if ports is None:
            return packet.protocol in (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
        return any(self._port(str(one), packet, pods) for one in _list(ports))

    def _port(self, text: str, packet: Packet, pods: list[Any]) -> bool:
        if text == "UDP":
            return packet.protocol == Protocol.UDP
        number, _, protocol = text.partition("/")
        name = Protocol(packet.protocol).name
        if number[0].isdigit():
            low, _, high = number.partition("-")
            return name == (protocol or "TCP") and int(low) <= packet.coordinate <= int(high or low)
        named = [
            (port["name"], port.get("protocol") or "TCP", port["containerPort"])
            for pod in pods
            for port in pod["spec"]["containers"][0]["ports"]
        ]
        return (number, name, packet.coordinate) in named and protocol in ("", name)


def _is_block(end: str) -> bool:
    return end[0].isdigit() or ":" in end


def _single(end: Any) -> bool:
    return isinstance(end, str) and not end.endswith("*") and ("/" not in end or not _is_block(end))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _silent(address: Address) -> bool:
    return address.is_loopback or address.is_multicast or address == ipaddress.ip_address("255.255.255.255")
