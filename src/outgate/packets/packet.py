"""One concrete packet: the witness that proves a finding, and the question put to an evaluator."""

from __future__ import annotations

from outgate.packets.addresses import Address
from outgate.packets.transport import Protocol
from outgate.records import dataclass

__all__ = ["Packet"]


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a new connection, as policy sees it (after service translation).

    `coordinate` is the destination port for TCP, UDP and SCTP, ``type * 256 + code`` for ICMP and
    ICMPv6, and 0 for every other protocol.
    """

    source: Address
    destination: Address
    protocol: int
    coordinate: int = 0
    source_port: int = 40000

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.destination.version

    def __str__(self) -> str:
        known = self.protocol in tuple(Protocol)
        name = Protocol(self.protocol).name if known else f"protocol {self.protocol}"
        port = f" port {self.coordinate}" if known and Protocol(self.protocol).has_ports else ""
        return f"{self.source} → {self.destination} {name}{port}"
