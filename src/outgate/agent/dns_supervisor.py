"""Sees to it that a DNS proxy lives: starts one where there is none, and again when it has died.

Agent and proxy do not die together, so a new agent may find a proxy of the one before. Both cases are one: whoever
holds the lock file is the proxy. The supervisor waits for the lock itself, in flock(2), which the kernel grants when
the last proxy has died, however that was; then it starts the next, which inherits the lock with the open file, so that
at no moment two could be started. Nothing is asked again and again.

In between it waits, longer each time (`cluster.backoff`), and as shortly as at first when a proxy has lived for a
while. Where questions are to be forwarded plainly meanwhile, the lease of the dead proxy is taken back at once; it
would end by itself a few seconds later.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import sys
import threading
import time
from collections.abc import Callable

from outgate.agent.dns_proxy import PROTOCOLS
from outgate.agent.dns_settings import DnsSettings
from outgate.cluster.backoff import Backoff
from outgate.errors import KernelError
from outgate.host import process
from outgate.host.closing import Closing
from outgate.host.names_door import NamesDoor
from outgate.nft.asking import LEASE

__all__ = ["DnsSupervisor", "proxy_command", "start_proxy"]

_LIVED = 60.0
"""Seconds after which a proxy's death counts as the first."""

Start = Callable[[DnsSettings, int], int]
"""Starts a proxy that inherits the descriptor of the lock; returns its pid."""


def proxy_command(settings: DnsSettings, lock: int) -> list[str]:
    """The words that start a proxy."""
    return [
        *(sys.executable, "-m", "outgate", "agent", "dns"),
        *("--run-dir", str(settings.run_dir), "--state-dir", str(settings.state_dir)),
        *("--while-down", "forward" if settings.leased else "closed", "--lock-fd", str(lock)),
    ]


def start_proxy(settings: DnsSettings, lock: int) -> int:
    """Starts a proxy of its own session: what ends the agent by its terminal or group does not end it."""
    argv = proxy_command(settings, lock)

    def become() -> int:
        os.setsid()
        os.set_inheritable(lock, True)
        process.replace(argv, os.environ)

    return process.fork(become)


class DnsSupervisor(Closing):
    """Begins at once, in a thread of its own and in the network namespace of the thread that makes it.

    At `close`, the proxy stays.
    """

    def __init__(
        self,
        settings: DnsSettings,
        *,
        start: Start = start_proxy,
        backoff: Backoff | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._start = start
        self._backoff = backoff or Backoff(random.SystemRandom())
        self._say = say
        self._ending = threading.Event()
        self.starts = 0
        """Proxies that were started from here."""
        self._thread = threading.Thread(target=self._supervise, name="dns-supervisor", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Starts none any more. The thread ends when the proxy does, or with this process."""
        self._ending.set()

    def _supervise(self) -> None:
        while not self._ending.is_set():
            try:
                lock = self._wait_for_lock()
            except OSError as error:
                self._say(f"{self._settings.lock_file} cannot be had: {(error.strerror or str(error)).lower()}")
                self._ending.wait(self._backoff.next())
                continue
            began = time.monotonic()
            try:
                if self._ending.is_set():
                    return
                pid = self._start(self._settings, lock)
                self.starts += 1
            except OSError as error:
                self._say(f"the DNS proxy cannot be started: {(error.strerror or str(error)).lower()}")
            else:
                # Ours to bury. The lock, of which the proxy has the only copy left, is free by then.
                os.close(lock)
                lock = -1
                _, status = os.waitpid(pid, 0)
                self._say(f"the DNS proxy has ended: {_ending(status)}")
            finally:
                if lock >= 0:
                    os.close(lock)
            self._forward()
            if time.monotonic() - began > _LIVED:
                self._backoff.reset()
            self._ending.wait(self._backoff.next())

    def _wait_for_lock(self) -> int:
        self._settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._settings.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _forward(self) -> None:
        if self._settings.leased:
            with contextlib.suppress(KernelError), NamesDoor() as door:
                door.lease(LEASE, PROTOCOLS, 0.0)


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"code {code}"
