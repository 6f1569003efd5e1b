"""An answer, whole or as it comes: a watch is one answer that lasts for minutes, a line for each event.

What ends a stream is told apart: the server has said that this is all (`lines` ends), or the connection is gone, its
time is over, or what comes is no HTTP (`CutError`). A line that is not complete is never given out.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from outgate.cluster.connection import reason

__all__ = ["Answer", "CutError", "Stream", "seconds_asked"]

LINE_LIMIT = 1 << 26
"""Bytes of one line. etcd takes 1.5 MiB an object, and JSON may make some times as much of it."""

WORDS_LIMIT = 1 << 20
"""Bytes of an answer of which only the words are wanted."""

_CHUNK = 1 << 16


class _Status(msgspec.Struct):
    """What an API server says of a failure (metav1.Status)."""

    message: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whatever its status."""

    status: int
    body: bytes
    retry_after: str = ""

    @property
    def words(self) -> str:
        """What the server says of a failure, on one line."""
        try:
            said = msgspec.json.decode(self.body, type=_Status).message
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            said = self.body[:300].decode(errors="replace")
        line = " ".join(said.split())
        return "".join(letter if letter.isprintable() else "�" for letter in line) or "no words of its own"


def seconds_asked(header: str, otherwise: float) -> float:
    """What ``Retry-After`` asks for in seconds. Its other form, a date, would need a clock that may be wrong."""
    return float(header) if header.isascii() and header.isdecimal() else otherwise


class CutError(Exception):
    """A stream ended before the server had said that it ends. `words` say how."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class Stream:
    """An answer that is being read. Close it, or use it with `with`."""

    def __init__(
        self,
        response: http.client.HTTPResponse,
        close: Callable[[], None],
        clock: Callable[[], float],
        within: Callable[[float], None],
    ) -> None:
        self._response = response
        self._close = close
        self._clock = clock
        self.within = within
        """Says, at any time, how many seconds from now on the rest may take."""
        self.status = response.status
        self.received = clock()
        """When the last bytes came, and with them the end of the line that was given out last."""

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        # An answer that ends with its connection has taken it over, and is the only one that can close it.
        self._response.close()
        self._close()

    def answer(self) -> Answer:
        """What there is to say besides the status, as far as it comes. Raises CutError."""
        body = bytearray()
        while len(body) < WORDS_LIMIT and (part := self._read()):
            body += part
        return Answer(self.status, bytes(body), self._response.getheader("Retry-After") or "")

    def lines(self) -> Iterator[bytes]:
        """Each line when it is complete, without its end, until the server has said that there are no more.

        Raises:
            CutError: there may be more, and they do not come.
        """
        begun: list[bytes] = []
        held = 0
        while part := self._read():
            first, found, rest = part.partition(b"\n")
            if not found:
                begun.append(first)
                held += len(first)
                if held > LINE_LIMIT:
                    raise CutError(f"a line has more than {LINE_LIMIT} bytes")
                continue
            yield b"".join((*begun, first))
            *complete, last = rest.split(b"\n")
            yield from complete
            begun, held = [last], len(last)
        if held:
            raise CutError("the last line is not complete")

    def _read(self) -> bytes:
        """What has come, at least a byte; nothing at the end."""
        try:
            part = self._response.read1(_CHUNK)
        except TimeoutError as error:
            raise CutError("its time is over") from error
        except (OSError, http.client.HTTPException) as error:
            raise CutError(reason(error)) from error
        except (ValueError, AttributeError) as error:
            # The length of a chunk may be anything, and `http.client` believes a negative one; and a connection that
            # another thread closes has no file to read from.
            raise CutError("the answer is no HTTP") from error
        self.received = self._clock()
        if not part and self._response.length:
            raise CutError("the answer is not complete")
        return part
