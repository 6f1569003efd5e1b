"""The watches of a node: a thread for each kind, one door for all of them, and an end that comes at once.

    watches = Watches(access, [Subscription("Pod"), Subscription("NetworkPolicy")], queue.put)
    watches.start()
    ...
    watches.stop()

    watches.follow([Subscription("Service")])      beside them, until it is called with others

`deliver` is called from several threads, one at a time for each kind; what it raises is told as `Troubled`. So is
`failed`, of each request that failed (see `Reflector`).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable

from outgate.cluster.access import Access
from outgate.cluster.client import Client
from outgate.cluster.events import Event
from outgate.cluster.watch import Pace, Reflector, Subscription

__all__ = ["Watches"]

PATIENCE = 10.0
"""Seconds: a thread that has not ended by then is inside `deliver`, and is left alone."""


class _Leash:
    """Ends threads that watch, whatever they wait for; and lets none of their news through once they are cut off."""

    def __init__(self, client: Client) -> None:
        self._ended = threading.Event()
        self.wait, self.ended = self._ended.wait, self._ended.is_set
        self._client = client
        self._cut = False
        self._lock = threading.Lock()

    def through(self, deliver: Callable[[Event], object]) -> Callable[[Event], object]:
        """The same delivery, until it is cut off."""

        def told(event: Event) -> None:
            with self._lock:
                if not self._cut:
                    deliver(event)

        return told

    def end(self) -> None:
        """From now on nothing is asked; what has been told may still come."""
        self._ended.set()
        self._client.end()

    def cut(self) -> None:
        """The same, and nothing comes any more."""
        with self._lock:
            self._cut = True
        self.end()


class Watches:
    """Follows some kinds of one cluster. `client` may ask other things as well, until `stop`."""

    def __init__(
        self,
        access: Access,
        subscriptions: Iterable[Subscription],
        deliver: Callable[[Event], object],
        *,
        failed: Callable[[str, str], object] = lambda _kind, _code: None,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], random.Random] = random.Random,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._ending = threading.Event()
        self._clock, self._wait = clock, wait or self._ending.wait
        self.client = Client(access, clock=clock, wait=self._wait)
        self._access = access
        self._followed: dict[Subscription, _Leash] = {}

        def thread(client: Client, one: Subscription, leash: _Leash) -> threading.Thread:
            return threading.Thread(
                target=Reflector(
                    client,
                    one,
                    leash.through(deliver),
                    failed=failed,
                    wait=wait or leash.wait,
                    stopped=leash.ended,
                    pace=pace,
                    clock=clock,
                    dice=dice(),
                ).run,
                name=f"watch-{one.kind}",
                daemon=True,
            )

        self._thread = thread
        self._leash = _Leash(self.client)
        self._threads = [thread(self.client, one, self._leash) for one in subscriptions]

    def start(self) -> None:
        """Begin. Events come from now on."""
        for thread in self._threads:
            thread.start()

    def follow(self, subscriptions: Iterable[Subscription]) -> None:
        """Watch these beside, and none that was followed before and is not among them; of that, no event comes more.

        Waits for nobody. Each has a client of its own, which ends what its thread waits for.
        """
        wanted = tuple(subscriptions)
        for one in self._followed.keys() - set(wanted):
            self._followed.pop(one).cut()
        self._threads = [one for one in self._threads if one.ident is None or one.is_alive()]
        for one in wanted if not self._ending.is_set() else ():
            if one not in self._followed:
                client = Client(self._access, clock=self._clock, wait=self._wait)
                leash = self._followed[one] = _Leash(client)
                self._threads.append(self._thread(client, one, leash))
                self._threads[-1].start()

    def stop(self) -> None:
        """End all threads, whatever they wait for. No event comes afterwards."""
        self._ending.set()
        for leash in (self._leash, *self._followed.values()):
            leash.end()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(PATIENCE)

    def __enter__(self) -> Watches:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
