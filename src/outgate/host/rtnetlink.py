"""Links, addresses, routes and neighbours as the kernel has them, by rtnetlink: records, dumps and events.

Only what Outgate asks about is read: of a route its destination and interface, of a link what stands behind it. Numbers
of attributes are those of linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h and linux/neighbour.h.
"""

from __future__ import annotations

import errno
import ipaddress
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from outgate.host.netlink import NetlinkSocket, Refused
from outgate.host.netlink_format import Message, attribute, attributes, each_attribute, text

__all__ = [
    "Assigned",
    "Link",
    "Neighbour",
    "Route",
    "assigned",
    "bridge_entries",
    "filters",
    "is_of_bridge",
    "link",
    "link_of",
    "links",
    "local_routes",
    "neighbours",
    "queues",
    "route",
    "routes",
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NEWLINK, DELLINK, GETLINK = 16, 17, 18
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, GETNEIGH = 28, 30

GROUP_LINK = 1
GROUP_IPV4_ADDRESS = 5
GROUP_IPV4_ROUTE = 7
GROUP_IPV6_ADDRESS = 9
GROUP_IPV6_ROUTE = 11

BYTE_ORDER = sys.byteorder

AF_UNSPEC = 0
AF_BRIDGE = 7
AF_INET = 2
AF_INET6 = 10

UP = 0x1
LOWER_UP = 0x1_0000

TENTATIVE = 0x40
DUPLICATE = 0x08
NO_DETECTION = 0x02

TABLE_MAIN, TABLE_LOCAL = 254, 255
UNICAST, LOCAL = 1, 2

GETQDISC, GETFILTER = 38, 46
NEWQDISC, NEWFILTER = 36, 44

_LINK = struct.Struct("=BxHiII")
_ASSIGNED = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BxHiHBB")
_TRAFFIC = struct.Struct("=BxHiIII")
_FUNCTIONS, _SKIP_STATISTICS = 1 << 0, 1 << 3


@dataclass(frozen=True, slots=True)
class Link:
    """An interface. `kind` is the driver's (veth, bridge, ...; empty for hardware), `data` that driver's attributes."""

    index: int
    name: str
    flags: int
    kind: str = ""
    master: int = 0
    """The bridge, bond or Open vSwitch that it is a port of; 0 for none."""
    address: str = ""
    """Its link-layer address, as iproute2 writes it."""
    parent: int = 0
    """What it is made on, or its other end (IFLA_LINK); in another namespace the number counts there."""
    xdp: tuple[int, int] = (0, 0)
    """How an XDP program is attached (0: none) and the program's number."""
    data: dict[int, bytes] = field(default_factory=dict, hash=False)
    member_kind: str = ""
    """The kind of `master` (IFLA_INFO_SLAVE_KIND)."""
    functions: int = 0
    """How many virtual functions (SR-IOV) the hardware has been split into."""
    namespace: int | None = None
    """The network namespace of the other end, by its number in this one; None where that is this one, or none."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """An address on an interface. `flags` are IFA_F_*."""

    address: Address
    length: int
    index: int
    flags: int


@dataclass(frozen=True, slots=True)
class Route:
    """A route to a unicast or local destination, by the interfaces that it may leave by."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    indexes: tuple[int, ...]
    table: int
    kind: int
    gateway: bool = False
    """Whether another router stands in between: then no pod is behind the interface itself."""
    metric: int = 0
    """Of routes to the same network the one with the least is taken."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Who has an address (`address` set), or behind which port of a bridge a MAC address is (`master` set)."""

    index: int
    link_address: str
    address: Address | None = None
    master: int = 0


def is_of_bridge(body: bytes) -> bool:
    """Whether a link message is of the bridge's own kind: it tells of a port, and not all of it."""
    return body[:1] == bytes((AF_BRIDGE,))


def link(body: bytes) -> Link:
    """The interface that an RTM_NEWLINK or RTM_DELLINK message is about."""
    _, _, index, flags, _ = _LINK.unpack_from(body)
    found = attributes(body, _LINK.size)
    information = attributes(found.get(18, b""))
    xdp = attributes(found.get(43, b""))
    return Link(
        index=index,
        name=text(found.get(3, b"")),
        flags=flags,
        kind=text(information.get(1, b"")),
        master=_number(found.get(10)),
        address=found.get(1, b"").hex(":"),
        parent=_number(found.get(5)),
        xdp=(xdp.get(2, b"\0")[0], _number(xdp.get(4))),
        data=attributes(information.get(2, b"")),
        member_kind=text(information.get(4, b"")),
        functions=_number(found.get(21)),
        namespace=int.from_bytes(found[37], BYTE_ORDER, signed=True) if 37 in found else None,
    )


def links(asking: NetlinkSocket) -> list[Link]:
    """All interfaces of the namespace. Raises as `NetlinkSocket.dump`."""
    body = _LINK.pack(0, 0, 0, 0, 0) + attribute(29, struct.pack("=I", _FUNCTIONS | _SKIP_STATISTICS))
    return [link(one.body) for one in asking.dump(GETLINK, body, "list the interfaces") if one.kind == NEWLINK]


def link_of(asking: NetlinkSocket, index: int, *, namespace: int | None = None) -> Link | None:
    """One interface by its number, in another namespace where that is given. Raises as `NetlinkSocket.ask`."""
    target = b"" if namespace is None else attribute(46, struct.pack("=i", namespace))
    asked = asking.ask(GETLINK, _LINK.pack(0, 0, index, 0, 0) + target, "tell of an interface")
    return next((link(one.body) for one in asked if one.kind == NEWLINK), None)


def assigned(asking: NetlinkSocket, family: int, *, index: int = 0, namespace: int | None = None) -> list[Assigned]:
    """All addresses of a family; of one interface where `index` is given, in another namespace where that is.

    Both are obeyed for strict sockets alone. Raises as `NetlinkSocket.dump`.
    """
    found = []
    target = b"" if namespace is None else attribute(10, struct.pack("=i", namespace))
    for one in asking.dump(GETADDR, _ASSIGNED.pack(family, 0, 0, 0, index) + target, "list the addresses"):
        if one.kind == NEWADDR:
            _, length, short, _, index = _ASSIGNED.unpack_from(one.body)
            parts = attributes(one.body, _ASSIGNED.size)
            # linux/if_addr.h: with a peer, IFA_ADDRESS is the peer's and IFA_LOCAL ours.
            raw = parts.get(2, parts.get(1, b""))
            if len(raw) in (4, 16):
                found.append(Assigned(ipaddress.ip_address(raw), length, index, _number(parts.get(8)) or short))
    return found


def route(one: Message) -> Route | None:
    """The route that an RTM_NEWROUTE or RTM_DELROUTE message is about; None for one of no interest here."""
    family, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(one.body)
    if family not in (AF_INET, AF_INET6) or kind not in (UNICAST, LOCAL):
        return None
    parts = attributes(one.body, _ROUTE.size)
    raw = parts.get(1, bytes(4 if family == AF_INET else 16))
    if len(raw) != (4 if family == AF_INET else 16):
        return None
    hops = list(_hops(parts.get(9, b"")))
    indexes = [index for index, _ in hops] or ([_number(parts[4])] if 4 in parts else [])
    gateway = 5 in parts or 18 in parts or any(through for _, through in hops)
    network = ipaddress.ip_network((raw, length), strict=False)
    return Route(network, tuple(indexes), _number(parts.get(15)) or table, kind, gateway, _number(parts.get(6)))


def _hops(data: bytes) -> Iterator[tuple[int, bool]]:
    """Interface, and whether through a gateway, of each ``struct rtnexthop``."""
    at = 0
    while at + 8 <= len(data):
        length, _, _, index = struct.unpack_from("=HBBi", data, at)
        if length < 8:
            return
        kinds = {kind for kind, _ in each_attribute(data[at + 8 : at + length])}
        yield index, bool(kinds & {5, 18})
        at += (length + 3) & ~3


def routes(asking: NetlinkSocket, family: int, table: int = TABLE_MAIN) -> list[Route]:
    """The routes of a table. Raises as `NetlinkSocket.dump`."""
    # The header's byte holds small numbers of tables alone, and its filter is obeyed by strict sockets alone.
    body = _ROUTE.pack(family, 0, 0, 0, table if table < 256 else 0, 0, 0, 0, 0)
    try:
        answers = asking.dump(GETROUTE, body, "list the routes")
    except Refused as error:
        # "FIB table does not exist": it is made with the first route in it.
        if error.number == errno.ENOENT:
            return []
        raise
    found = (route(one) for one in answers if one.kind == NEWROUTE)
    return [one for one in found if one is not None and one.table == table]


def local_routes(asking: NetlinkSocket, family: int) -> set[tuple[Address, int]]:
    """Address and interface of everything that this namespace takes for itself. Raises as `NetlinkSocket.dump`."""
    return {
        (one.network.network_address, index)
        for one in routes(asking, family, TABLE_LOCAL)
        if one.kind == LOCAL and one.network.prefixlen == one.network.max_prefixlen
        for index in one.indexes
    }


def neighbours(asking: NetlinkSocket, family: int) -> list[Neighbour]:
    """Who is known to have which address. Raises as `NetlinkSocket.dump`."""
    return [one for one in _neighbours(asking, family) if one.address is not None and one.link_address]


def bridge_entries(asking: NetlinkSocket) -> list[Neighbour]:
    """Behind which port of which bridge a MAC address is. Raises as `NetlinkSocket.dump`."""
    return [one for one in _neighbours(asking, AF_BRIDGE) if one.master and one.link_address]


def _neighbours(asking: NetlinkSocket, family: int) -> Iterator[Neighbour]:
    for one in asking.dump(GETNEIGH, _NEIGHBOUR.pack(family, 0, 0, 0, 0, 0), "list the neighbours"):
        if one.kind == NEWNEIGH:
            _, _, index, _, _, _ = _NEIGHBOUR.unpack_from(one.body)
            parts = attributes(one.body, _NEIGHBOUR.size)
            raw = parts.get(1, b"")
            address = ipaddress.ip_address(raw) if len(raw) in (4, 16) else None
            yield Neighbour(index, parts.get(2, b"").hex(":"), address, _number(parts.get(9)))


def queues(asking: NetlinkSocket) -> list[tuple[int, str, int]]:
    """Interface, kind and handle of each queueing discipline. Raises as `NetlinkSocket.dump`."""
    found = []
    for one in asking.dump(GETQDISC, _TRAFFIC.pack(0, 0, 0, 0, 0, 0), "list the queueing disciplines"):
        if one.kind == NEWQDISC:
            _, _, index, handle, _, _ = _TRAFFIC.unpack_from(one.body)
            found.append((index, text(attributes(one.body, _TRAFFIC.size).get(1, b"")), handle))
    return found


def filters(asking: NetlinkSocket, index: int, parent: int) -> list[tuple[str, bytes]]:
    """Kind and options of each traffic filter at a place of an interface. Raises as `NetlinkSocket.dump`."""
    found = []
    for one in asking.dump(GETFILTER, _TRAFFIC.pack(0, 0, index, 0, parent, 0), "list the traffic filters"):
        if one.kind == NEWFILTER:
            parts = attributes(one.body, _TRAFFIC.size)
            # Each filter is told twice or more: as a chain of filters without options, and as what is in it.
            if 2 in parts:
                found.append((text(parts.get(1, b"")), parts[2]))
    return found


def _number(payload: bytes | None) -> int:
    return int.from_bytes(payload[:4], BYTE_ORDER) if payload else 0
