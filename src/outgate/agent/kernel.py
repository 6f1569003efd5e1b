"""Our tables in this node's kernel: the two doors to them, and the ear at them.

Policies go in through ``nft -f`` (`outgate.host.nft`), a process that may take its time; addresses and the epoch
through one netlink batch (`outgate.host.nft_elements`), which is in force when the call returns. A change is what
`outgate.nft.delta` plans: prepare, flip, remove; each transaction takes the faster door that can carry it.

What others do to our tables is heard (`outgate.host.nft_monitor`). So that our own changes are not taken for theirs,
nothing is read from the monitor while a process of ours makes one: its generation is claimed first.
"""

from __future__ import annotations

import select
import threading
import time
from dataclasses import dataclass, field

from outgate.host.conntrack import carried
from outgate.host.nft import Asleep, Nftables
from outgate.host.nft_elements import ElementDoor, can_carry
from outgate.host.nft_monitor import NftMonitor
from outgate.nft.delta import FAST_ELEMENTS, Change
from outgate.nft.guard import FAMILY
from outgate.nft.objects import Ruleset
from outgate.nft.transaction import Transaction, weight

__all__ = ["Kernel", "Timing"]


@dataclass(slots=True)
class Timing:
    """How long each transaction of a change took, in seconds, by door."""

    text: list[float] = field(default_factory=list)
    netlink: list[float] = field(default_factory=list)


class Kernel:
    """The doors, in the network namespace of the thread that makes this.

    Raises:
        NotPermitted: the caller may not change the table, or not listen.
        KernelError: the kernel has no nf_tables, or nft is missing.
    """

    woken: int = 0
    """How often somebody else had put a table of ours to sleep (``flags dormant``), and it was woken."""

    def __init__(self) -> None:
        self._text = Nftables()
        self.guards = self._text.guards()
        """Whether the kernel has nftables for bridges."""
        self._elements = ElementDoor()
        self._monitor = NftMonitor()
        self._monitor.own(self._elements.port)
        self._claiming = threading.Lock()
        self._ending = select.epoll()
        self._ending.register(self._monitor.fileno(), select.EPOLLIN)

    def list(self) -> Ruleset | None:
        """The table as it is, and awake. Raises what `Nftables.list` raises, but `Asleep`, and `Nftables.wake`."""
        return self._awake(Ruleset().family)

    def guard(self) -> Ruleset | None:
        """The table of the bridges, likewise."""
        return self._awake(FAMILY)

    def _awake(self, family: str) -> Ruleset | None:
        try:
            return self._text.list(family)
        except Asleep:
            # At once, and before anything else is known: what it was programmed with is better than nothing at all.
            with self._claiming:
                before = self._elements.generation()
                self._text.wake(family)
                self._monitor.claim(before, self._elements.generation())
            self.woken += 1
            return self._text.list(family)

    def carried(self, mask: int) -> frozenset[int]:
        """The epochs that live connections carry. Raises what `outgate.host.conntrack.carried` raises."""
        return carried(mask)

    def generation(self) -> int:
        """Counts on with every transaction of anybody in this network namespace."""
        return self._elements.generation()

    def apply(self, change: Change) -> Timing:
        """Make a change. Raises what the doors raise; what was done before stands then."""
        timing = Timing()
        for transaction in change.transactions:
            begun = time.monotonic()
            fast = _is_small(transaction) and can_carry(transaction)
            if fast:
                self._elements.apply(transaction)
            else:
                self._by_process(transaction, change)
            (timing.netlink if fast else timing.text).append(time.monotonic() - begun)
        return timing

    def drifted(self, seconds: float) -> str:
        """Wait so long for somebody else's hand in our table, and say whose it was; empty where there was none."""
        if not self._ending.poll(seconds):
            return ""
        with self._claiming:
            heard = self._monitor.read(0)
        for one in heard:
            if one.drifted:
                return (
                    "changes came faster than they could be read"
                    if one.lost
                    else f"changed by {one.name or 'somebody'}"
                )
        return ""

    def close(self) -> None:
        """Let go of the doors. What is in the kernel stays."""
        self._ending.close()
        self._monitor.close()
        self._elements.close()

    def _by_process(self, transaction: Transaction, change: Change) -> None:
        with self._claiming:
            before = self._elements.generation()
            self._text.commit(transaction, whole=transaction not in change.prepare)
            self._monitor.claim(before, self._elements.generation())


def _is_small(transaction: Transaction) -> bool:
    return sum(weight(command)[1] for command in transaction.commands) <= FAST_ELEMENTS
