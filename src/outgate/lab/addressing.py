"""Gives an address to everything that needs one, and a node to every pod.

Pure and deterministic: the same snapshot gives the same lab. What the input says is kept; only the gaps
are filled, from blocks that nothing in the input names. That matters: a pod without an address must not fall
into an ``ipBlock`` by the lab's choice of a number, so that blocks that name real networks do not
cover it, exactly as for the stand-ins of `Snapshot`; and a block that covers everything does.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from outgate.errors import InputError, InvalidInput
from outgate.model import BlockPeer, Node, Place, Pod, Service, Snapshot
from outgate.model.objects import Address, Network

__all__ = ["GATEWAYS", "INVENTED_NODES", "address"]

GATEWAYS: tuple[Address, ...] = tuple(map(ipaddress.ip_address, ("169.254.1.1", "169.254.1.2", "fe80::1", "fe80::2")))
"""Addresses of the lab's own wires. 169.254.1.1 is the gateway that Calico gives to its pods."""

INVENTED_NODES = ("lab-node-1", "lab-node-2")
"""Where the input names no node: two, so that traffic between nodes is seen as well."""

_Blocks = Mapping[int, tuple[str, ...]]
_POD_BLOCKS: _Blocks = {
    4: ("10.244.0.0/16", "10.128.0.0/9", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15"),
    6: ("fd00:10:244::/48", "fd80::/16", "2001:db8:244::/48"),
}
_NODE_BLOCKS: _Blocks = {
    4: ("172.18.0.0/16", "192.168.0.0/16", "10.0.0.0/9", "100.64.0.0/10", "198.18.0.0/15"),
    6: ("fd00:172:18::/48", "fd81::/16", "2001:db8:172::/48"),
}
_SERVICE_BLOCKS: _Blocks = {
    4: ("10.96.0.0/16", "172.20.0.0/16", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15"),
    6: ("fd00:10:96::/48", "fd82::/16", "2001:db8:96::/48"),
}
"""Tried in order. The first of each is what kubeadm and kind use."""

_LAST_RESORT: Mapping[int, Network] = {
    4: ipaddress.IPv4Network("240.0.0.0/4"),
    6: ipaddress.IPv6Network("100::/64"),
}
"""Blocks that no network routes (RFC 1112, RFC 6666): what is left where the input names all others."""

_SLICE = {4: 24, 6: 64}
"""Prefix length of one invented block: a node's pods, all nodes, or all services."""


def address(snapshot: Snapshot) -> Snapshot:
    """The same cluster with every gap filled: each endpoint has a node and an address, each node and each service too.

    Pods go to the node they name, else to the node whose pod block holds their address, else in turn to the nodes that are
    in use. A pod on the host network has the addresses of its node. Finished pods are passed over.

    Raises:
        InvalidInput: two holders of one address, or an address that no pod can have; all of them, located.
    """
    _refuse(_unusable(snapshot))
    pods = tuple(_placed(snapshot))
    taken = _Taken.of(snapshot)
    nodes = dict(_with_node_addresses(snapshot, pods, taken))
    filled = tuple(_with_pod_addresses(pods, nodes, taken))
    services = tuple(_with_service_addresses(snapshot.services, taken))
    done = dataclasses.replace(snapshot, pods=_among(snapshot.pods, filled), nodes=nodes, services=services)
    _refuse(_collisions(done))
    return done


@dataclass(slots=True)
class _Taken:
    """What the input names, and what has been given out since."""

    addresses: set[Address] = field(default_factory=set)
    networks: set[Network] = field(default_factory=set)

    @classmethod
    def of(cls, snapshot: Snapshot) -> _Taken:
        taken = cls(set(GATEWAYS))
        taken.addresses.update(one for pod in snapshot.endpoints if pod.addressed for one in pod.addresses)
        taken.addresses.update(one for node in snapshot.nodes.values() for one in node.addresses)
        for service in snapshot.services:
            taken.addresses.update((*service.cluster_ips, *service.external_ips))
        taken.addresses.update(
            one for slice_ in snapshot.slices for endpoint in slice_.endpoints for one in endpoint.addresses
        )
        taken.networks.update(block for node in snapshot.nodes.values() for block in node.pod_cidrs)
        for policy in snapshot.policies:
            for peer in (peer for rule in (*policy.egress, *policy.ingress) for peer in rule.peers):
                if isinstance(peer, BlockPeer):
                    # A block that covers everything covers every choice: it rules none out.
                    taken.networks.update(one for one in (peer.cidr, *peer.excepts) if one.prefixlen)
        return taken

    def block(self, blocks: _Blocks, version: int) -> Network:
        """A block that meets nothing known, and that is from now on known itself."""
        candidates = chain.from_iterable(_slices(text, _SLICE[version]) for text in blocks[version])
        for candidate in chain(candidates, _LAST_RESORT[version].subnets(new_prefix=max(_SLICE[version], 64 * (version == 6)))):
            if self._is_free(candidate):
                self.networks.add(candidate)
                return candidate
        return _LAST_RESORT[version]

    def _is_free(self, candidate: Network) -> bool:
        same = (one for one in self.networks if one.version == candidate.version)
        return not any(map(candidate.overlaps, same)) and not any(one in candidate for one in self.addresses)

    def next(self, block: Network) -> Address | None:
        """The first address of a block that nobody holds: not its network address, not its last."""
        hosts = block.num_addresses
        for offset in range(1, min(hosts - 1, len(self.addresses) + 2)):
            one = block[offset]
            if one not in self.addresses:
                self.addresses.add(one)
                return one
        return None
