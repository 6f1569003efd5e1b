"""The watches of a node: a thread for each kind, one door for all of them, and an end that comes at once.

    watches = Watches(access, [Subscription("Pod"), Subscription("NetworkPolicy")], queue.put)
    watches.start()
    ...
    watches.stop()

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
        self.client = Client(access, clock=clock, wait=wait or self._ending.wait)
        self._threads = [
            threading.Thread(
                target=Reflector(
                    self.client,
                    one,
                    deliver,
                    failed=failed,
                    wait=wait or self._ending.wait,
                    stopped=self._ending.is_set,
                    pace=pace,
                    clock=clock,
                    dice=dice(),
                ).run,
                name=f"watch-{one.kind}",
                daemon=True,
            )
            for one in subscriptions
        ]

    def start(self) -> None:
        """Begin. Events come from now on."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all threads, whatever they wait for. No event comes afterwards."""
        self._ending.set()
        self.client.end()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(PATIENCE)

    def __enter__(self) -> Watches:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
