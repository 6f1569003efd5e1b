"""A pod, its node, and resolvers beyond it, for the DNS proxy: real packets in namespaces of the test's own.

    pod 10.1.0.11, fd00:1::11 ─(wire, or bridge cni0)─ node ─ 192.0.2.0/24 ─ outside: resolvers .53 and .54

The node has a Service 10.96.0.10 and fd00:96::a that is translated to the first resolver as kube-proxy does it, in a
table of its own. `REDIRECT` is the text of what the proxy needs of our table.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from outgate.host import links, namespaces, process
from outgate.host.namespaces import NetworkNamespace, create, mount_namespace, write_sysctls
from outgate.nft.asking import PORT, STAND_INS, ZONE
from tests.lab.alone import alone

__all__ = ["CLUSTER_IP", "NEIGHBOUR", "POD", "REDIRECT", "RESOLVERS", "WIRINGS", "Town", "in_town", "redirect"]

POD = {4: "10.1.0.11", 6: "fd00:1::11"}
NEIGHBOUR = {4: "10.1.0.12", 6: "fd00:1::12"}
RESOLVERS = {4: ("192.0.2.53", "192.0.2.54"), 6: ("2001:db8:2::53", "2001:db8:2::54")}
CLUSTER_IP = {4: "10.96.0.10", 6: "fd00:96::a"}
WORLD = {4: ("203.0.113.10", "203.0.113.11"), 6: ("2001:db8:113::10", "2001:db8:113::11")}
_CALLS = "net/bridge/bridge-nf-call-"
_HOOKS = Path("/proc/sys", _CALLS + "iptables").exists()

WIRINGS = ["routed", "bridged", pytest.param("hooked", marks=pytest.mark.skipif(not _HOOKS, reason="no br_netfilter"))]
"""How the pod is connected; a bridge that is hooked shows its packets to the hooks of IP (br_netfilter)."""


def redirect(*, leased: bool = False) -> str:
    """The chain that leads pods' questions to the proxy; `leased`, only for as long as the proxy says that it lives."""
    # nft(8) wants to see a transport protocol before a port, and does not see the one inside a key.
    proto = ("meta l4proto @dns_up " if leased else "") + "meta l4proto { tcp, udp } "
    return f"""
        set dns4 {{ type ipv4_addr . inet_proto . inet_service; }}
        set dns6 {{ type ipv6_addr . inet_proto . inet_service; }}
        set dns_up {{ type inet_proto; flags timeout; }}
        chain anew {{
            type filter hook prerouting priority -301; policy accept;
            {proto}ip saddr . meta l4proto . th dport @dns4 ct original zone set {ZONE}
            {proto}ip6 saddr . meta l4proto . th dport @dns6 ct original zone set {ZONE}
        }}
        chain dns {{
            type nat hook prerouting priority -101; policy accept;
            {proto}ip saddr . meta l4proto . th dport @dns4 dnat ip to {STAND_INS[4]}:{PORT}
            {proto}ip6 saddr . meta l4proto . th dport @dns6 dnat ip6 to [{STAND_INS[6]}]:{PORT}
        }}
        chain asked {{
            type filter hook output priority -10; policy accept;
            ip saddr {STAND_INS[4]} udp sport {PORT} ct state new drop
            ip6 saddr {STAND_INS[6]} udp sport {PORT} ct state new drop
        }}
        chain dns_input {{
            type filter hook input priority -11; policy accept;
            ip daddr {STAND_INS[4]} ct status & dnat != dnat drop
            ip6 daddr {STAND_INS[6]} ct status & dnat != dnat drop
        }}
    """


REDIRECT = redirect()

_POLICY = """
        set f4_test { type ipv4_addr . ipv4_addr; flags timeout; }
        set f6_test { type ipv6_addr . ipv6_addr; flags timeout; }
        chain forward {
            type filter hook forward priority -10; policy accept;
            ct state established,related accept
            icmpv6 type { 133, 134, 135, 136 } accept
            ip saddr 10.1.0.0/24 ip saddr . ip daddr @f4_test accept
            ip6 saddr fd00:1::/64 ip6 saddr . ip6 daddr @f6_test accept
            ip saddr 10.1.0.0/24 ip daddr 203.0.113.0/24 drop
            ip6 saddr fd00:1::/64 ip6 daddr 2001:db8:113::/64 drop
        }
"""

_KUBE_PROXY = f"""
table ip kube {{
    chain services {{ meta l4proto {{ tcp, udp }} th dport 53 ip daddr {CLUSTER_IP[4]} dnat to {RESOLVERS[4][0]}; }}
    chain in {{ type nat hook prerouting priority -100; jump services; }}
    chain out {{ type nat hook output priority -100; jump services; }}
}}
table ip6 kube {{
    chain services {{ meta l4proto {{ tcp, udp }} th dport 53 ip6 daddr {CLUSTER_IP[6]} dnat to {RESOLVERS[6][0]}; }}
    chain in {{ type nat hook prerouting priority -100; jump services; }}
    chain out {{ type nat hook output priority -100; jump services; }}
}}
"""


class Town:
    """The namespaces; the calling process is on the node."""

    def __init__(self, wiring: str = "routed", *, leased: bool = False, redirected: bool = True) -> None:
        sysctls = {"net/ipv6/conf/default/accept_dad": "0", "net/ipv4/conf/default/rp_filter": "0"}
        write_sysctls({**sysctls, "net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"})
        self.pod, self.neighbour, self.outside = (create(name, sysctls) for name in ("pod", "neighbour", "outside"))
        self._wire(wiring)
        elements = {
            version: ", ".join(f"{one[version]} . {proto} . 53" for one in (POD, NEIGHBOUR) for proto in ("tcp", "udp"))
            for version in (4, 6)
        }
        fill = "\n".join(f"add element inet outgate dns{version} {{ {text} }}" for version, text in elements.items())
        self.nft(f"table inet outgate {{ {redirect(leased=leased)} {_POLICY} }}\n{_KUBE_PROXY}\n")
        if redirected:
            self.nft(fill)

    def nft(self, text: str) -> str:
        """Runs nft on the node."""
        return process.run(("nft", "-f", "-"), input=text).stdout

    def listed(self, name: str = "f4_test") -> str:
        """A set of our table, as the kernel has it."""
        return process.run(("nft", "list", "set", "inet", "outgate", name)).stdout

    @contextlib.contextmanager
    def inside(self, space: NetworkNamespace) -> Iterator[None]:
        """Enters a namespace."""
        with space.enter():
            yield

    def socket(self, space: NetworkNamespace, family: int, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        """A socket of a namespace, which waits for a while and not for ever."""
        with space.enter():
            made = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind)
        made.settimeout(5)
        return made

    def _wire(self, wiring: str) -> None:
        links.batch(["link set lo up"])
        for space in (self.pod, self.neighbour, self.outside):
            links.batch(["link set lo up"], inside=space)
        bridged = wiring != "routed"
        if bridged:
            links.batch(
                [
                    "link add cni0 type bridge",
                    "link set cni0 up",
                    "addr add 10.1.0.1/24 dev cni0",
                    "addr add fd00:1::1/64 dev cni0 nodad",
                ]
            )
            if _HOOKS:
                write_sysctls({_CALLS + kind: str(int(wiring == "hooked")) for kind in ("iptables", "ip6tables")})
        for space, addresses in ((self.pod, POD), (self.neighbour, NEIGHBOUR)):
            self._wire_pod(space, addresses, bridged=bridged)
        links.batch(
            [
                "link add out0 type veth peer name eth0 netns outside",
                "link set out0 up",
                "addr add 192.0.2.1/24 dev out0",
                "addr add 2001:db8:2::1/64 dev out0 nodad",
                "route add default via 192.0.2.53",
            ]
        )
        lines = ["link set eth0 up"]
        lines += [f"addr add {one}/24 dev eth0" for one in RESOLVERS[4]]
        lines += [f"addr add {one}/64 dev eth0 nodad" for one in RESOLVERS[6]]
        lines += [f"addr add {one}/32 dev lo" for one in WORLD[4]]
        lines += [f"addr add {one}/128 dev lo nodad" for one in WORLD[6]]
        lines += ["route add default via 192.0.2.1", "route add default via 2001:db8:2::1"]
        links.batch(lines, inside=self.outside)
        links.batch(["route add default via 2001:db8:2::53"])

    def _wire_pod(self, space: NetworkNamespace, addresses: dict[int, str], *, bridged: bool) -> None:
        port = f"p{addresses[4].rpartition('.')[2]}"
        links.batch([f"link add {port} type veth peer name eth0 netns {space.name}", f"link set {port} up"])
        if bridged:
            links.batch([f"link set {port} master cni0"])
            inside = [
                "link set eth0 up",
                f"addr add {addresses[4]}/24 dev eth0",
                f"addr add {addresses[6]}/64 dev eth0 nodad",
                "route add default via 10.1.0.1",
                "route add default via fd00:1::1",
            ]
        else:
            write_sysctls({f"net/ipv4/conf/{port}/proxy_arp": "1"})
            links.batch(
                [
                    f"addr add fe80::1/64 dev {port} nodad",
                    f"route add {addresses[4]} dev {port}",
                    f"route add {addresses[6]} dev {port}",
                ]
            )
            inside = [
                "link set eth0 up",
                f"addr add {addresses[4]}/32 dev eth0",
                f"addr add {addresses[6]}/128 dev eth0 nodad",
                "route add 169.254.1.1 dev eth0",
                "route add default via 169.254.1.1 dev eth0",
                "route add default via fe80::1 dev eth0",
            ]
        links.batch(inside, inside=space)


Result = TypeVar("Result")


def in_town(play: Callable[[Town], Result], wiring: str = "routed", *, leased: bool = False) -> Result:
    """Plays something in a town that ends with it."""

    def whole() -> Result:
        mount_namespace()
        namespaces._hide_run()
        return play(Town(wiring, leased=leased))

    return alone(whole)
