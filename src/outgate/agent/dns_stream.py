"""Messages over TCP, each with its length in front (RFC 1035, 4.2.2), in both directions of a socket that never waits.

What the other side has not taken yet is kept, and so is what has come and nobody has looked at: how much of either may
be there is its owner's affair.
"""

from __future__ import annotations

import socket

from outgate.agent.dns_loop import Loop
from outgate.proxy import dns

__all__ = ["Stream"]

_CHUNK = 65536


class Stream:
    """One connection, which `Loop.watch` watches for its owner."""

    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        self.unsent = bytearray()
        """What the other side has not taken."""
        self._come, self._at = b"", 0
        self._wanted = (False, True)

    def put(self, message: bytes) -> None:
        """One more message to send."""
        self.unsent += dns.frame(message)

    def flush(self) -> bool:
        """Sends what the other side takes at once, and says whether it took any. Raises OSError: it is broken."""
        if not self.unsent:
            return False
        try:
            del self.unsent[: self.socket.send(self.unsent)]
        except BlockingIOError:
            return False
        return True

    def read(self) -> int | None:
        """How many octets have come: 0 at the end, None where there is nothing now. Raises OSError: it is broken."""
        try:
            data = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return None
        self._come, self._at = self._come[self._at :] + data, 0
        return len(data)

    @property
    def whole(self) -> bool:
        """Whether a message has come to its end."""
        begin = self._at + 2
        return len(self._come) >= begin and len(self._come) >= begin + self._length

    @property
    def first(self) -> bytes:
        """The message that stands first, where one is `whole`."""
        return self._come[self._at + 2 : self._at + 2 + self._length]

    def drop(self) -> None:
        """It has been looked at."""
        self._at += 2 + self._length

    @property
    def _length(self) -> int:
        return self._come[self._at] << 8 | self._come[self._at + 1]

    def want(self, loop: Loop, *, writing: bool, reading: bool) -> None:
        """For what the owner wants to be called; that something is broken is told in any case."""
        if self._wanted != (writing, reading):
            self._wanted = writing, reading
            loop.want_write(self.socket, writing, reading=reading)
