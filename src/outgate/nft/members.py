"""Who is in a moving set: what a peer set stands for, kept beside its name.

The elements of such a set are a function of the pods that there are. A compile fills all of them at once (`lines`); the
agent adds and removes those of one pod (`placement`). Both go by these values.
"""

from __future__ import annotations

from dataclasses import dataclass

from outgate.nft.objects import KeyType, NftSet
from outgate.policy import NamedPort, PodMatch
from outgate.policy.rules import PeerMatch

__all__ = ["Members", "PeerMembers", "PortMembers"]

_ADDRESS = {4: KeyType.IPV4_ADDR, 6: KeyType.IPV6_ADDR}


@dataclass(frozen=True, slots=True)
class PeerMembers:
    """The addresses, of one family, of the pods that a selector selects."""

    peer: PodMatch
    family: int
    perhaps: bool = False
    """With the addresses that several pods claim, if one of them is meant: for whom it would be wrong to miss."""

    def declaration(self, name: str) -> NftSet:
        """The set, empty."""
        return NftSet(name, (_ADDRESS[self.family],), comment=str(self.peer))


@dataclass(frozen=True, slots=True)
class PortMembers:
    """(address, protocol, port) of each pod among the peers that has a port of this name. `peer` None: any pod."""

    peer: PeerMatch | None
    port: NamedPort
    family: int
    perhaps: bool = False

    def declaration(self, name: str) -> NftSet:
        """The set, empty."""
        comment = (
            f"port {self.port.name}/{self.port.protocol.name} of {self.peer if self.peer is not None else 'any pod'}"
        )
        key = (_ADDRESS[self.family], KeyType.INET_PROTO, KeyType.INET_SERVICE)
        return NftSet(name, key, comment=comment)


Members = PeerMembers | PortMembers
