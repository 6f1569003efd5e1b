"""Which addresses may come in through a name at all.

Whoever owns a name decides what it resolves to. A rule that allows ``*.example.com`` must not let the owner of
example.com open the metadata service, the node, or another pod ("DNS rebinding"). So an address in an answer is one of

    CLOSED    the node's own and what no router passes on: loopback, link-local (the metadata service among them), this
              network, multicast, reserved; metadata services that live elsewhere; the nodes of the cluster
    CLUSTER   pods and Services of the cluster
    OPEN      everything else; private networks too, for names of one's own servers there are what rules are made for

Cilium: names never match addresses of the cluster ("only world-type IPs"). network-policy-api asks that headless
Services work; their names are the cluster's own, and only the cluster's DNS answers for them. So CLUSTER comes in for
that dialect under a name of the cluster's domain, and else not at all. CLOSED never does, unless an address stands in a
block that the administrator has set free. An address for NAT64 is judged as what it leads to; an IPv4 address that is
mapped into IPv6 is never on the wire, and is CLOSED. The answer itself is passed on unchanged; such an address is only
not opened.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable

from outgate.packets import AddressSet
from outgate.packets.special import NAT64, NEVER_NAMED
from outgate.policy.names import Dialect

__all__ = ["Admission", "Place"]

_KEPT = 16384


class Place(enum.Enum):
    """Where an address leads, as far as that decides whether a name may open it."""

    OPEN = "open"
    CLUSTER = "cluster"
    CLOSED = "closed"


class Admission:
    """The rule, for one cluster. Blocks are CIDRs; `free` wins over everything, and `nodes` over `cluster`.

    `domain` is the DNS domain of the cluster. Raises ValueError for a bad CIDR.
    """

    def __init__(
        self,
        *,
        cluster: Iterable[str] = (),
        nodes: Iterable[str] = (),
        free: Iterable[str] = (),
        domain: str = "cluster.local",
    ) -> None:
        self._cluster = AddressSet.union_of(map(AddressSet.network, cluster))
        self._closed = NEVER_NAMED | AddressSet.union_of(map(AddressSet.network, nodes))
        self._free = AddressSet.union_of(map(AddressSet.network, free))
        self._domain = f".{domain.strip('.').lower()}"
        self._known: dict[bytes, Place] = {}

    def place(self, packed: bytes) -> Place:
        """Where an address of four or sixteen octets leads."""
        found = self._known.get(packed)
        if found is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            found = self._known[packed] = self._look(packed)
        return found

    def admits(self, packed: bytes, name: str, dialect: Dialect) -> bool:
        """Whether an address comes in under a canonical name, for rules of a dialect."""
        place = self.place(packed)
        if place is Place.CLUSTER:
            return dialect is Dialect.NETWORK_POLICY and name.endswith(self._domain)
        return place is Place.OPEN

    def _look(self, packed: bytes) -> Place:
        address = ipaddress.ip_address(packed)
        if address in self._free:
            return Place.OPEN
        if address in NAT64.addresses:
            return self._look(packed[12:])
        if address in self._closed:
            return Place.CLOSED
        return Place.CLUSTER if address in self._cluster else Place.OPEN
