"""Behind which port of a bridge an address is, as the other end of the port itself says.

What a bridge has learnt, and what neighbours have said (`interfaces.bridge_port`), comes from the very packets that are
to be judged: whoever is first to send under an address gets it. The port of a pod is one end of a veth, and the kernel
knows the namespace of the other (IFLA_LINK_NETNSID) and answers which addresses that has (IFA_TARGET_NETNSID, Linux
4.20): nothing is asked of the pod, and a process in it needs CAP_NET_ADMIN to change the answer. A pod with that right
can claim what belongs to another; then two ports have one address, and it is for the caller not to believe the second.
The MAC address of the other end is asked for in the same way (IFLA_TARGET_NETNSID). Nobody tells when it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from outgate.host import rtnetlink
from outgate.host.interfaces import Address, Interfaces
from outgate.host.netlink import NetlinkSocket, Refused
from outgate.host.rtnetlink import Link

__all__ = ["Behind", "Doors", "behind"]


@dataclass(frozen=True, slots=True)
class Behind:
    """The bridges of a network namespace, and who is behind their ports."""

    bridges: frozenset[str] = frozenset()
    holders: Mapping[Address, tuple[str, ...]] = field(default_factory=dict)
    """An address → the ports whose other end has it. One, as a rule."""
    macs: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """A MAC address → the ports whose other end has it."""
    doors: frozenset[str] = frozenset()
    """Ports that lead into another network namespace."""
    wires: frozenset[str] = frozenset()
    """Ports that do not: hardware, tunnels, and what leads back into this namespace."""


def behind(asking: NetlinkSocket, interfaces: Interfaces) -> Behind:
    """Who is behind the ports of the bridges among these interfaces, asked now. As `Doors.look`."""
    return Doors(asking).look(interfaces, anew=True)


class Doors:
    """Asks the other ends, and remembers what they said: a question for each of a hundred pods takes ten milliseconds.

    `asking` is a strict socket of the interfaces' namespace.
    """

    def __init__(self, asking: NetlinkSocket) -> None:
        self._asking = asking
        self._known: dict[tuple[int, int, int | None], tuple[frozenset[Address], int]] = {}
        """By index of the port and place of the other end; a name may be another's by now."""

    def look(self, interfaces: Interfaces, *, anew: bool) -> Behind:
        """Who is behind the ports. Without `anew`, ends that had addresses before are taken to have them still.

        A namespace that has just gone, or that the caller has no right over, has no addresses here.

        Raises:
            KernelError: the kernel did not tell.
        """
        bridges = {one.index: one.name for one in interfaces.links.values() if one.kind == "bridge"}
        ports = [one for one in interfaces.links.values() if one.master in bridges]
        doors = [one for one in ports if one.kind == "veth" and one.namespace is not None]
        before, self._known = self._known, {}
        holders: dict[Address, tuple[str, ...]] = {}
        macs: dict[int, tuple[str, ...]] = {}
        for port in sorted(doors, key=lambda one: one.name):
            key = port.index, port.parent, port.namespace
            had = None if anew else before.get(key)
            self._known[key] = had if had and had[0] else (_addresses(self._asking, port), _mac(self._asking, port))
            addresses, mac = self._known[key]
            for address in addresses:
                holders[address] = (*holders.get(address, ()), port.name)
            if mac:
                macs[mac] = (*macs.get(mac, ()), port.name)
        names = frozenset(one.name for one in doors)
        wires = frozenset(one.name for one in ports) - names
        return Behind(frozenset(bridges.values()), holders, macs, names, wires)


def _addresses(asking: NetlinkSocket, port: Link) -> frozenset[Address]:
    """Those of the other end."""
    try:
        told = rtnetlink.assigned(asking, rtnetlink.AF_UNSPEC, index=port.parent, namespace=port.namespace)
    except Refused:
        return frozenset()
    return frozenset(one.address for one in told if one.index == port.parent and not one.address.is_link_local)


def _mac(asking: NetlinkSocket, port: Link) -> int:
    """The link-layer address of the other end; 0 where it is not told."""
    try:
        told = rtnetlink.link_of(asking, port.parent, namespace=port.namespace)
    except Refused:
        return 0
    digits = told.address.replace(":", "") if told is not None else ""
    return int(digits, 16) if len(digits) == 12 else 0
