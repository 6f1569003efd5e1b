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
from itertools import chain, cycle

from outgate.errors import InputError, InvalidInput, TooComplex
from outgate.model import BlockPeer, Direction, Node, Place, Pod, Service, Snapshot
from outgate.model.objects import Address, Network
from outgate.model.place import complaint

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

_LAST_RESORT: Mapping[int, str] = {4: "240.0.0.0/4", 6: "100::/64"}
"""Blocks that no network routes (RFC 1112, RFC 6666): what is left where the input names all others."""

_BLOCK_BITS = {4: 8, 6: 64}
"""Host bits of one invented block: a node's pods, all nodes, or all services."""

_PER_BLOCK = 65_000
"""Addresses that are tried in one block: a node has 110 pods (kubelet's default), an IPv6 block has no end."""


def address(snapshot: Snapshot) -> Snapshot:
    """The same cluster with every gap filled: endpoints have a node and addresses, nodes and services addresses.

    Pods go to the node they name, else to the node that their address points to, else in turn to the nodes in
    use. A pod on the host network has the addresses of its node. Finished pods are passed over.

    Raises:
        InvalidInput: two holders of one address, or an address that nobody can hold; all of them, located.
    """
    _refuse(_unusable(snapshot))
    taken = _Taken.of(snapshot)
    placed = tuple(_placed(snapshot))
    nodes = {node.name: node for node in _addressed_nodes(snapshot, placed, taken)}
    pods = {pod.key: pod for pod in _addressed_pods(placed, nodes, taken)}
    done = dataclasses.replace(
        snapshot,
        pods=tuple(pods.get(pod.key, pod) for pod in snapshot.pods),
        nodes=nodes,
        services=tuple(_addressed_services(snapshot.services, taken)),
    )
    _refuse(_collisions(done))
    return done


@dataclass(slots=True)
class _Taken:
    """What the input names, and what has been given out since."""

    addresses: set[Address] = field(default_factory=set)
    networks: set[Network] = field(default_factory=set)

    @classmethod
    def of(cls, snapshot: Snapshot) -> _Taken:
        nodes = snapshot.nodes.values()
        ends = (end for one in snapshot.slices for end in one.endpoints)
        return cls(
            addresses={
                *GATEWAYS,
                *(one for pod in snapshot.endpoints if pod.addressed for one in pod.addresses),
                *(one for node in nodes for one in node.addresses),
                *(one for service in snapshot.services for one in (*service.cluster_ips, *service.external_ips)),
                *(one for end in ends for one in end.addresses),
            },
            networks={*(block for node in nodes for block in node.pod_cidrs), *_policy_blocks(snapshot)},
        )

    def give(self, blocks: _Blocks, version: int, given: Iterable[Network] = ()) -> Iterator[Address]:
        """Addresses that nobody holds, without end: from the `given` blocks, then from invented ones."""
        for block in chain((one for one in given if one.version == version), self._invented(blocks, version)):
            for offset in range(1, min(block.num_addresses - 1, _PER_BLOCK)):
                if (one := block[offset]) not in self.addresses:
                    self.addresses.add(one)
                    yield one

    def _invented(self, blocks: _Blocks, version: int) -> Iterator[Network]:
        pools = tuple(map(ipaddress.ip_network, (*blocks[version], _LAST_RESORT[version])))
        bits = _BLOCK_BITS[version]
        while True:
            names = sorted((int(one[0]), int(one[-1])) for one in self.networks if one.version == version)
            holders = sorted((int(one), int(one)) for one in self.addresses if one.version == version)
            # Where policies name the whole address space in pieces, only held addresses are stepped around.
            found = _gap(pools, bits, sorted((*names, *holders))) or _gap(pools, bits, holders)
            if found is None:
                raise TooComplex(f"no IPv{version} block is left for the addresses that the lab has to invent")
            self.networks.add(found)
            yield found


def _policy_blocks(snapshot: Snapshot) -> Iterator[Network]:
    """What policies name. A block that covers everything covers every choice, so it rules none out."""
    for policy in snapshot.every_policy:
        for peer in (peer for way in Direction for rule in policy.rules(way) for peer in rule.peers or ()):
            if isinstance(peer, BlockPeer):
                yield from (one for one in (peer.cidr, *peer.excepts) if one.prefixlen)


def _gap(pools: Iterable[Network], wanted: int, taken: Sequence[tuple[int, int]]) -> Network | None:
    """The first aligned block of `wanted` host bits in the pools that meets no taken range (sorted).

    A pool is cut into 256 at least, so that one small pool still serves many nodes.
    """
    for pool in pools:
        start, bits = int(pool[0]), min(wanted, pool.max_prefixlen - pool.prefixlen - 8)
        for low, high in taken:
            if high < start:
                continue
            if low >> bits > start >> bits:
                break
            start = ((high >> bits) + 1) << bits
        if start <= int(pool[-1]):
            # By value and prefix, for an integer alone would be read as IPv4 where it is small.
            kind = ipaddress.IPv4Network if pool.version == 4 else ipaddress.IPv6Network
            return kind((start, pool.max_prefixlen - bits))
    return None


def _placed(snapshot: Snapshot) -> Iterator[Pod]:
    """The endpoints, each with a node."""
    used = sorted({pod.node for pod in snapshot.endpoints if pod.node})
    homes = cycle(used or tuple(snapshot.nodes)[: len(INVENTED_NODES)] or INVENTED_NODES)
    for pod in snapshot.endpoints:
        node = pod.node or _node_by_address(snapshot, pod) or next(homes)
        yield pod if node == pod.node else dataclasses.replace(pod, node=node)


def _node_by_address(snapshot: Snapshot, pod: Pod) -> str:
    """The node whose own address (host network) or pod block the pod's address is; empty where none is."""
    for one in pod.addresses if pod.addressed else ():
        for node in snapshot.nodes.values():
            if one in node.addresses if pod.host_network else any(one in block for block in node.pod_cidrs):
                return node.name
    return ""


def _addressed_nodes(snapshot: Snapshot, placed: Iterable[Pod], taken: _Taken) -> Iterator[Node]:
    """Every node of the input and of the pods. A pod on the host network tells addresses of its node."""
    told = {name: dict.fromkeys(node.addresses) for name, node in snapshot.nodes.items()}
    for pod in placed:
        known = told.setdefault(pod.node, {})
        if pod.host_network and pod.addressed:
            known.update(dict.fromkeys(pod.addresses))
    free = {version: taken.give(_NODE_BLOCKS, version) for version in (4, 6)}
    for name in sorted(told or INVENTED_NODES[:1]):
        addresses = tuple(told.get(name, ())) or (next(free[4]), next(free[6]))
        yield dataclasses.replace(snapshot.nodes.get(name, Node(name)), addresses=addresses)


def _addressed_pods(placed: Iterable[Pod], nodes: Mapping[str, Node], taken: _Taken) -> Iterator[Pod]:
    free: dict[tuple[str, int], Iterator[Address]] = {}
    for pod in placed:
        if pod.addressed and pod.addresses:
            yield pod
            continue
        node = nodes[pod.node]
        addresses: tuple[Address, ...]
        if pod.host_network:
            addresses = tuple({one.version: one for one in reversed(node.addresses)}.values())[::-1]
        else:
            for version in (4, 6):
                free.setdefault((node.name, version), taken.give(_POD_BLOCKS, version, node.pod_cidrs))
            addresses = (next(free[node.name, 4]), next(free[node.name, 6]))
        yield dataclasses.replace(pod, addresses=addresses, addressed=True)


def _addressed_services(services: Iterable[Service], taken: _Taken) -> Iterator[Service]:
    """A Service from a file that no API server has seen has no cluster address yet: it gets one of each family."""
    free = {version: taken.give(_SERVICE_BLOCKS, version) for version in (4, 6)}
    for service in services:
        if service.cluster_ips or service.headless or service.external_name:
            yield service
        else:
            yield dataclasses.replace(service, cluster_ips=(next(free[4]), next(free[6])))


def _unusable(snapshot: Snapshot) -> Iterator[InputError]:
    """Addresses that no interface of the lab could hold."""
    for what, addresses, place in _given(snapshot):
        for one in addresses:
            if why := _why_unusable(one):
                yield complaint(place, f"{what} cannot have the address {one}: it {why}")


def _why_unusable(one: Address) -> str:
    if one in GATEWAYS:
        return "is the gateway of the lab's own wires"
    if one.is_unspecified:
        return "is the unspecified address"
    if one.is_loopback:
        return "is a loopback address"
    if one.is_multicast:
        return "is a multicast address"
    if isinstance(one, ipaddress.IPv6Address):
        if one.is_link_local:
            return "is link-local, and a cluster routes"
        return "is an IPv4 address mapped into IPv6" if one.ipv4_mapped else ""
    return "is the broadcast address" if one == ipaddress.IPv4Address("255.255.255.255") else ""


def _given(snapshot: Snapshot) -> Iterator[tuple[str, tuple[Address, ...], Place]]:
    """Everything that holds addresses: what it is called, its addresses, and the place that says so."""
    for pod in snapshot.endpoints:
        yield f"pod {pod}", pod.addresses, pod.place / "status" / "podIPs"
    for node in snapshot.nodes.values():
        yield f"node {node.name}", node.addresses, node.place / "status" / "addresses"
    for service in snapshot.services:
        yield f"service {service}", service.cluster_ips, service.place / "spec" / "clusterIPs"
        yield f"service {service}", service.external_ips, service.place / "spec" / "externalIPs"


def _collisions(snapshot: Snapshot) -> Iterator[InputError]:
    """Addresses with two holders.

    Pods on the host network share their node's address. External addresses of services may be anybody's:
    load balancers that hand out the nodes' own addresses, or one for several services, are common.
    """
    holders: dict[Address, str] = {}
    on_host = {f"pod {pod}" for pod in snapshot.endpoints if pod.host_network}
    for what, addresses, place in _given(snapshot):
        if what in on_host or place.at[-1:] == ("externalIPs",):
            continue
        for one in addresses:
            first = holders.setdefault(one, what)
            if first != what:
                yield complaint(place, f"{what} has the address {one} of {first}; an address has one holder")


def _refuse(errors: Iterable[InputError]) -> None:
    if found := tuple(errors):
        raise InvalidInput(found, hint="the lab gives addresses to what has none: leave out status and clusterIP")
