"""The DNS proxy of a node: a process of its own, which outlives the agent and is outlived by what it has learnt.

    pods ─► dns_udp, dns_tcp ─► dns_desk ─► names_commit ─► kernel
                                  │  ▲
                      proxy.learned  proxy.orders ◄─ a file, written by the agent

It begins with what the last one had learnt, and with the orders that stand; without orders it knows no pod and answers
nobody. Orders that cannot be read are said in the status and change nothing. It ends by a signal, and takes nothing out
of the kernel: elements have their own time. Only its lease (`DnsSettings.leased`) goes at once.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from outgate.agent.dns_desk import Desk
from outgate.agent.dns_loop import Loop
from outgate.agent.dns_measures import Measures
from outgate.agent.dns_refusals import Refusals
from outgate.agent.dns_settings import DnsSettings
from outgate.agent.dns_tcp import TcpSide
from outgate.agent.dns_udp import UdpSide, drawn_numbers
from outgate.agent.names_commit import Committer
from outgate.errors import InvalidInput, KernelError
from outgate.host.closing import Closing
from outgate.host.dns_sockets import Listeners
from outgate.host.inotify import FolderWatch
from outgate.host.learned_line import LearnedLine
from outgate.host.names_door import NamesDoor
from outgate.host.rewrite import put
from outgate.nft.asking import LEASE
from outgate.proxy.learned import Learned, Limits
from outgate.proxy.orders import Orders, read

__all__ = ["PROTOCOLS", "DnsProxy"]

PROTOCOLS = (bytes((6,)), bytes((17,)))
"""The members of the set that says that the proxy lives: TCP and UDP."""
_LEASED = 5.0
_TICK = 1.0
_LOOKED_FOR = 0.05
"""Seconds for which it is taken for known whether an agent listens."""
_SAVED_EVERY = 2.0
_STATUS_EVERY = 5.0


class DnsProxy(Closing):
    """Serves from the moment that it is made, if `run` is called. In the network namespace of its thread.

    Raises:
        KernelError: it cannot listen, or the kernel lacks nfnetlink, or there are no rights.
    """

    def __init__(
        self,
        settings: DnsSettings,
        *,
        limits: Limits | None = None,
        door: NamesDoor | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self._say = say
        self._clock = time.monotonic
        self._stopping = False
        self.measures = Measures()
        with contextlib.ExitStack() as stack:
            self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            stack.callback(os.close, self._bell)
            self._loop = stack.enter_context(Loop())
            for folder in (settings.orders_file.parent, settings.state_dir):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Watched before it is read: what is written in between is heard.
            self._watch = stack.enter_context(FolderWatch(settings.orders_file.parent))
            self._door = stack.enter_context(door or NamesDoor())
            line = stack.enter_context(LearnedLine(settings.learned_socket, settings.line_patience))
            self._committer = stack.enter_context(Committer(self._door, line))
            self._learned = Learned(self._clock, limits)
            self._refusals = stack.enter_context(Refusals(settings.refusals_file))
            self._waits, self._waits_until = 0.0, 0.0
            self._desk = Desk(self._learned, self._committer, self.measures, self._clock, self._waiting, self._refusals)
            self._recall()
            self._take_orders()
            # Only now may a question come: it is judged by what is known.
            listeners = stack.enter_context(Listeners())
            self._udp = stack.enter_context(UdpSide(self._loop, self._desk, listeners.udp, settings, self._clock))
            self._tcp = stack.enter_context(
                TcpSide(self._loop, self._desk, listeners.tcp, settings, self._clock, drawn_numbers())
            )
            self._loop.watch(self._committer, self._desk.committed)
            self._loop.watch(self._watch, self._orders_changed)
            self._loop.watch(_Bell(self._bell), lambda: None)
            self._stack = stack.pop_all()
        self._next_tick = self._next_saving = self._next_status = 0.0

    def close(self) -> None:
        """Lets go of everything."""
        self._stack.close()

    def stop(self) -> None:
        """Makes `run` return. May be called from a signal handler or another thread."""
        self._stopping = True
        os.eventfd_write(self._bell, 1)

    def run(self) -> None:
        """Serves until it is told to stop; then saves."""
        while not self._stopping:
            now = self._clock()
            if now >= self._next_tick:
                self._tick(now)
            until = self._next_tick
            deadline = self._desk.next_deadline()
            if deadline is not None:
                until = min(until, deadline)
            self._loop.wait(until - now)
            if deadline is not None:
                self._desk.overdue(self._clock())
        self._lease(0.0)
        self._save()
        self._write_status()

    def _tick(self, now: float) -> None:
        self._next_tick = now + _TICK
        self._udp.tick(now)
        self._tcp.tick(now)
        self._lease(_LEASED)
        if now >= self._next_saving:
            self._next_saving = now + _SAVED_EVERY
            self._learned.expire()
            if self._learned.changed:
                self._save()
        if now >= self._next_status:
            self._next_status = now + _STATUS_EVERY
            self._write_status()

    def _waiting(self) -> float:
        """How long answers wait. It is looked for again now and then: a call of the kernel for each hands the
        interpreter to the other thread, which costs more than the call.
        """
        now = self._clock()
        if now >= self._waits_until:
            self._waits, self._waits_until = self.settings.waiting(), now + _LOOKED_FOR
        return self._waits

    # ---- orders, memory, status ------------------------------------------------------------------------------------

    def _orders_changed(self) -> None:
        if self._watch.wait(0):
            self._take_orders()

    def _take_orders(self) -> None:
        file = self.settings.orders_file
        try:
            orders = read(file.read_bytes(), str(file))
        except FileNotFoundError:
            return
        except OSError as error:
            self._fault(f"{file} cannot be read: {(error.strerror or str(error)).lower()}")
        except InvalidInput as error:
            self._fault(error.message)
        else:
            self.measures.fault = ""
            if self.measures.orders == 0:
                self._look(orders)
            if self.measures.orders == 0 or orders != self._desk.plan.orders:
                self._desk.follow(orders)
                # Before a pod is answered, that it is here: what it hears is then its own also after a sudden death.
                if self._learned.changed:
                    self._save()

    def _look(self, orders: Orders) -> None:
        """What the proxy before has left in the kernel. Nothing is under way yet that could change it meanwhile."""
        try:
            self._learned.found(self._door.standing(one.name for one in orders.sets))
        except KernelError as error:
            self._say(f"what is open cannot be read, and is taken for what was saved: {error}")

    def _fault(self, words: str) -> None:
        self.measures.fault = words
        self._say(f"the orders stay as they were: {words}")

    def _recall(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            try:
                data = self.settings.memory_file.read_bytes()
            except FileNotFoundError:
                raise
            except OSError as error:
                self._say(f"what was learnt cannot be read: {(error.strerror or str(error)).lower()}")
                return
            if not self._learned.recall(data, time.time()):
                self._say("what was learnt cannot be understood; it is learnt anew")

    def _save(self) -> None:
        self._learned.changed = False
        self._put(self.settings.memory_file, self._learned.saved(time.time()))

    def _write_status(self) -> None:
        status = self.measures.status(
            written=time.time(),
            process=os.getpid(),
            open_questions=len(self._udp.questions) + len(self._tcp.questions),
            learned=len(self._learned),
            evicted=self._learned.evicted,
            lost_lines=self._refusals.lost,
        )
        self._put(self.settings.status_file, status)

    def _put(self, file: Path, data: bytes) -> None:
        try:
            put(file, data, mode=0o600)
        except OSError as error:
            self._say(f"{file} cannot be written: {(error.strerror or str(error)).lower()}")

    def _lease(self, seconds: float) -> None:
        if self.settings.leased:
            self._committer.do(lambda: self._renew(seconds))

    def _renew(self, seconds: float) -> None:
        # The table may be missing: then nothing is led here either.
        with contextlib.suppress(KernelError):
            self._door.lease(LEASE, PROTOCOLS, seconds)


class _Bell:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        """The eventfd, which nobody reads: once it has rung, `run` ends."""
        return self._fd
