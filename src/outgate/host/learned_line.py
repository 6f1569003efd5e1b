"""From the DNS proxy to the agent: which addresses have just been learned, before a pod hears of them.

The two are processes of their own, and neither waits for the other for long. The DNS proxy says what the kernel has
taken and waits until the agent has made something of it (`outgate.agent.proxying` tells Envoy), or `PATIENCE` is over;
where nobody listens, it says nothing. A message is a list of (set, pod, address); a byte is the answer.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from outgate.errors import KernelError
from outgate.host.closing import Closing
from outgate.packets import Address
from outgate.proxy.orders import Element

__all__ = ["PATIENCE", "Heard", "LearnedEar", "LearnedLine"]

Heard = tuple[str, Address, Address]
"""The id of a set, the address of a pod, and an address that it has learned."""

PATIENCE = 0.9
"""Seconds: less than an answer waits where somebody listens (`DnsSettings.listened`)."""
_SULKING = 1.0
"""Seconds for which an agent that did not answer in time is not waited for."""
_TOGETHER = 400
"""Elements in one message, which is some 40 kB then."""
_LARGEST = 1 << 18


class LearnedLine(Closing):
    """The DNS proxy's end. `path` is where the agent listens, if it does. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._not_before = 0.0

    def close(self) -> None:
        """Hangs up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def tell(self, elements: Sequence[Element]) -> None:
        """Says that these are in the kernel, and waits until something is made of it, or for as long as is allowed."""
        if time.monotonic() < self._not_before:
            return
        try:
            for start in range(0, len(elements), _TOGETHER):
                self._tell(elements[start : start + _TOGETHER])
        except FileNotFoundError:
            pass
        except OSError:
            # What is late is read by the agent from the kernel, some time later.
            self.close()
            self._not_before = time.monotonic() + _SULKING

    def _tell(self, elements: Iterable[Element]) -> None:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._socket.settimeout(PATIENCE)
            try:
                self._socket.connect(str(self._path))
            except OSError:
                self.close()
                raise
        self._socket.send(msgspec.json.encode([(one.set, one.source, one.address) for one in elements]))
        if not self._socket.recv(1):
            raise ConnectionResetError


class LearnedEar(Closing):
    """The agent's end: a thread that calls `heard` with each message, and answers when that returns.

    Raises:
        KernelError: there cannot be a socket at the path.
    """

    def __init__(self, path: Path, heard: Callable[[Sequence[Heard]], object]) -> None:
        self._heard = heard
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
                asked: list[int | socket.socket] = [self._bell, self._listening, *talking]
                ready = select.select(asked, [], [])[0]
                if self._bell in ready:
                    return
                for one in [one for one in talking if one in ready]:
                    if not self._answer(one):
                        one.close()
                        talking.remove(one)
                if self._listening in ready:
                    talking.append(stack.enter_context(self._listening.accept()[0]))

    def _answer(self, one: socket.socket) -> bool:
        """Whether the other end is still there."""
        with contextlib.suppress(OSError, msgspec.DecodeError, ValueError):
            said = one.recv(_LARGEST)
            if said:
                told = msgspec.json.decode(said, type=list[tuple[str, bytes, bytes]])
                self._heard([(name, ipaddress.ip_address(pod), ipaddress.ip_address(it)) for name, pod, it in told])
                one.send(b".")
                return True
        return False
