"""Builds a topology in the kernel.

    stage = build(addressing.address(snapshot))        inside `session.run_in_lab`
    with stage.enter(stage.topology.pods["production", "web-api"]): ...

The wires are those of Calico: a pod has a /32 (and a /128) and a gateway that exists on no interface. IPv4 neighbours
are written down, since a firewall for IP never sees ARP; IPv6 neighbours are discovered by real
packets, since a firewall that forgets neighbour discovery breaks IPv6, and the lab must show it.

A sysctl that matters is set and never assumed: a new network namespace starts with the IPv4 settings of the
machine (``net.core.devconf_inherit_init_net`` 0), which may have been changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

from outgate.host import links, namespaces, process
from outgate.host.namespaces import NetworkNamespace
from outgate.lab import services
from outgate.lab.topology import POD_INTERFACE, POD_INTERFACE_PREFIX, UPLINK, NodeBox, PodBox, Topology, WorldBox
from outgate.model import Pod, Snapshot
from outgate.model.objects import Address

__all__ = ["Box", "Stage", "build"]

Box = PodBox | NodeBox | WorldBox

_POD_GATEWAY = "ee:ee:ee:ee:ee:ee"
"""The node's end of every pod link, as with Calico: each is alone on its link."""

_WORLD_TABLE = 100


@dataclass(frozen=True)
class Stage:
    """A lab that stands: the snapshot as it was built, its boxes, and a door into each."""

    snapshot: Snapshot
    """With every address final: what predictions are to be made from."""
    topology: Topology
    spaces: Mapping[str, NetworkNamespace]
    """The network namespaces by name, opened."""

    @property
    def nodes(self) -> Mapping[str, NodeBox]:
        """The nodes by name."""
        return self.topology.nodes

    @property
    def pods(self) -> Mapping[tuple[str, str], PodBox]:
        """The pods by namespace and name."""
        return self.topology.pods

    @property
    def world(self) -> WorldBox:
        """The outside."""
        return self.topology.world

    def space(self, box: Box) -> NetworkNamespace:
        """The network namespace of a box."""
        return self.spaces[box.namespace]

    def enter(self, box: Box) -> AbstractContextManager[None]:
        """Moves the calling thread into a box for the length of a `with`; sockets made there stay there."""
        return self.space(box).enter()

    def run(
        self, box: Box, argv: tuple[str, ...], *, input: str | None = None, check: bool = True
    ) -> process.Completed:
        """Runs a command in a box. Raises what `process.run` raises."""
        return namespaces.run_in(self.space(box), argv, input=input, check=check)

    def interface_of(self, pod: Pod) -> str:
        """The pod's interface on its node; empty on the host network."""
        return self.pods[pod.key].interface


def build(snapshot: Snapshot) -> Stage:
    """Builds the lab for a snapshot in which everything has its address (`addressing.address`).

    Must run in the process that `session.run_in_lab` made. Services are translated on every node when it
    returns; policies are not enforced by it.

    Raises:
        KernelError: the kernel or iproute2 refused; what was built goes with the process.
    """
    topology = Topology.of(snapshot)
    spaces = dict(_spaces(topology))
    links.batch(_wires(topology))
    work = {topology.world.namespace: tuple(_world_lines(topology))}
    for number, node in enumerate(topology.nodes.values()):
        work[node.namespace] = tuple(_node_lines(node, number))
        work.update((box.namespace, tuple(_pod_lines(box))) for box in node.pods)
    texts = services.transactions(snapshot)
    # Each line is a round trip to the kernel and most of the time is iproute2's start: two at once fill two cores.
    with ThreadPoolExecutor(max_workers=4) as pool:
        done = [pool.submit(links.batch, lines, inside=spaces[name]) for name, lines in work.items()]
        done += [pool.submit(services.load, spaces[node.namespace], texts) for node in topology.nodes.values()]
        for one in done:
            one.result()
    return Stage(snapshot, topology, spaces)


_EVERYWHERE = {
    # Off: the rules under test are the ones against spoofing, and they have to do it alone.
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    # Addresses are ours to give and are unique: nobody waits a second for the kernel to make sure.
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/autoconf": "0",
    "net/ipv6/conf/default/router_solicitations": "0",
    # A probe must never be lost to a limit on error messages.
    "net/ipv4/icmp_ratelimit": "0",
    "net/ipv6/icmp/ratelimit": "0",
    "net/ipv4/icmp_echo_ignore_all": "0",
}

_END = {
    **_EVERYWHERE,
    "net/ipv4/ip_forward": "0",
    "net/ipv6/conf/all/forwarding": "0",
    # Everybody in a pod may bind the ports of the services that it plays.
    "net/ipv4/ip_unprivileged_port_start": "0",
}

_ROUTER = {
    **_EVERYWHERE,
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
    "net/ipv4/ip_unprivileged_port_start": "0",
}

_WORLD = {
    **_ROUTER,
    # A forged source is an address of the world's own by the rule below; it is to be seen, not dropped.
    "net/ipv4/conf/all/accept_local": "1",
    # The outside may also send from any address without asking for it socket by socket.
    "net/ipv4/ip_nonlocal_bind": "1",
    "net/ipv6/ip_nonlocal_bind": "1",
}


def _spaces(topology: Topology) -> Iterator[tuple[str, NetworkNamespace]]:
    routers = {node.namespace for node in topology.nodes.values()}
    for name in topology.namespaces:
        sysctls = _WORLD if name == topology.world.namespace else _ROUTER if name in routers else _END
        yield name, namespaces.create(name, sysctls)


def _wires(topology: Topology) -> Iterator[str]:
    """Every pair of interfaces, both ends born where they belong."""
    for number, node in enumerate(topology.nodes.values()):
        yield (
            f"link add {node.link} netns {topology.world.namespace} address {_mac(number, 1)} type veth "
            f"peer name {UPLINK} netns {node.namespace} address {_mac(number, 2)}"
        )
        for box in node.pods:
            yield (
                f"link add {box.interface} netns {node.namespace} address {_POD_GATEWAY} type veth "
                f"peer name {POD_INTERFACE} netns {box.namespace} address {_pod_mac(box)}"
            )


def _pod_lines(box: PodBox) -> Iterator[str]:
    yield "link set lo up"
    yield f"link set {POD_INTERFACE} up"
    for address in box.addresses:
        yield _add(address, POD_INTERFACE)
    yield f"neigh add 169.254.1.1 lladdr {_POD_GATEWAY} dev {POD_INTERFACE} nud permanent"
    if _has(box.addresses, 4):
        yield f"route add default via 169.254.1.1 dev {POD_INTERFACE} onlink"
    if _has(box.addresses, 6):
        yield f"route add ::/0 via fe80::1 dev {POD_INTERFACE}"


def _node_lines(node: NodeBox, number: int) -> Iterator[str]:
    yield "link set lo up"
    yield from _up(UPLINK, "fe80::2")
    for address in node.addresses:
        yield _add(address, UPLINK)
    yield f"neigh add 169.254.1.1 lladdr {_mac(number, 1)} dev {UPLINK} nud permanent"
    yield f"route add default via 169.254.1.1 dev {UPLINK} onlink"
    yield f"route add ::/0 via fe80::1 dev {UPLINK}"
    for box in node.pods:
        yield from _up(box.interface, "fe80::1")
        for address in box.addresses:
            yield f"route add {address} dev {box.interface}"
            if address.version == 4:
                yield f"neigh add {address} lladdr {_pod_mac(box)} dev {box.interface} nud permanent"


def _world_lines(topology: Topology) -> Iterator[str]:
    """Routes to what exists; every other address is the world's own.

    For IPv4 that is a matter of the order of tables: a source address must be in the table `local` to be sent from
    (net/ipv4/devinet.c, `__ip_dev_find`), so everything is put there and the routes into the cluster are asked first.
    For IPv6 the longest prefix decides in one table.
    """
    yield "link set lo up"
    for address in topology.world.addresses:
        yield _add(address, "lo")
    for number, node in enumerate(topology.nodes.values()):
        yield from _up(node.link, "fe80::1")
        yield f"neigh add 169.254.1.2 lladdr {_mac(number, 2)} dev {node.link} nud permanent"
        for address in (*node.addresses, *(one for box in node.pods for one in box.addresses)):
            if address.version == 4:
                yield f"route add {address} via 169.254.1.2 dev {node.link} onlink table {_WORLD_TABLE}"
            else:
                yield f"route add {address} via fe80::2 dev {node.link}"
    yield f"rule add pref 10 lookup {_WORLD_TABLE}"
    yield "rule add pref 20 lookup local"
    yield "rule del pref 0"
    yield "route add local 0.0.0.0/0 dev lo table local"
    yield "route add local ::/0 dev lo table main"


def _up(interface: str, address: str) -> Iterator[str]:
    """Raises an interface with one link-local address that we choose, and no other."""
    yield f"link set {interface} addrgenmode none"
    yield f"link set {interface} up"
    yield f"addr add {address}/64 dev {interface} nodad"


def _add(address: Address, interface: str) -> str:
    return f"addr add {address}/{address.max_prefixlen} dev {interface}" + (" nodad" if address.version == 6 else "")


def _has(addresses: tuple[Address, ...], version: int) -> bool:
    return any(address.version == version for address in addresses)


def _mac(number: int, end: int) -> str:
    """A locally administered address: of the world's (1) or the node's (2) end of the link to a node."""
    return f"02:{end:02x}:{number >> 24 & 255:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def _pod_mac(box: PodBox) -> str:
    return _mac(int(box.interface.removeprefix(POD_INTERFACE_PREFIX)), 0xA)
