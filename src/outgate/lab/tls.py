"""TLS in the lab: an authority for one run, servers that have a certificate for whatever name they are asked for.

A server of the lab ends TLS itself. It learns from the first message of a client which name is meant (RFC 6066, 3), and
shows a certificate for that name; a client of the run believes nobody but the run's authority. So a handshake that
succeeds says that the client's own name has reached a server of this lab, and that nobody between them ends TLS.

Keys and certificates are files, because OpenSSL reads nothing else, in a folder that is the lab's own.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
from pathlib import Path

from outgate.lab.certificates import Certificate, Key, authority, leaf

__all__ = ["HANDSHAKE", "Authority", "Ending"]

HANDSHAKE = b"\x16\x03"
"""How a client of TLS begins (RFC 8446, 5.1): the type of the record, and its legacy version."""
_NOBODY = "nobody.outgate.invalid"
"""For a client that names no server."""
_AUTHORITY = "Outgate lab"
_MOST = 1000
"""Names that certificates are kept for."""


class Authority:
    """Made when it is first needed. May be used by several threads."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._signer: Certificate | None = None
        self._key = Key()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._server: ssl.SSLContext | None = None

    @property
    def file(self) -> Path:
        """The authority's certificate, for clients."""
        self._signed()
        return self._place / "authority.pem"

    def client(self) -> ssl.SSLContext:
        """The settings of a client that believes this authority alone."""
        return ssl.create_default_context(cafile=str(self.file))

    def accept(self) -> Ending:
        """The server's side of a new connection."""
        with self._lock:
            if self._server is None:
                self._server = self._context(_NOBODY)
                self._server.sni_callback = self._named
        return Ending(self._server)

    def _named(self, one: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name:
            with self._lock:
                one.context = self._context(name)

    def _context(self, name: str) -> ssl.SSLContext:
        found = self._contexts.get(name)
        if found is None:
            if len(self._contexts) >= _MOST:
                self._contexts.clear()
            found = self._contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            made = leaf(self._made(), [name], self._key)
            file = self._place / "server.pem"
            file.write_text(made.pem + made.key.pem)
            found.load_cert_chain(file)
        return found

    def _signed(self) -> Certificate:
        with self._lock:
            return self._made()

    def _made(self) -> Certificate:
        if self._signer is None:
            self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
            signer = authority(_AUTHORITY)
            (self._place / "authority.pem").write_text(signer.pem)
            self._signer = signer
        return self._signer


class Ending:
    """The server's side of one connection, without a socket: bytes in, bytes out, and what the client has said."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._in, self._out, server_side=True)
        self._ready = False
        self.said = b""
        """What the client has said so far, in plain."""
        self.failed = False
        """The client broke off, or speaks no TLS; what there is to tell it comes out of `feed`."""

    def feed(self, data: bytes) -> bytes:
        """Takes what has come, and gives what is to be sent."""
        self._in.write(data)
        try:
            if not self._ready:
                self._object.do_handshake()
                self._ready = True
            while more := self._object.read(65536):
                self.said += more
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.failed = True
        return self._out.read()

    def reply(self, data: bytes) -> bytes:
        """What is to be sent so that the client hears this, and that it is all."""
        self._object.write(data)
        # The client's own farewell is not waited for.
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLError):
            self._object.unwrap()
        return self._out.read()
