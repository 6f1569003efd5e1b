"""Packets of a demand, seen from the end that has policies."""

from __future__ import annotations

import ipaddress

from outgate.analysis.demand import Demand
from outgate.model import Direction
from outgate.packets import AddressSet, PacketSet, Protocol, TransportSet
from outgate.policy import Endpoint, Verdict

ONE, OTHER = (Endpoint(ipaddress.ip_address(text)) for text in ("10.1.0.1", "203.0.113.9"))
HTTPS = TransportSet.ports(Protocol.TCP, 443)


def test_two_ends_are_one_address() -> None:
    """That of the far one, or those for which it stands; of all transports that are asked, or of some."""
    demand = Demand(ONE, OTHER, HTTPS, Verdict.DENY)
    assert (demand.known, demand.far) == (ONE, OTHER)
    assert demand.packets() == PacketSet.cube(AddressSet.of((OTHER.address,)), HTTPS)
    assert not demand.packets(TransportSet())
    block = AddressSet.network("203.0.113.0/24")
    assert Demand(ONE, OTHER, HTTPS, None, addresses=block).packets() == PacketSet.cube(block, HTTPS)


def test_on_ingress_the_known_end_receives() -> None:
    """And the far one sends."""
    demand = Demand(OTHER, ONE, HTTPS, Verdict.ALLOW, near=Direction.INGRESS)
    assert (demand.known, demand.far) == (ONE, OTHER)
