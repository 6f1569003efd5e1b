"""Packets that matter to a cluster: between the ends, and at the ports, that its rules and pods make a difference of.

A packet drawn at random from all packets tests nothing, since nearly all of them meet the same default. Two of three
packets here are aimed at one rule: a subject of its namespace, one of its peers or an address on the border of its
block, one of its ports or the port beside it, or what a port name means on this pod or on another. The others
go anywhere.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator

from outgate.lab.ports import named_entries
from outgate.model import AnyRule, BlockPeer, Direction, Pod, PodPeer, PolicyPort, Snapshot
from outgate.model.cilium import EndpointPeer, ServicePeer
from outgate.packets import Address, Packet, Protocol
from outgate.packets.addresses import Network, address_of

__all__ = ["Traffic"]

_OUTSIDE = ("203.0.113.20", "198.51.100.7", "169.254.169.254", "2001:db8:1::20", "2001:db8:ffff::1")
_NODES = ("192.168.50.11", "192.168.50.12", "fd00:50::11", "fd00:50::12")
_OTHER = {"TCP": "UDP", "UDP": "SCTP", "SCTP": "TCP"}
_ANYTHING = (("TCP", 80), ("UDP", 53), ("SCTP", 80), ("TCP", 0), ("UDP", 65535))
_PORTLESS = (
    *((int(Protocol.ICMP), 8 * 256), (int(Protocol.ICMP), 3), (int(Protocol.ICMPV6), 128 * 256)),
    (47, 0),
)


class Traffic:
    """A source of packets for one cluster; the same seed gives the same packets."""

    def __init__(self, snapshot: Snapshot, seed: int) -> None:
        self.chance = random.Random(seed)
        self.pods = [pod for pod in snapshot.endpoints if not pod.host_network and pod.addresses]
        self.rules = [
            (policy.namespace, direction, rule)
            for policy in snapshot.every_policy
            for direction in Direction
            for rule in policy.rules(direction)
        ]
        self.ends = [ipaddress.ip_address(one) for one in (*_OUTSIDE, *_NODES)]
        self.ends += dict.fromkeys(address for pod in snapshot.pods for address in pod.addresses)
        self.ports = [(port.name, port.protocol, port.port) for pod in snapshot.pods for port in pod.ports]

    def packets(self, count: int) -> Iterator[Packet]:
        """That many packets; none where the cluster has no pod with a network of its own."""
        for _ in range(count if self.pods else 0):
            if self.rules and self.chance.random() < 0.67:
                yield self._aimed(*self.chance.choice(self.rules))
            else:
                here, there = self.chance.choice(self.pods), self.chance.choice(self.ends)
                yield self._between(here, there, self.chance.choice(list(Direction)), self._point(()))

    def _aimed(self, namespace: str, direction: Direction, rule: AnyRule) -> Packet:
        subjects = [pod for pod in self.pods if pod.namespace == namespace] or self.pods
        peer = self.chance.choice(rule.peers) if rule.peers else None
        if isinstance(peer, BlockPeer):
            there = self._border(self.chance.choice((peer.cidr, peer.cidr, *peer.excepts)))
        elif isinstance(peer, PodPeer | EndpointPeer | ServicePeer):
            there = self.chance.choice(self.chance.choice(self.pods).addresses)
        else:
            there = self.chance.choice(self.ends)
        return self._between(self.chance.choice(subjects), there, direction, self._point(tuple(named_entries(rule))))

    def _between(self, pod: Pod, there: Address, direction: Direction, point: tuple[int, int]) -> Packet:
        """A packet of a family that the pod has, and the other end too as far as can be."""
        mine = [one for one in pod.addresses if one.version == there.version]
        if not mine:
            mine = list(pod.addresses)
            there = self.chance.choice([one for one in self.ends if one.version == mine[0].version])
        here = next(one for one in mine if one.version == there.version)
        source, destination = (here, there)[:: 1 if direction is Direction.EGRESS else -1]
        return Packet(source, destination, *point)

    def _border(self, block: Network) -> Address:
        low, high = int(block.network_address), int(block.broadcast_address)
        value = self.chance.choice((low - 1, low, high, high + 1))
        return address_of(block.version, value % (1 << block.max_prefixlen))

    def _point(self, entries: tuple[PolicyPort, ...]) -> tuple[int, int]:
        """A protocol and a port that an entry names, or nearly; without entries, what anybody might send."""
        if self.chance.random() < 0.1:
            return self.chance.choice(_PORTLESS)
        if not entries:
            mentioned = [(protocol, number) for _, protocol, number in self.ports]
            name, port = self.chance.choice((*_ANYTHING, *mentioned))
        else:
            entry = self.chance.choice(entries)
            name, port = entry.protocol or self.chance.choice(tuple(_OTHER)), self._number(entry)
        if self.chance.random() < 0.2:
            name = _OTHER[name]
        return int(Protocol[name]), port

    def _number(self, entry: PolicyPort) -> int:
        if isinstance(entry.port, str):
            return self.chance.choice([number for name, _, number in self.ports if name == entry.port] or [80])
        if entry.port is None:
            return self.chance.choice((0, 53, 80, 65535))
        end = entry.end_port or entry.port
        return self.chance.choice((entry.port - 1, entry.port, end, min(end + 1, 65535)))
