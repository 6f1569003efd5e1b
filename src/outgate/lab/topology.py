"""The boxes and wires of a lab, as data.

    ┌ pod ┐        ┌──────── node ────────┐        ┌──── world ────┐
    │ eth0│────────│ogp0              up0 │────────│w0             │
    └─────┘  veth  │ogp1 ...   (rules)    │  veth  │w1 ...  answers│
                   └──────────────────────┘        │  on the rest  │
                                                   └───────────────┘

Each box is a network namespace. Pods are routed, not bridged: every packet of a pod crosses the
forward path of its node, also to the pod next door. A pod on the host network has no box of its own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from outgate.model import Pod, Snapshot
from outgate.model.objects import Address

__all__ = ["POD_INTERFACE_PREFIX", "NodeBox", "PodBox", "Topology", "WorldBox"]

POD_INTERFACE_PREFIX = "ogp"
"""Begins the name of each pod's interface on its node, and of nothing else there."""

POD_INTERFACE = "eth0"
UPLINK = "up0"

IDLE_NODES = 8
"""Nodes without pods that are built: a node is a namespace and a link, and one that does nothing shows nothing."""


@dataclass(frozen=True, slots=True)
class PodBox:
    """Where a pod's sockets live."""

    pod: Pod
    namespace: str
    """The network namespace: the pod's own, or its node's where the pod is on the host network."""
    interface: str
    """Its interface on the node's side; empty on the host network."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The pod's addresses."""
        return self.pod.addresses

    @property
    def node(self) -> str:
        """The name of its node."""
        return self.pod.node


@dataclass(frozen=True, slots=True)
class NodeBox:
    """A node: routes between its pods and the world, translates services, and enforces."""

    name: str
    namespace: str
    addresses: tuple[Address, ...]
    link: str
    """The world's interface to this node; the node's own is ``up0``."""
    pods: tuple[PodBox, ...]
    """The pods with a box of their own on this node."""


@dataclass(frozen=True, slots=True)
class WorldBox:
    """Everything outside the cluster: it answers on every address that is not a pod's or a node's."""

    namespace: str
    addresses: tuple[Address, ...]
    """What it sends from where nobody says otherwise."""


@dataclass(frozen=True)
class Topology:
    """All boxes. Make it with `of`, from a snapshot in which everything has its address (`addressing.address`)."""

    nodes: Mapping[str, NodeBox]
    pods: Mapping[tuple[str, str], PodBox]
    """By namespace and name."""
    world: WorldBox
    idle: tuple[str, ...] = ()
    """Nodes without pods that are left out."""

    @classmethod
    def of(cls, snapshot: Snapshot) -> Topology:
        """The boxes for a snapshot's endpoints, numbered in the order of their names."""
        used = {pod.node for pod in snapshot.endpoints}
        idle = [name for name in snapshot.nodes if name not in used]
        names = [name for name in snapshot.nodes if name in used or name in idle[:IDLE_NODES]]
        spaces = {name: f"node{number}" for number, name in enumerate(names)}
        pods = {
            pod.key: PodBox(pod, spaces[pod.node], "")
            if pod.host_network
            else PodBox(pod, f"pod{number}", f"{POD_INTERFACE_PREFIX}{number}")
            for number, pod in enumerate(snapshot.endpoints)
        }
        nodes = {
            name: NodeBox(
                name,
                spaces[name],
                snapshot.nodes[name].addresses,
                f"w{number}",
                tuple(box for box in pods.values() if box.node == name and box.interface),
            )
            for number, name in enumerate(names)
        }
        return cls(nodes, pods, WorldBox("world", _world_addresses(snapshot)), tuple(idle[IDLE_NODES:]))

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The names of all network namespaces, the world's first."""
        own = (box.namespace for box in self.pods.values() if box.interface)
        return self.world.namespace, *(box.namespace for box in self.nodes.values()), *own

    def describe(self) -> dict[str, object]:
        """The `topology` part of a LabReport."""
        return {
            "nodes": [{"name": box.name, "addresses": list(map(str, box.addresses))} for box in self.nodes.values()],
            "pods": [
                {
                    "namespace": box.pod.namespace,
                    "name": box.pod.name,
                    "node": box.node,
                    "addresses": list(map(str, box.addresses)),
                    "hostNetwork": box.pod.host_network,
                }
                for box in self.pods.values()
            ],
            "idleNodes": list(self.idle),
        }


def _world_addresses(snapshot: Snapshot) -> tuple[Address, ...]:
    """One of each family, from the blocks for documentation (RFC 5737, RFC 3849), that nothing else holds."""
    held = {one for pod in snapshot.endpoints for one in pod.addresses}
    held.update(one for node in snapshot.nodes.values() for one in node.addresses)
    pools: Iterable[str] = ("192.0.2.0/24", "2001:db8:ffff::/120")
    return tuple(next(one for one in ipaddress.ip_network(pool).hosts() if one not in held) for pool in pools)
