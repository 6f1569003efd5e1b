"""The way of bridged pods to the proxy: what TPROXY cannot do where br_netfilter shows packets of a bridge to IP.

There the hooks of IP are asked while the packet is still a frame of the bridge, and once alone. Two things are lost:

    the socket     TPROXY gives the first packet of a connection to the listener, and the bridge, on the way up, makes
                   the packet nobody's (net/ipv4/ip_input.c, `ip_rcv_core`: ``skb_orphan``)
    the way        the mark routes what comes to IP, and a frame for a neighbour never does

So the first packet goes round the bridge, ``SYN`` alone: at the ingress of the pod's port, before the bridge and before
connection tracking, it is sent through a pair of interfaces of ours and comes in as if the pod were routed. There it is
translated, caught or not, and given to the listener. All that follows belongs to the same connection, finds its socket
by itself and needs the mark alone; and what is marked is taken off the bridge: behind br_netfilter (0) it is given the
bridge's own address, so that it goes up and not across. That holds for the answers of a neighbour, too.

    netdev ─► a pod's port ─► ingress: SYN under an address that is caught there ─► the pair
    bridge ─► prerouting ─► ``pull``: marked for delivery ─► to this node

Whose packet it is has been asked by then: the port and the address are what the detour is for, and no others take it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from outgate.nft.spelling import checked_interface
from outgate.packets import Address

__all__ = ["TABLE", "Detour", "detour_text", "without_detour"]

TABLE = "outgate_detour"
"""The name of the two tables."""
_FAMILIES = "netdev", "bridge"
_BEFORE_ALL = -500
_BEHIND_BRNF = 10
"""NF_BR_PRI_BRNF is 0: what comes behind sees the mark that the hooks of IP have set."""


@dataclass(frozen=True, slots=True)
class Detour:
    """Whose connections take it."""

    ports: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)
    """The port of a bridge → the addresses behind it whose connections are caught."""
    bridges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The link-layer address of a bridge with such ports → all of its ports. (Not every kernel tells a rule by which
    bridge a frame goes: CONFIG_NFT_BRIDGE_META.)"""

    def __bool__(self) -> bool:
        return bool(self.bridges)


def detour_text(detour: Detour, outer: str, inner: str, mark: int) -> str:
    """Both tables, as one transaction that puts them in the place of those before.

    `outer` is the interface of the pair by which packets leave, `inner` the link-layer address of the other end, and
    `mark` the bit by which packets are delivered. Raises ValueError for a name that no rule can have.
    """
    return "\n".join((without_detour(), *_ingress(detour, checked_interface(outer), inner), *_pull(detour, mark), ""))


def without_detour() -> str:
    """What takes both tables away, whether they are there or not."""
    return "\n".join(f"{act} table {family} {TABLE}" for family in _FAMILIES for act in ("add", "delete"))


def _ingress(detour: Detour, outer: str, inner: str) -> Iterator[str]:
    yield f"table netdev {TABLE} {{"
    for number, (port, addresses) in enumerate(sorted(detour.ports.items())):
        yield f"\tchain port{number} {{"
        yield f'\t\ttype filter hook ingress device "{checked_interface(port)}" priority {_BEFORE_ALL}; policy accept;'
        for one in addresses:
            source = f"{'ip' if one.version == 4 else 'ip6'} saddr {one}"
            yield f'\t\t{source} tcp flags & (syn | ack) == syn counter ether daddr set {inner} fwd to "{outer}"'
        yield "\t}"
    yield "}"


def _pull(detour: Detour, mark: int) -> Iterator[str]:
    yield f"table bridge {TABLE} {{"
    yield "\tchain pull {"
    yield f"\t\ttype filter hook prerouting priority {_BEHIND_BRNF}; policy accept;"
    for address, ports in sorted(detour.bridges.items()):
        names = ", ".join(f'"{checked_interface(one)}"' for one in ports)
        mine = f"meta mark & {mark:#x} == {mark:#x} iifname {{ {names} }}"
        yield f"\t\t{mine} ether daddr set {address} meta pkttype set host"
    yield "\t}"
    yield "}"
