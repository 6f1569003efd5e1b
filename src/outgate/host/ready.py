"""Waiting until IPv6 addresses can be used.

An address is there as soon as it was added, and usable only when a route of type `local` leads to it: before, a packet
to it finds no way and is lost. The kernel makes that route later, from a work queue (net/ipv6/addrconf.c,
`addrconf_dad_work`), even where nothing has to be detected (`nodad`); on a busy machine that has been seen to take
longer than the next process needs to send its first packet. IPv4 knows no such delay.

An interface that is down is not waited for, and neither is an address that others have to be asked about (duplicate
address detection, RFC 4862 5.4) where there is no carrier to ask over.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable

from outgate.errors import KernelError
from outgate.host import rtnetlink
from outgate.host.netlink import ROUTE, NetlinkSocket, Overrun
from outgate.host.netlink_format import messages

__all__ = ["await_local"]

_TIMEOUT = 30.0
"""Seconds. Detection takes one or two, and the work queue of a machine that is short of processors may take as long."""
_AGAIN = 0.5
"""Seconds of silence after which everything is read anew: what is waited for may have been taken away."""

Wanted = set[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]]


def await_local(wanted: Iterable[tuple[ipaddress.IPv6Address, str]], *, timeout: float = _TIMEOUT) -> None:
    """Waits until each address of an interface (by name) is local, in the network namespace of the calling thread.

    What has been removed meanwhile is not waited for. `timeout` is in seconds.

    Raises:
        KernelError: an address did not become local in time, or somebody else on its link has it already.
    """
    named = set(wanted)
    if not named:
        return
    groups = (rtnetlink.GROUP_IPV6_ROUTE, rtnetlink.GROUP_IPV6_ADDRESS, rtnetlink.GROUP_LINK)
    deadline = time.monotonic() + timeout
    with NetlinkSocket(ROUTE, groups=groups) as hearing, NetlinkSocket(ROUTE, strict=True) as asking:
        while missing := _missing(asking, named):
            left = deadline - time.monotonic()
            if left <= 0:
                raise _too_late(asking, missing, timeout)
            _hear(hearing, missing, min(_AGAIN, left))


def _missing(asking: NetlinkSocket, named: set[tuple[ipaddress.IPv6Address, str]]) -> Wanted:
    """Which of the addresses are to be waited for."""
    links = {one.name: one for one in rtnetlink.links(asking)}
    local = rtnetlink.local_routes(asking, rtnetlink.AF_INET6)
    wanted = {(address, links[name].index) for address, name in named if name in links} - local
    if not wanted:
        return set()
    ready = {one.index: one for one in links.values() if one.flags & rtnetlink.UP}
    found: Wanted = set()
    for one in rtnetlink.assigned(asking, rtnetlink.AF_INET6):
        if (one.address, one.index) not in wanted or one.index not in ready:
            continue
        link = ready[one.index]
        if one.flags & rtnetlink.DUPLICATE:
            raise KernelError(f"the IPv6 address {one.address} on {link.name} is somebody else's on that link already")
        if one.flags & rtnetlink.TENTATIVE and not link.flags & rtnetlink.LOWER_UP:
            continue
        found.add((one.address, one.index))
    return found


def _hear(hearing: NetlinkSocket, missing: Wanted, patience: float) -> None:
    """Returns when all of it has become local, when events were lost, or after `patience` seconds."""
    waiting, end = set(missing), time.monotonic() + patience
    try:
        while waiting and (data := hearing.receive(max(0.0, end - time.monotonic()))):
            for one in messages(data):
                if one.kind == rtnetlink.NEWROUTE and (route := rtnetlink.route(one)) and route.kind == rtnetlink.LOCAL:
                    waiting -= {(route.network.network_address, index) for index in route.indexes}
    except Overrun:
        return


def _too_late(asking: NetlinkSocket, missing: Wanted, timeout: float) -> KernelError:
    names = {one.index: one.name for one in rtnetlink.links(asking)}
    words = ", ".join(sorted(f"{address} on {names.get(index, index)}" for address, index in missing))
    return KernelError(f"after {timeout:g} s these IPv6 addresses cannot be used yet: {words}")
