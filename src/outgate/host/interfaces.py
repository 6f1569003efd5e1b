"""Which interface of this node leads to a pod: what a rule has to know to tell a pod's own packets from forged ones.

    routed     a host route (/32, /128) to the pod's own interface: ptp, kindnet, Calico. `iifname` is that interface
    bridged    the pod's subnet lies on a bridge: Flannel and every other network that uses the plugin `bridge`.
               `iifname` is then the bridge for all of its pods, and packets between two pods of it pass the hooks of
               IP only where br_netfilter is loaded and told to call them
    beyond     a subnet on an interface of another kind, or a way through a gateway: nothing here is the pod's alone

What is read is the main routing table. The watcher keeps up by events. The kernel tells of routes one by one when
they are added or deleted, but not of those IPv4 routes that vanish with their interface or their source address
(net/ipv4/fib_frontend.c, `fib_disable_ip`): after such an event everything is read anew, as after an overrun.
"""

from __future__ import annotations

import enum
import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from outgate.host import rtnetlink
from outgate.host.closing import Closing
from outgate.host.netlink import ROUTE, NetlinkSocket, Overrun
from outgate.host.netlink_format import Message, messages
from outgate.host.rtnetlink import Link, Route

__all__ = ["Attachment", "Bridge", "InterfaceWatch", "Interfaces", "Way", "bridge_port"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Routes = Mapping[tuple[Network, int], Route]
"""By network and metric, which are what a route is known by."""

_CALLS = Path("/proc/sys/net/bridge")
_NF_CALL = {"iptables": 36, "ip6tables": 37}
"""IFLA_BR_NF_CALL_IPTABLES and IFLA_BR_NF_CALL_IP6TABLES."""
_REPLACE = 0x100


class Attachment(enum.Enum):
    """How a pod hangs on its node."""

    ROUTED = "routed"
    BRIDGED = "bridged"
    BEYOND = "beyond"


@dataclass(frozen=True, slots=True)
class Way:
    """The way to an address."""

    interface: str
    """What `iifname` says of packets from there (and, for a bridge, of packets from all behind it)."""
    attachment: Attachment
    kind: str = ""
    """The interface's driver: veth, bridge, ...; empty for hardware."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge: its ports, and whether packets between them pass the hooks of IPv4 and IPv6."""

    name: str
    ports: tuple[str, ...]
    ipv4_filtered: bool
    ipv6_filtered: bool


@dataclass(frozen=True)
class Interfaces:
    """The interfaces and routes of a network namespace at one moment."""

    links: Mapping[int, Link]
    routes: Routes

    @classmethod
    def read(cls) -> Interfaces:
        """Those of the calling thread's network namespace.

        Raises:
            KernelError: the kernel did not tell.
        """
        with NetlinkSocket(ROUTE, strict=True) as asking:
            return cls.asked(asking)

    @classmethod
    def asked(cls, asking: NetlinkSocket) -> Interfaces:
        """Those of the namespace of a strict socket. Raises as `read`."""
        links = {one.index: one for one in rtnetlink.links(asking)}
        routes = {
            (one.network, one.metric): one
            for family in (rtnetlink.AF_INET, rtnetlink.AF_INET6)
            for one in rtnetlink.routes(asking, family)
            if _matters(one)
        }
        return cls(links, routes)

    def towards(self, address: Address) -> Way | None:
        """The way that a packet to the address would take; None where there is no route, or its interface has gone."""
        for length in self._lengths[address.version]:
            # Of one network the route with the least metric.
            route = self._best.get(ipaddress.ip_network((address, length), strict=False))
            if route is not None:
                return self._way(route)
        return None

    def bridges(self) -> tuple[Bridge, ...]:
        """The bridges, by name. What the kernel's settings say is read now."""
        everywhere = {kind: _setting(kind) for kind in _NF_CALL}
        return tuple(
            Bridge(
                one.name,
                tuple(sorted(port.name for port in self.links.values() if port.master == one.index)),
                *(self._calls(one, kind, everywhere[kind]) for kind in _NF_CALL),
            )
            for one in sorted(self.links.values(), key=lambda one: one.name)
            if one.kind == "bridge"
        )

    @staticmethod
    def _calls(bridge: Link, kind: str, everywhere: bool | None) -> bool:
        """net/bridge/br_netfilter_hooks.c, `br_nf_pre_routing`: the setting of all bridges, or the bridge's own."""
        return everywhere is not None and (everywhere or any(bridge.data.get(_NF_CALL[kind], b"")))

    @cached_property
    def _best(self) -> Mapping[Network, Route]:
        best: dict[Network, Route] = {}
        for route in self.routes.values():
            if route.network not in best or route.metric < best[route.network].metric:
                best[route.network] = route
        return best

    @cached_property
    def _lengths(self) -> Mapping[int, tuple[int, ...]]:
        """The lengths of prefixes that there are, longest first, by version."""
        return {
            version: tuple(sorted({one.prefixlen for one in self._best if one.version == version}, reverse=True))
            for version in (4, 6)
        }

    def _way(self, route: Route) -> Way | None:
        links = [self.links[index] for index in route.indexes if index in self.links]
        if not links:
            return None
        link = links[0]
        if route.gateway or len(route.indexes) > 1:
            attachment = Attachment.BEYOND
        elif link.kind == "bridge":
            attachment = Attachment.BRIDGED
        elif route.network.prefixlen == route.network.max_prefixlen:
            attachment = Attachment.ROUTED
        else:
            attachment = Attachment.BEYOND
        return Way(link.name, attachment, link.kind)


def _setting(kind: str) -> bool | None:
    """Whether bridges call a family's hooks; None where br_netfilter is not loaded, so that none can."""
    try:
        return (_CALLS / f"bridge-nf-call-{kind}").read_text().strip() != "0"
    except OSError:
        return None


def bridge_port(address: Address) -> str:
    """The port of a bridge behind which an address is, as far as neighbours and bridge have learnt; empty where not.

    Raises:
        KernelError: the kernel did not tell.
    """
    family = rtnetlink.AF_INET if address.version == 4 else rtnetlink.AF_INET6
    with NetlinkSocket(ROUTE, strict=True) as asking:
        neighbours = rtnetlink.neighbours(asking, family)
        known = {(one.index, one.link_address) for one in neighbours if one.address == address}
        names = {one.index: one.name for one in rtnetlink.links(asking)}
        for one in rtnetlink.bridge_entries(asking):
            if (one.master, one.link_address) in known and one.index != one.master:
                return names.get(one.index, "")
    return ""


class InterfaceWatch(Closing):
    """Keeps up with interfaces and routes, in the network namespace of the thread that makes it.

    Raises:
        KernelError: the kernel did not tell.
    """

    def __init__(self, *, buffer: int = 1 << 20) -> None:
        groups = (
            rtnetlink.GROUP_LINK,
            rtnetlink.GROUP_IPV4_ADDRESS,
            rtnetlink.GROUP_IPV4_ROUTE,
            rtnetlink.GROUP_IPV6_ROUTE,
        )
        self._hearing = NetlinkSocket(ROUTE, groups=groups, buffer=buffer)
        try:
            self._asking = NetlinkSocket(ROUTE, strict=True)
            # Heard before asked: what happens in between comes as an event that says again what is known.
            self.current = Interfaces.asked(self._asking)
            """How it stood after the last `read`."""
        except BaseException:
            self._hearing.close()
            raise

    def close(self) -> None:
        """Hears no more."""
        self._hearing.close()
        self._asking.close()

    def fileno(self) -> int:
        """For `select` and its like: readable when there is something to `read`."""
        return self._hearing.fileno()

    def read(self, timeout: float | None) -> bool:
        """Brings `current` up to date, waiting up to `timeout` seconds (None: for ever) for the first event.

        Says whether anything that is known here has changed. Raises KernelError when the kernel does not tell.
        """
        heard, lost = self._heard(timeout)
        if not heard and not lost:
            return False
        before = self.current
        links, routes = dict(before.links), dict(before.routes)
        if lost or not all(_follow(one, links, routes) for one in heard):
            self.current = Interfaces.asked(self._asking)
        else:
            self.current = Interfaces(links, routes)
        return self.current != before

    def refresh(self) -> None:
        """Brings `current` up to date by reading everything anew: of a link's other end no event tells.

        Raises KernelError when the kernel does not tell.
        """
        self.current = Interfaces.asked(self._asking)

    def _heard(self, timeout: float | None) -> tuple[list[Message], bool]:
        """All that is waiting, and whether something was lost."""
        deadline = None if timeout is None else time.monotonic() + timeout
        found: list[Message] = []
        lost = False
        while True:
            done = bool(found) or lost
            left = 0.0 if done else None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                data = self._hearing.receive(left)
            except Overrun:
                lost = True
                continue
            if not data:
                return found, lost
            found += messages(data)


def _matters(route: Route) -> bool:
    """Every interface has a route to fe80::/64, and no pod is asked for by such an address."""
    return route.table == rtnetlink.TABLE_MAIN and not (route.network.version == 6 and route.network.is_link_local)


def _follow(one: Message, links: dict[int, Link], routes: dict[tuple[Network, int], Route]) -> bool:
    """Does what an event says; False where it does not say enough, and everything has to be read anew."""
    match one.kind:
        case rtnetlink.NEWLINK:
            if rtnetlink.is_of_bridge(one.body):
                # A port came or went; the whole of it is told by another message, but not always.
                return False
            link = rtnetlink.link(one.body)
            known = links.get(link.index)
            links[link.index] = link
            return known is None or not known.flags & ~link.flags & rtnetlink.UP
        case rtnetlink.NEWROUTE | rtnetlink.DELROUTE:
            route = rtnetlink.route(one)
            return route is None or not _matters(route) or _follow_route(one, route, routes)
        case rtnetlink.DELLINK | rtnetlink.DELADDR:
            return False
        case _:
            return True


def _follow_route(one: Message, route: Route, routes: dict[tuple[Network, int], Route]) -> bool:
    key = (route.network, route.metric)
    if one.kind == rtnetlink.DELROUTE:
        return routes.pop(key, None) == route
    if key in routes and routes[key] != route and not one.flags & _REPLACE:
        # A second way beside the first: which of them counts is not said here.
        return False
    routes[key] = route
    return True
