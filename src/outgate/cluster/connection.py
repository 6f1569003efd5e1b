"""One HTTP connection to an API server, with TLS and with a limit on time that holds.

A socket's own time-out starts anew with every byte, so a server that sends one byte now and then is waited for
without end. Here every read and write gets what is left until a deadline for the whole exchange; a `Deadline` without
an end is for whoever sets one of its own.

A peer that vanished without a word is noticed by the kernel, which asks for a sign of life (keep-alive) and gives up on
what nobody acknowledges; and a connection can be broken off by another thread than the one that waits on it.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import select
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from typing import IO, Any

from outgate.cluster.access import Access, Credentials
from outgate.errors import InvalidInput

__all__ = ["Connection", "Deadline", "reason", "tls"]


class Deadline:
    """When an exchange has to be over, by a clock that counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._end: float | None = None

    def start(self, seconds: float | None) -> None:
        """So many seconds from now, or never."""
        self._end = None if seconds is None else self._clock() + seconds

    def left(self) -> float | None:
        """The seconds that are left, None where there is no end. Raises TimeoutError where there are none."""
        if self._end is None:
            return None
        rest = self._end - self._clock()
        if rest <= 0:
            raise TimeoutError
        return rest


class _Reading(io.RawIOBase):
    """What comes in, each read within what is left."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._inner = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._sock.settimeout(self._deadline.left())
        return self._inner.readinto(buffer)

    def close(self) -> None:
        self._inner.close()
        super().close()


class _Socket:
    """What `http.client` asks of a socket, each call within what is left."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, _mode: str) -> IO[bytes]:
        return io.BufferedReader(_Reading(self._sock, self._deadline), 1 << 16)

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self._deadline.left())
        self._sock.sendall(data)

    def close(self) -> None:
        self._sock.close()


_SIGNS_OF_LIFE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    # After 30 s of silence three questions, 10 s apart; and what was sent is acknowledged within a minute, or it is
    # over (tcp(7): "TCP_USER_TIMEOUT [...] the maximum amount of time in milliseconds").
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
)


class Connection(http.client.HTTPConnection):
    """A connection that is opened by the first request, with the credentials that it stands for."""

    def __init__(
        self, access: Access, context: ssl.SSLContext | None, deadline: Deadline, credentials: Credentials | None = None
    ) -> None:
        host = access.url.hostname or ""
        super().__init__(host, access.url.port or (443 if context else 80))
        self.deadline = deadline
        self.credentials = credentials
        self._access = access
        self._context = context
        self._lock = threading.Lock()
        self._raw: socket.socket | None = None
        self._broken = False

    def connect(self) -> None:
        """Open it. Raises OSError, of which `ssl.SSLError` is one."""
        problem: OSError | None = None
        for family, kind, protocol, _, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            try:
                self._connect(socket.socket(family, kind, protocol), address)
            except ssl.SSLError:
                raise
            except OSError as error:
                problem = error
            else:
                return
        raise problem or OSError("the name has no address")

    def _connect(self, raw: socket.socket, address: Any) -> None:
        try:
            self._hold(raw)
            for level, option, value in _SIGNS_OF_LIFE:
                raw.setsockopt(level, option, value)
            raw.settimeout(self.deadline.left())
            raw.connect(address)
            if self._context is not None:
                raw = self._context.wrap_socket(raw, server_hostname=self._access.server_name or self.host)
                self._hold(raw)
        except BaseException:
            raw.close()
            raise
        self.sock = _Socket(raw, self.deadline)

    def _hold(self, raw: socket.socket) -> None:
        """Keep a socket where `break_off` finds it. Raises OSError where that was called already."""
        with self._lock:
            self._raw = raw
            if self._broken:
                raise ConnectionAbortedError("broken off")

    @property
    def stale(self) -> bool:
        """Whether it is of no use any more: between two answers nothing comes but the end."""
        if self.sock is None or self._raw is None:
            return True
        poll = select.poll()
        poll.register(self._raw, select.POLLIN | select.POLLRDHUP)
        return bool(poll.poll(0))

    def break_off(self) -> None:
        """From any thread: whoever connects, writes or reads here gets an OSError or the end, and does so now."""
        with self._lock:
            self._broken = True
            if self._raw is not None:
                # Not the method of a socket with TLS: it takes away the state that the other thread works with.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._raw, socket.SHUT_RDWR)


def tls(access: Access, credentials: Credentials) -> ssl.SSLContext | None:
    """How the connection is secured; None for a server at ``http://``.

    Raises:
        InvalidInput: a certificate or a key is none.
    """
    if access.url.scheme == "http":
        return None
    # Not `create_default_context`: from Python 3.13 on it refuses authorities without a key identifier, which many
    # clusters have made for themselves.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    authority = access.authority if access.authority_now is None else access.authority_now()
    if not access.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authority is None:
        context.load_default_certs()
    else:
        try:
            # What people write between the certificates, in any language, is passed over.
            context.load_verify_locations(cadata=authority.decode("ascii", "ignore"))
        except (ssl.SSLError, ValueError) as error:
            raise InvalidInput(f"{access.name}: the certificate authority is no certificate in PEM") from error
    if credentials.certificate is not None and credentials.key is not None:
        _present(context, access, credentials.certificate, credentials.key)
    return context


def _present(context: ssl.SSLContext, access: Access, certificate: bytes, key: bytes) -> None:
    """Our own certificate. OpenSSL takes it from a file only: one that nobody else can read, and not for long."""

    def ask() -> bytes:
        # Without this it would ask at the terminal.
        raise InvalidInput(f"{access.name}: the client key is locked with a password", hint="give a key without one")

    with tempfile.TemporaryDirectory(prefix="outgate-") as folder:
        file = os.path.join(folder, "client.pem")
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(certificate.rstrip() + b"\n" + key)
        try:
            context.load_cert_chain(file, password=ask)
        except ssl.SSLError as error:
            words = "they do not belong together" if "MISMATCH" in str(error) else "they are not both in PEM"
            raise InvalidInput(f"{access.name}: the client certificate and its key cannot be used: {words}") from error


def reason(error: Exception) -> str:
    """Why an exchange failed, in a few words of lower case."""
    if isinstance(error, http.client.IncompleteRead):
        return "the answer is not complete"
    if isinstance(error, http.client.HTTPException) and not isinstance(error, http.client.RemoteDisconnected):
        return "the answer is no HTTP"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return (getattr(error, "strerror", None) or str(error)).lower()
