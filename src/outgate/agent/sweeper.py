"""Sweeps connections that are not believed any more out of connection tracking, in a thread of its own.

To look at all connections of a busy node takes a second or more, and a pod's address must not wait for it: until it is
done the addresses stand in a set, and lose nothing but time (`outgate.nft.trust`). After each sweep the thread rests
nine times as long as that took. What comes up meanwhile is swept together.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from outgate.agent.events import Event, Swept
from outgate.agent.loop import Observer
from outgate.agent.trust import Sweep
from outgate.errors import KernelError
from outgate.host.conntrack import forget

__all__ = ["Sweeper"]

_REST = 9
"""For a second of work, so many of rest: a tenth of one core at the most."""
_LONGEST_REST = 30.0
_RETRY = 5.0
"""Seconds."""


class Sweeper(Observer):
    """In the network namespace of the thread that starts it. `say` is told what keeps it from its work."""

    def __init__(self, deliver: Callable[[Event], object], say: Callable[[str], None]) -> None:
        self._deliver = deliver
        self._say = say
        self._queue: queue.SimpleQueue[Sweep | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the sweep that is being made. What was not swept stays distrusted."""
        self._ending.set()
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def sweeping(self, command: Sweep) -> None:
        """Connections are to be swept."""
        self._queue.put(command)

    def _serve(self) -> None:
        while (command := self._queue.get()) is not None:
            begun = time.monotonic()
            while not self._sweep(command):
                if self._ending.wait(_RETRY):
                    return
            self._deliver(Swept())
            self._ending.wait(min(_LONGEST_REST, _REST * (time.monotonic() - begun)))

    def _sweep(self, command: Sweep) -> bool:
        epoch = command.epoch
        try:
            forget(epoch.mask, epoch.bits, command.addresses)
        except KernelError as error:
            self._say(f"connections cannot be swept, so they are judged anew: {error.message}")
            return False
        return True
