"""One thread, many sockets: who is called when which of them is ready.

`watch` names whom to call when a socket can be read, `want_write` when it can be written, too, and `wait` waits once
and calls. epoll tells of a broken connection whether anybody wants to read or not (epoll_ctl(2): EPOLLERR and EPOLLHUP
are "always" reported), so whoever may stop reading says who is called then, or the loop would turn without end.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Protocol

from outgate.host.closing import Closing

__all__ = ["Loop", "Watched"]


class Watched(Protocol):
    """Anything with a file descriptor."""

    def fileno(self) -> int:
        """The descriptor."""
        ...


class Loop(Closing):
    """Level-triggered: who does not read all is called again."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._ready: dict[int, tuple[Callable[[], None], Callable[[], None] | None]] = {}

    def close(self) -> None:
        """Watches no more."""
        self._poll.close()

    def watch(self, what: Watched, ready: Callable[[], None], broken: Callable[[], None] | None = None) -> None:
        """Calls `ready` whenever something can be read; `broken`, or else `ready`, when the connection is."""
        self._ready[what.fileno()] = ready, broken
        self._poll.register(what.fileno(), select.EPOLLIN)

    def want_write(self, what: Watched, wanted: bool, *, reading: bool = True) -> None:
        """Whether to call also when something can be written; and whether when it can be read."""
        mask = (select.EPOLLOUT if wanted else 0) | (select.EPOLLIN if reading else 0)
        self._poll.modify(what.fileno(), mask)

    def forget(self, what: Watched) -> None:
        """Calls nobody for it any more. To be said before it is closed."""
        if self._ready.pop(what.fileno(), None) is not None:
            self._poll.unregister(what.fileno())

    def wait(self, seconds: float) -> None:
        """Waits until something is ready, at most so long, and calls."""
        due = [(fd, mask, self._ready.get(fd)) for fd, mask in self._poll.poll(max(0.0, seconds))]
        for fd, mask, called in due:
            # One that was called before it may have ended this one, and opened another that has its descriptor now.
            if called is not None and self._ready.get(fd) is called:
                ready, broken = called
                if broken is not None and mask & (select.EPOLLERR | select.EPOLLHUP):
                    broken()
                else:
                    ready()
