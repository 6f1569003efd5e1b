"""A farm whose nodes have their pods on a bridge, as Flannel's nodes do: what comes from all of them comes by its name.

    n1: cni0 10.1.0.1/24, fd00:1::1/64        its ports are the node's ends of the pods' links
    n2: cni0 10.1.1.1/24, fd00:1:1::1/64

Packets between two pods of one bridge are switched, and pass the hooks of IP only where br_netfilter is there and told
to call them. Everything else is as in the lab: the same boxes, addresses and world.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from outgate.agent.settings import AUTO
from outgate.host import links
from outgate.host.namespaces import write_sysctls
from outgate.lab.session import run_in_lab
from outgate.lab.topology import POD_INTERFACE, NodeBox
from outgate.testing import Manifest
from tests.lab.agent.farm import Farm

__all__ = ["BRIDGE", "BridgedFarm", "grow_bridged", "hooked", "needs_hooks"]

BRIDGE = "cni0"
_CALLS = "net/bridge/bridge-nf-call-"

needs_hooks = pytest.mark.skipif(
    not Path("/proc/sys", _CALLS + "iptables").exists(), reason="br_netfilter is not loaded on this machine"
)


def hooked(farm: Farm, *, on: bool) -> None:
    """Let bridges show their packets to the hooks of IP, or not, on all nodes."""
    for box in farm.stage.nodes.values():
        with farm.stage.enter(box):
            write_sysctls({_CALLS + kind: str(int(on)) for kind in ("iptables", "ip6tables")})


class BridgedFarm(Farm):
    """The lab's boxes, wired anew before any agent begins. With `hooks`, bridges call the hooks of IP."""

    def __init__(self, manifests: Iterable[Manifest], *, hooks: bool) -> None:
        super().__init__(manifests, interface_prefix=AUTO)
        for box in self.stage.nodes.values():
            links.batch(_node_lines(box), inside=self.stage.space(box))
            for pod in box.pods:
                links.batch(_pod_lines(box, pod.addresses), inside=self.stage.space(pod))
        if Path("/proc/sys", _CALLS + "iptables").exists():
            hooked(self, on=hooks)


def _gateways(box: NodeBox) -> dict[int, str]:
    """The bridge's own address of each family: the first of the block that its pods are in."""
    return {one.version: str(_block(one)[1]) for pod in box.pods for one in pod.addresses}


def _block(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 112}", strict=False)


def _node_lines(box: NodeBox) -> Iterator[str]:
    yield f"link add {BRIDGE} type bridge"
    yield f"link set {BRIDGE} up"
    for pod in box.pods:
        for address in pod.addresses:
            yield f"route del {address} dev {pod.interface}"
        yield f"addr flush dev {pod.interface}"
        yield f"neigh flush dev {pod.interface} nud permanent"
        yield f"link set {pod.interface} master {BRIDGE}"
    for version, gateway in _gateways(box).items():
        length = 24 if version == 4 else 112
        yield f"addr add {gateway}/{length} dev {BRIDGE}" + (" nodad" if version == 6 else "")


def _pod_lines(box: NodeBox, addresses: Iterable[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> Iterator[str]:
    yield f"neigh flush dev {POD_INTERFACE} nud permanent"
    for address in addresses:
        six = address.version == 6
        gateway = _gateways(box)[address.version]
        yield f"addr del {address}/{address.max_prefixlen} dev {POD_INTERFACE}"
        length = 112 if six else 24
        yield f"addr add {address}/{length} dev {POD_INTERFACE}" + (" nodad" if six else "")
        yield f"route replace {'::/0' if six else 'default'} via {gateway} dev {POD_INTERFACE}"


def grow_bridged(manifests: Iterable[Manifest], check: Callable[[Farm], None], *, hooks: bool) -> None:
    """As `grow`."""

    def inside() -> int:
        with BridgedFarm(manifests, hooks=hooks) as farm:
            farm.settle()
            check(farm)
        return 0

    assert run_in_lab(inside) == 0
