"""The pair of interfaces by which first packets of bridged pods go round their bridge (`outgate.nft.detour`).

Both ends are the node's own. What comes in at the inner one has the address of a pod, to which another interface leads:
so its reverse path is asked loosely there (Documentation/networking/ip-sysctl.rst, `rp_filter`: "The max value from
conf/{all,interface}/rp_filter is used", and 2 is the loose one). An interface without an address of IPv4 fails that,
too (net/ipv4/fib_frontend.c, `__fib_validate_source`: ``if (no_addr) goto last_resort``), so it has one.
"""

from __future__ import annotations

import contextlib

from outgate.errors import KernelError
from outgate.host import links, rtnetlink
from outgate.host.namespaces import write_sysctls
from outgate.host.netlink import ROUTE, NetlinkSocket
from outgate.host.nft import Nftables
from outgate.nft.detour import TABLE, Detour, detour_text, without_detour

__all__ = ["INNER", "OUTER", "TABLE", "program", "remove"]

OUTER, INNER = "outgate0", "outgate1"
"""Packets leave by the first and come in by the second."""
_ADDRESS = "169.254.53.54/32"
"""Link-local (RFC 3927), and of scope host, so that nothing is ever sent under it."""


def program(detour: Detour, mark: int) -> None:
    """Have these connections take the detour, and no others.

    Raises:
        KernelError: the interfaces cannot be made, or the kernel does not take the rules; those before stand.
    """
    if not detour:
        remove()
        return
    address = _inner() or _made()
    Nftables().load(detour_text(detour, OUTER, address, mark))


def remove() -> None:
    """Take rules and interfaces away, as far as they are there.

    Raises:
        KernelError: they stay.
    """
    Nftables().load(without_detour() + "\n")
    if _inner():
        links.batch([f"link del {OUTER}"])


def _inner() -> str:
    """The link-layer address of the inner end; empty where there is none."""
    with NetlinkSocket(ROUTE, strict=True) as asking:
        return next((one.address for one in rtnetlink.links(asking) if one.name == INNER), "")


def _made() -> str:
    links.batch([f"link add {OUTER} type veth peer name {INNER}"])
    write_sysctls({f"net/ipv4/conf/{INNER}/rp_filter": "2"})
    for one in (OUTER, INNER):
        # A node without IPv6 has no such settings.
        with contextlib.suppress(KernelError):
            write_sysctls({f"net/ipv6/conf/{one}/accept_ra": "0", f"net/ipv6/conf/{one}/addr_gen_mode": "1"})
    links.batch([f"addr add {_ADDRESS} dev {INNER} scope host", *(f"link set {one} up" for one in (OUTER, INNER))])
    return _inner()
