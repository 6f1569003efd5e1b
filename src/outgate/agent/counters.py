"""What the kernel's rules have counted, as series that never go back.

A counter stands in the chain of a rule, and goes when the chain does: a policy that is removed and comes back begins
at 0. What is told here goes on from where it was; a chain that was away between two readings loses nothing that was
read (so `read` before a change that removes chains). After a restart of the agent the first reading is what the
kernel has, which may be less than what the agent before it told: the reset that Prometheus expects of a new process.

Reading lists the table, so it is done at most once a second, whoever asks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from outgate.errors import OutgateError
from outgate.nft.frame import UNKNOWN
from outgate.nft.objects import Counter
from outgate.policy import Origin

__all__ = ["SPOOF", "Counted", "PacketCounters", "Series", "policy_names"]

SPOOF = "spoof"
"""The chain of packets whose source address is not that of the pod whose link they came in on."""
_INTERVAL = 1.0
_MOST = 20_000
"""Series that are kept; of those that are gone the oldest are forgotten first."""

Origins = Mapping[str, tuple[Origin, ...]]
KernelCounters = Mapping[tuple[str, int], Counter]


class Series(NamedTuple):
    """One line of a metric. `what` is denied, would-deny, allowed, unknown or spoofed."""

    what: str
    direction: str = ""
    namespace: str = ""
    policy: str = ""
    """Its name; of several that deny together their names, in order, with commas between."""
    rule: str = ""
    """The number of the rule that allowed, counted from 0 as in the API's paths."""


@dataclass(slots=True)
class Counted:
    """One chain: what the kernel had last, and all that it ever had."""

    series: Series
    last: int = 0
    total: int = 0


def policy_names(origins: tuple[Origin, ...]) -> str:
    """The names of policies that judge together; all of one namespace."""
    return ",".join(dict.fromkeys(one.name for one in origins))


def _series(chain: str, origins: tuple[Origin, ...]) -> Series | None:
    """What a chain counts; None where it counts nothing that is told."""
    if chain == UNKNOWN:
        return Series("unknown")
    if chain == SPOOF:
        return Series("spoofed")
    what = {"d_": "denied", "w_": "would-deny", "r_": "allowed"}.get(chain[:2])
    if what is None or not origins:
        return None
    first = origins[0]
    # Of the two lists that a policy of Cilium's has for a direction, each counts from 0.
    rule = "" if first.rule is None else first.path if first.section or first.spec is not None else str(first.rule)
    return Series(what, first.direction.value.lower(), first.namespace, policy_names(origins), rule)


class PacketCounters:
    """Reads the kernel through `kernel`, names chains through `index`. Any thread may ask; one reads at a time."""

    def __init__(
        self,
        kernel: Callable[[], KernelCounters],
        index: Callable[[], Origins],
        *,
        clock: Callable[[], float] = time.monotonic,
        interval: float = _INTERVAL,
    ) -> None:
        self.failures = 0
        """How often the kernel could not be read. What was told before stands then."""
        self._kernel, self._index = kernel, index
        self._clock, self._interval = clock, interval
        self._lock = threading.Lock()
        self._read: float | None = None
        self._chains: dict[str, Counted] = {}

    def read(self, *, now: bool = False) -> Mapping[Series, int]:
        """The packets of each series. `now`: even if the last reading is younger than the interval."""
        with self._lock:
            moment = self._clock()
            if now or self._read is None or moment - self._read >= self._interval:
                self._read = moment
                try:
                    counters = self._kernel()
                except OutgateError:
                    self.failures += 1
                else:
                    self._take(counters)
            found: dict[Series, int] = {}
            for one in self._chains.values():
                found[one.series] = found.get(one.series, 0) + one.total
            return found

    def _take(self, counters: KernelCounters) -> None:
        index = self._index()
        seen: dict[str, int] = {}
        for (chain, _), counter in counters.items():
            seen[chain] = seen.get(chain, 0) + counter.packets
        for chain in self._chains.keys() - seen.keys():
            self._chains[chain].last = 0
        for chain, packets in seen.items():
            one = self._chains.pop(chain, None)
            if one is None:
                series = _series(chain, index.get(chain, ()))
                if series is None:
                    continue
                one = Counted(series)
            # Fewer than before: the chain was away, or its rules were written anew, and all of this is since then.
            one.total += packets - one.last if packets >= one.last else packets
            one.last = packets
            self._chains[chain] = one
        for chain in list(self._chains)[: max(0, len(self._chains) - _MOST)]:
            del self._chains[chain]
