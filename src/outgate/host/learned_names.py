"""Which addresses pods have learned, for Envoy, which tells rules about requests apart by their destinations.

The kernel has decided by the same pairs, which the DNS proxy put there, who is caught. A pair is

    live        it is in the kernel, or the DNS proxy has just said so
    lingering   it was. No new connection is caught by it; one that is kept goes on, as established ones do when a TTL
                is over (NPEP-133), for as long as Envoy keeps one that is idle

What lingers for one set of names and is live for another of the same pod is the other's: it would let pass there what
is asked of a name that has moved. (For the same reason `outgate.proxy.redirecting` leaves out what lingers where a rule
looks that opens the address as one of a block.) A pair is its pod's alone: when the address becomes another's, it is
forgotten.

Times are seconds of a clock that never goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from outgate.host.learned_line import Heard
from outgate.packets import Address, AddressSet

__all__ = ["LINGERING", "LearnedNames"]

LINGERING = 3600.0
"""As `Proxying.idle_timeout`."""

_Pair = tuple[str, Address]
"""The id of a set, and the address of a pod."""


class LearnedNames:
    """The pairs. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.ids: frozenset[str] = frozenset()
        """The sets that matter."""
        self._owners: Mapping[Address, str] = {}
        self._live: dict[_Pair, set[Address]] = {}
        self._seen: dict[_Pair, dict[Address, float]] = {}
        """All of them, with the time when each was live last."""

    def follow(self, ids: Collection[str], owners: Mapping[Address, str]) -> None:
        """Other sets matter, or other pods: their addresses, and what tells an incarnation from the next."""
        mine = {one for one, who in owners.items() if self._owners.get(one) == who}
        self.ids, self._owners = frozenset(ids), dict(owners)
        for known in (self._live, self._seen):
            for pair in [pair for pair in known if pair[0] not in self.ids or pair[1] not in mine]:
                del known[pair]

    def read(self, heard: Iterable[Heard], begun: float) -> None:
        """All that is in the kernel: what is not is live no more, but for what was heard since the reading has begun.

        That may have come behind the reader's back. `begun` is a time of the clock.
        """
        since = {pair: {one for one in some if self._seen[pair][one] >= begun} for pair, some in self._live.items()}
        self._live = {pair: some for pair, some in since.items() if some}
        self.hear(heard)
        late = self._clock() - LINGERING
        for some in self._seen.values():
            for one in [one for one, seen in some.items() if seen < late]:
                del some[one]

    def hear(self, heard: Iterable[Heard]) -> bool:
        """Some are live; whether any was not known."""
        now, news = self._clock(), False
        for name, pod, address in heard:
            if name in self.ids and pod in self._owners:
                live = self._live.setdefault((name, pod), set())
                news |= address not in live
                live.add(address)
                self._seen.setdefault((name, pod), {})[address] = now
        return news

    def live(self, name: str, pod: Address) -> AddressSet:
        """The addresses of a set for a pod, by its address."""
        return AddressSet.of(self._live.get((name, pod), ()))

    def lingering(self, name: str, pod: Address) -> AddressSet:
        """Those that it had, for what is kept."""
        others = {one for other in self.ids for one in self._live.get((other, pod), ())}
        return AddressSet.of(self._seen.get((name, pod), {}).keys() - others)

    def copied(self) -> LearnedNames:
        """The same, as it is now, for another thread."""
        made = LearnedNames(self._clock)
        made.ids = self.ids
        made._live = {pair: set(some) for pair, some in self._live.items()}
        made._seen = {pair: dict(some) for pair, some in self._seen.items()}
        return made
