"""Who talks: pods, nodes, and addresses outside.

An `Endpoint` is one end of one flow: an address, and what the cluster knows of it. The same address is
a pod's or a node's only while the snapshot says so.
"""

from __future__ import annotations

from outgate.model import Node, Pod, Snapshot
from outgate.packets import Address, AddressSet
from outgate.records import dataclass

__all__ = ["LOOPBACK", "TO_MANY", "Endpoint"]

LOOPBACK = AddressSet.network("127.0.0.0/8") | AddressSet.network("::1/128")
"""Addresses that never leave the pod (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3)."""

TO_MANY = AddressSet.union_of(map(AddressSet.network, ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8")))
"""Multicast, and broadcast on the link, of which the NetworkPolicy API does not speak."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a flow. `pod` and `node` are both None for an address outside the cluster."""

    address: Address
    pod: Pod | None = None
    node: Node | None = None

    @classmethod
    def at(cls, snapshot: Snapshot, address: Address) -> Endpoint:
        """Whoever holds an address now.

        A node's address stays the node's, also where host-network pods share it: which of them
        listens is not the network's to know.
        """
        node = snapshot.node_of(address)
        holders = snapshot.owners_of(address)
        if node is not None and not any(not pod.host_network for pod in holders):
            return cls(address, None, node)
        return cls(address, holders[0] if holders else None, node)

    @classmethod
    def of_pod(cls, pod: Pod, family: int = 4) -> Endpoint | None:
        """A pod by its address of one family; None where it has none."""
        address = next((one for one in pod.addresses if one.version == family), None)
        return None if address is None else cls(address, pod)

    @classmethod
    def of_node(cls, node: Node, family: int = 4) -> Endpoint | None:
        """A node by its address of one family; None where it has none."""
        address = next((one for one in node.addresses if one.version == family), None)
        return None if address is None else cls(address, None, node)

    @property
    def isolatable(self) -> bool:
        """Whether NetworkPolicies can select this end: a pod with an address of its own."""
        return self.pod is not None and not self.pod.host_network

    @property
    def on_node(self) -> bool:
        """Whether the address is a node's: of its own, or of a pod on its network."""
        return self.node is not None if self.pod is None else self.pod.host_network

    def __str__(self) -> str:
        if self.pod is not None:
            return str(self.pod)
        return f"node {self.node.name}" if self.node is not None else str(self.address)
