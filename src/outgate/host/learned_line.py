"""From the DNS proxy to the agent: which addresses have just been learned, before a pod hears of them.

The two are processes of their own, and neither waits for the other for long. The DNS proxy says what the kernel has
taken and waits until the agent has made something of it (`outgate.agent.proxying` tells Envoy), or its patience is
over. An agent that is late is told all the same, only not waited for, until it has caught up. Where nobody listens,
nothing is said. A message is a list of (set, pod, address); a byte for each message is the answer.

What could not be said is in the kernel. So an agent reads it there whenever somebody connects.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from outgate.errors import KernelError
from outgate.host.closing import Closing
from outgate.host.waiting import readable
from outgate.packets import Address
from outgate.proxy.orders import Element

__all__ = ["PATIENCE", "Heard", "LearnedEar", "LearnedLine"]

Heard = tuple[str, Address, Address]
"""The id of a set, the address of a pod, and an address that it has learned."""

PATIENCE = 0.9
"""Seconds: less than an answer waits where somebody listens (`DnsSettings.listened`)."""
_SULKING = 1.0
"""Seconds for which an agent that did not answer in time is not waited for, unless it catches up before."""
_TOGETHER = 400
"""Elements in one message, which is some 40 kB then."""
_LARGEST = 1 << 18
_AT_ONCE = 64
"""Messages that are heard together, where so many have come."""


class LearnedLine(Closing):
    """The DNS proxy's end. `path` is where the agent listens, if it does; `patience` in seconds. Used by one thread."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._socket: socket.socket | None = None
        self._unanswered = 0
        self._not_before = 0.0

    def close(self) -> None:
        """Hangs up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._unanswered = 0

    def tell(self, elements: Sequence[Element]) -> None:
        """Says that these are in the kernel, and waits until something is made of it, or for as long as is allowed."""
        try:
            for start in range(0, len(elements), _TOGETHER):
                self._say(elements[start : start + _TOGETHER])
            self._await()
        except TimeoutError:
            self._not_before = time.monotonic() + _SULKING
        except OSError:
            # Nobody listens, or it has ended, or has not listened for hundreds of messages.
            self.close()

    def _say(self, elements: Iterable[Element]) -> None:
        message = msgspec.json.encode([(one.set, one.source, one.address) for one in elements])
        try:
            self._connected().send(message)
        except ConnectionError:
            # The agent to which this went has ended; another may listen.
            self.close()
            self._connected().send(message)
        self._unanswered += 1

    def _connected(self) -> socket.socket:
        if self._socket is None:
            # Mostly nobody listens: to find that out by a socket would take thrice as long.
            os.stat(self._path)
            fresh = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
            try:
                fresh.connect(str(self._path))
            except OSError:
                fresh.close()
                raise
            self._socket = fresh
        return self._socket

    def _await(self) -> None:
        """Raises TimeoutError where the agent is late; not where it is known to be."""
        sulking = time.monotonic() < self._not_before
        deadline = time.monotonic() + self._patience
        while self._socket is not None and self._unanswered:
            left = 0.0 if sulking else max(deadline - time.monotonic(), 0.0)
            if not readable(self._socket, within=left):
                if sulking:
                    return
                raise TimeoutError
            answers = self._socket.recv(_LARGEST)
            if not answers:
                raise ConnectionResetError
            self._unanswered -= len(answers)
        self._not_before = 0.0


class LearnedEar(Closing):
    """The agent's end: a thread that calls `heard` with what is said, and answers when that returns.

    `called` is told when somebody connects, who may have been trying for some time: what is learned is to be read from
    the kernel.

    Raises:
        KernelError: there cannot be a socket at the path.
    """

    def __init__(
        self,
        path: Path,
        heard: Callable[[Sequence[Heard]], object],
        called: Callable[[], object] = lambda: None,
    ) -> None:
        self._heard = heard
        self._called = called
        self._path = path
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            self._listening.bind(str(path))
            path.chmod(0o600)
            self._listening.listen(4)
        except OSError as error:
            self._listening.close()
            raise KernelError(f"{path} cannot be listened at: {error.strerror or error}") from error
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._listen, name="learned", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listens no more."""
        os.eventfd_write(self._bell, 1)
        self._thread.join()
        os.close(self._bell)
        self._listening.close()
        self._path.unlink(missing_ok=True)

    def _listen(self) -> None:
        talking: list[socket.socket] = []
        with contextlib.ExitStack() as stack:
            while True:
                ready = readable(self._bell, self._listening, *talking, within=None)
                if self._bell in ready:
                    return
                if self._listening in ready:
                    talking.append(stack.enter_context(self._listening.accept()[0]))
                    talking[-1].setblocking(False)
                    self._called()
                for one in [one for one in talking if one in ready]:
                    if not self._answer(one):
                        one.close()
                        talking.remove(one)

    def _answer(self, one: socket.socket) -> bool:
        """Whether the other end is still there. All that has come is heard at once: who is behind catches up."""
        with contextlib.suppress(OSError, msgspec.DecodeError, ValueError):
            messages = list(itertools.islice(_waiting(one), _AT_ONCE))
            if messages:
                self._heard([heard for message in messages for heard in _read(message)])
                one.send(b"." * len(messages))
                return True
        return False


def _waiting(one: socket.socket) -> Iterator[bytes]:
    """The messages that have come."""
    with contextlib.suppress(BlockingIOError):
        while said := one.recv(_LARGEST):
            yield said


def _read(message: bytes) -> Iterator[Heard]:
    for name, pod, address in msgspec.json.decode(message, type=list[tuple[str, bytes, bytes]]):
        yield name, ipaddress.ip_address(pod), ipaddress.ip_address(address)
