"""Who is believed to have let pass what is live: which addresses are others' than they were, and since when.

Where policies keep what is live, a connection that was judged under an older epoch goes on, if both its ends are who
they were (`outgate.nft.trust`). So whoever comes to have an address is distrusted from that moment on (`doubts`), by
the transaction that makes him known; a pod of this node that goes leaves its address distrusted, and needs nobody to
come. It is made good by setting the mark of its connections that carry an older number to 0, as if nobody had judged
them (`Sweep`, `outgate.agent.sweeper`). After that the address is believed again, if nobody has doubted it meanwhile.

An agent that begins asks the kernel's table if older numbers may be believed at all, and what the one before it
remembered of the cluster for who was who: a pod that has its address still, by its uid, has had it all the time. Where
the table does not say that (there was no policy that keeps, or connections are newer than the table), all older numbers
are swept first. Until then the agent cuts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from outgate.agent.remembered import Memory
from outgate.agent.world import World
from outgate.nft.epoch import Epoch, epoch_of
from outgate.nft.objects import KeyType, NftSet, Ruleset
from outgate.nft.trust import DISTRUSTED, believes
from outgate.packets import Address

__all__ = ["Sweep", "Trust"]

PodKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Set our bits of the mark to 0 in the connections that carry another number than `epoch`, and say `Swept`."""

    epoch: Epoch
    addresses: frozenset[Address] | None = None
    """Those alone that have one of these addresses, in any place; None for all connections."""


@dataclass(frozen=True, slots=True)
class _Owner:
    """Who has an address."""

    key: PodKey
    uid: str
    local: bool


@dataclass(slots=True)
class Trust:
    """What is believed on one node."""

    wanted: bool = False
    """Whether any policy keeps what is live."""
    believing: bool = False
    """Whether older numbers may be believed, where that is wanted."""
    doubts: dict[Address, int] = field(default_factory=dict)
    """The addresses whose older numbers are not; each with a number that is another for a later doubt."""
    relieved: set[Address] = field(default_factory=set)
    """Those that have been swept, until the kernel's sets are made without them."""
    fresh: bool = False
    """Whether anybody has been doubted since the last change was made: that raises the epoch."""
    sweeping: tuple[Sweep, Mapping[Address, int]] | None = None
    """What is being swept, and the doubts of that moment."""
    owners: dict[Address, frozenset[_Owner]] = field(default_factory=dict)
    _begun: bool = False
    _unmarked: bool = False
    """No connection had a number when the agent began, so who is there now was there before any."""
    _number: int = 0

    def remember(self, memory: Memory) -> None:
        """Who was who, as the agent before this one knew. A pod without a uid could be any."""
        for pod in memory.pods:
            if pod.uid and not pod.host_network and not pod.finished:
                for address in pod.addresses:
                    owner = _Owner(pod.key, pod.uid, pod.node == memory.node)
                    self.owners[address] = self.owners.get(address, frozenset()) | {owner}

    def begin(self, table: Ruleset | None, last: Epoch | None) -> None:
        """Take the kernel's table at its word, the first time that it is listed. `last` as in `Listed`."""
        if self._begun:
            return
        self._begun, self._unmarked = True, table is None and last is None
        stands = table is not None and believes(table) and last in (None, epoch_of(table))
        self.believing = stands or self._unmarked
        if stands and table is not None:
            for name in DISTRUSTED.values():
                self.doubt(_addresses(table.sets[name]))

    def notice(self, world: World, addresses: Iterable[Address]) -> None:
        """Doubt those of these addresses that are another's than they were."""
        for address in addresses:
            had, has = self.owners.get(address, frozenset()), _owners(world, address)
            if has:
                self.owners[address] = has
            else:
                self.owners.pop(address, None)
            if self.believing and not self._unmarked and (has - had or any(one.local for one in had - has)):
                self.doubt((address,))
        self._unmarked = False

    def doubt(self, addresses: Iterable[Address]) -> None:
        """Believe nothing of these addresses until they have been swept."""
        self._number += 1
        for address in addresses:
            self.doubts[address], self.fresh = self._number, True

    def linger(self, address: Address) -> None:
        """Who would come to be believed is doubted until he has been swept: what was cut from him must stay so."""
        self._number += 1
        self.doubts.setdefault(address, self._number)

    def want(self, wanted: bool) -> None:
        """Whether any policy keeps what is live. Where none does, nobody is believed, and who begins is swept first."""
        self.wanted = wanted
        if wanted:
            return
        self.believing = self.fresh = False
        self.doubts.clear()
        self.relieved.clear()

    def next(self, epoch: Epoch) -> Sweep | None:
        """What is to be swept now, where the kernel's table has all of the doubts and stands under an epoch."""
        if self.sweeping is not None or not self.wanted or (self.believing and not self.doubts):
            return None
        sweep = Sweep(epoch, frozenset(self.doubts) if self.believing else None)
        self.sweeping = sweep, dict(self.doubts)
        return sweep

    def swept(self, epoch: Epoch | None) -> set[Address]:
        """It has been done. Gives the addresses that are believed again; `epoch` is the one that stands now.

        Where all numbers were swept, older ones may be believed from now on, if the epoch is still the same: otherwise
        there are connections with a number that was the current one, and has been taken from them since.
        """
        if self.sweeping is None:
            return set()
        (sweep, doubts), self.sweeping = self.sweeping, None
        if sweep.addresses is None:
            self.believing = self.wanted and sweep.epoch == epoch
            return set()
        done = {address for address, number in doubts.items() if self.doubts.get(address) == number}
        for address in done:
            del self.doubts[address]
        self.relieved |= done
        return done


def _addresses(one: NftSet) -> Iterator[Address]:
    kind = ipaddress.IPv4Address if one.key == (KeyType.IPV4_ADDR,) else ipaddress.IPv6Address
    return (kind(part[0]) for (part,) in one.elements if not isinstance(part, str))


def _owners(world: World, address: Address) -> frozenset[_Owner]:
    return frozenset(
        _Owner(key, world.pods[key].pod.uid, world.is_local(key)) for key in world.holders.get(address, ())
    )
