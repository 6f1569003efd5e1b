"""One HTTP connection to an API server, with TLS and with a limit on time that holds.

A socket's own time-out starts anew with every byte, so a server that sends one byte now and then is waited for
without end. Here every read and write gets what is left until a deadline for the whole exchange; a `Deadline` without
an end is for a watch, which is meant to last.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
import tempfile
from collections.abc import Callable
from typing import IO, Any

from outgate.cluster.access import Access, Credentials
from outgate.errors import InvalidInput

__all__ = ["Connection", "Deadline", "tls"]


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


class Connection(http.client.HTTPConnection):
    """A connection that is opened by the first request."""

    def __init__(self, access: Access, context: ssl.SSLContext | None, deadline: Deadline) -> None:
        host = access.url.hostname or ""
        super().__init__(host, access.url.port or (443 if context else 80))
        self._access = access
        self._context = context
        self._deadline = deadline

    def connect(self) -> None:
        """Open it. Raises OSError, of which `ssl.SSLError` is one."""
        raw = socket.create_connection((self.host, self.port), timeout=self._deadline.left())
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                raw = self._context.wrap_socket(raw, server_hostname=self._access.server_name or self.host)
        except BaseException:
            raw.close()
            raise
        self.sock = _Socket(raw, self._deadline)


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
    if not access.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif access.authority is None:
        context.load_default_certs()
    else:
        try:
            # What people write between the certificates, in any language, is passed over.
            context.load_verify_locations(cadata=access.authority.decode("ascii", "ignore"))
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
