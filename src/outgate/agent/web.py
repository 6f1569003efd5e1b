"""The agent's small web server: ``/livez``, ``/readyz``, ``/metrics``, and nothing else.

Whoever can reach it may be hostile, or slow, or many. So a request is a GET of at most 8 KiB that is complete within
a few seconds, whatever it trickles; one answer, and the connection is closed. There are so many connections at a time
and no more: when another comes, the oldest has to go, so that those who hold the door open, or do not take what they
asked for, cannot keep the kubelet out, whose own requests take a millisecond.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from outgate.errors import KernelError, UsageError
from outgate.host.closing import Closing

__all__ = ["Page", "WebServer", "listening_address", "pages_of"]

_AT_ONCE = 32
_LONGEST = 8192
"""Bytes of a request's head."""
_PATIENCE = 5.0
"""Seconds within which a request is complete, and again its answer taken."""
_WORDS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    code: int
    body: bytes
    content_type: str = _TEXT


Answer = Callable[[Mapping[str, str]], Page]
"""What makes a page; it is given the request's headers, by lower-case names."""


def pages_of(
    live: Callable[[], tuple[bool, str]],
    ready: Callable[[], tuple[bool, str]],
    exposition: Callable[[str], tuple[str, bytes]],
) -> Mapping[str, Answer]:
    """The three pages, by their paths (`Publisher.live`, `Publisher.ready`, `Measures.exposition`)."""

    def said(ask: Callable[[], tuple[bool, str]]) -> Answer:
        def answer(_: Mapping[str, str]) -> Page:
            good, words = ask()
            return Page(200 if good else 503, f"{words}\n".encode())

        return answer

    def metrics(headers: Mapping[str, str]) -> Page:
        content_type, body = exposition(headers.get("accept", ""))
        return Page(200, body, content_type)

    return {"/livez": said(live), "/readyz": said(ready), "/metrics": metrics}


def listening_address(text: str) -> tuple[str, int]:
    """The address and port of ``127.0.0.1:9765``, ``[::1]:9765`` or ``:9765`` (every address).

    Raises:
        UsageError: it is none of these.
    """
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ipaddress.ip_address(bare) if host else ipaddress.IPv6Address("::")
        if not colon or (address.version == 6 and host and bare == host) or (address.version == 4 and bare != host):
            raise ValueError
        if not (port.isascii() and port.isdecimal() and int(port) < 65536):
            raise ValueError
    except ValueError as error:
        hint = "write ADDRESS:PORT, as in 127.0.0.1:9765, [::1]:9765 or :9765"
        raise UsageError(f"{text!r} is no address to listen on", hint=hint) from error
    return str(address), int(port)


class WebServer(Closing):
    """Serves pages from threads of its own until it is closed.

    Raises:
        UsageError: the address is none.
        KernelError: it cannot be listened on.
    """

    def __init__(
        self, listen: str, pages: Mapping[str, Answer], *, at_once: int = _AT_ONCE, patience: float = _PATIENCE
    ) -> None:
        host, port = listening_address(listen)
        self._pages, self._at_once, self._patience = pages, at_once, patience
        self._lock = threading.Lock()
        self._open: dict[socket.socket, None] = {}
        """Connections, the oldest first; without those that had to go."""
        self._room = threading.BoundedSemaphore(at_once)
        self._ending = False
        try:
            self._server = _listener(host, port, every=listen.startswith(":"))
        except OSError as error:
            raise KernelError(f"{listen} cannot be listened on: {(error.strerror or str(error)).lower()}") from error
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="web", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more requests."""
        self._ending = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()
        with self._lock:
            for one in self._open:
                _hang_up(one)

    def _accept(self) -> None:
        while not self._ending:
            try:
                connection = self._server.accept()[0]
            except OSError:
                # Out of file descriptors, or a client that has gone: neither lasts. A pause, so as not to spin.
                if not self._ending:
                    time.sleep(0.05)
                continue
            while not self._room.acquire(timeout=0.05):
                with self._lock:
                    oldest = next(iter(self._open), None)
                    if oldest is not None:
                        del self._open[oldest]
                        _hang_up(oldest)
            with self._lock:
                self._open[connection] = None
            try:
                threading.Thread(target=self._serve, args=(connection,), name="web", daemon=True).start()
            except RuntimeError:
                # The system gives no more threads.
                self._done(connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            head = _head(connection, time.monotonic() + self._patience)
            if head is not None:
                connection.settimeout(self._patience)
                connection.sendall(_written(self._answer(head)))
        except OSError:
            pass
        finally:
            self._done(connection)

    def _done(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.pop(connection, None)
            connection.close()
        self._room.release()

    def _answer(self, head: bytes) -> Page:
        first, *rest = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return Page(400, b"this is no request\n")
        if words[0] != "GET":
            return Page(405, b"only GET\n")
        answer = self._pages.get(words[1].partition("?")[0])
        if answer is None:
            return Page(404, b"there is nothing here\n")
        pairs = (line.partition(":") for line in rest)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        try:
            return answer(headers)
        except Exception:  # noqa: BLE001 - a page that fails must not take the thread and a place with it in silence
            return Page(503, b"this page cannot be made now\n")


def _listener(host: str, port: int, *, every: bool) -> socket.socket:
    if every and not socket.has_dualstack_ipv6():
        host = "0.0.0.0"  # noqa: S104 - what was asked for: every address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_AT_ONCE, dualstack_ipv6=every and ":" in host)


def _head(connection: socket.socket, deadline: float) -> bytes | None:
    """The head of a request; None where it does not come in time, or is too long, or the other side leaves."""
    head = b""
    while b"\r\n\r\n" not in head:
        left = deadline - time.monotonic()
        if left <= 0 or len(head) > _LONGEST:
            return None
        connection.settimeout(left)
        more = connection.recv(4096)
        if not more:
            return None
        head += more
    return head.partition(b"\r\n\r\n")[0]


def _written(page: Page) -> bytes:
    head = (
        f"HTTP/1.1 {page.code} {_WORDS[page.code]}",
        f"Content-Type: {page.content_type}",
        f"Content-Length: {len(page.body)}",
        "Connection: close",
        "X-Content-Type-Options: nosniff",
        "",
        "",
    )
    return "\r\n".join(head).encode() + page.body


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
