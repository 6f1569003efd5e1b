"""What traffic is: exact, canonical sets of addresses, transports and packets.

Nothing here knows of Kubernetes. Every set is immutable and has exactly one representation, so
that `==` and `hash` mean equality of the sets themselves. The universe is a constant of this code,
never of the input.
"""

from outgate.packets.addresses import Address, AddressSet
from outgate.packets.intervals import IntervalSet
from outgate.packets.packet import Packet
from outgate.packets.packetset import PacketSet
from outgate.packets.transport import Protocol, TransportSet

__all__ = ["Address", "AddressSet", "IntervalSet", "Packet", "PacketSet", "Protocol", "TransportSet"]
