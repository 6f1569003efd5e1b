"""A small API server on loopback, with the shapes and the moods of a real one.

`ApiServer` answers each request by a function; `Shelf` is such a function: it lists objects by page as an API server
does, in the shapes that `conformance/apiserver_session.json` has recorded, and fails as it is told to.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from outgate.cluster.access import Access, Credentials
from outgate.cluster.lists import RESOURCES

__all__ = ["ApiServer", "Asked", "Reply", "Shelf", "access_to", "certificate", "status"]

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    method: str = "GET"
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """What is sent back. Text and bytes go out as they are; `raw` replaces everything, head included.

    With `cut` the connection ends after so many bytes of the body; with `hold` the server then waits, until it is
    stopped, before it sends the rest.
    """

    code: int = 200
    body: object = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    cut: int | None = None
    hold: int | None = None


def status(code: int, reason: str, message: str, **headers: str) -> Reply:
    """A failure as an API server words it."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return Reply(code, {**body, "reason": reason, "code": code}, {k.replace("_", "-"): v for k, v in headers.items()})


class ApiServer:
    """Serves on a port of its own until it is closed. `answer` may be changed at any time."""

    def __init__(self, answer: Callable[[Asked], Reply], tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self), tls)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait for all that is still being answered."""
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> ApiServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None):
        self._tls = tls
        super().__init__(address, handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake belongs to the thread of the connection: one that fails must not stop the others.
        if self._tls is not None:
            request = self._tls.wrap_socket(request, server_side=True)
        try:
            super().finish_request(request, client_address)
        finally:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
            request.close()

    def handle_error(self, _request: object, _client_address: object) -> None:
        """Clients of these tests hang up and distrust on purpose."""


def _handler_of(server: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            server.connections += 1

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            asked = Asked(parts.path, dict(parse_qsl(parts.query)), dict(self.headers), self.command, body)
            server.asked.append(asked)
            self.send(server.answer(asked))

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that the library looks for

        def send(self, reply: Reply) -> None:
            if reply.raw is not None:
                self.wfile.write(reply.raw)
                self.close_connection = True
                return
            text = reply.body if isinstance(reply.body, str | bytes) else json.dumps(reply.body)
            data = text.encode() if isinstance(text, str) else text
            self.send_response(reply.code)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: reply.cut if reply.cut is not None else reply.hold])
            if reply.hold is not None:
                server.stopping.wait(10)
                self.wfile.write(data[reply.hold :])
            self.close_connection = self.close_connection or reply.cut is not None

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@dataclass
class Shelf:
    """The objects of a cluster, by the path of their list. `trouble` is asked first and may answer instead."""

    objects: Iterable[Manifest]
    trouble: Callable[[Asked], Reply | None] = lambda _: None

    def __post_init__(self) -> None:
        self._lists: dict[str, list[Manifest]] = {resource.path: [] for resource in RESOURCES}
        self._kinds = {(one.api_version, one.kind): one.path for one in RESOURCES}
        for number, value in enumerate(self.objects):
            kind = (value["apiVersion"], value["kind"])
            told = {"uid": f"00000000-0000-4000-8000-{number:012}", "resourceVersion": str(number + 1)}
            item = {**value, "metadata": {**value["metadata"], **told}}
            # The items of a typed list do not say what they are.
            del item["apiVersion"], item["kind"]
            self._lists[self._kinds[kind]].append(item)

    def __call__(self, asked: Asked) -> Reply:
        """One page of a list."""
        trouble = self.trouble(asked)
        if trouble is not None:
            return trouble
        if asked.path == "/apis":
            groups: dict[str, set[str]] = {}
            for name, _, version in (version.partition("/") for version, _ in self._kinds if "/" in version):
                groups.setdefault(name, set()).add(version)
            named = [
                {"name": name, "versions": [{"version": one} for one in sorted(versions)]}
                for name, versions in groups.items()
            ]
            return Reply(body={"kind": "APIGroupList", "groups": named})
        if asked.path not in self._lists:
            return Reply(404, "404 page not found\n", {"Content-Type": "text/plain"})
        items = self._lists[asked.path]
        start = int(asked.query.get("continue", "0"))
        limit = int(asked.query.get("limit", len(items) or 1))
        page = items[start : start + limit]
        metadata = {"resourceVersion": "208"}
        if start + limit < len(items):
            metadata |= {"continue": str(start + limit)}
        kind = next(kind for (_, kind), path in self._kinds.items() if path == asked.path)
        return Reply(body={"kind": f"{kind}List", "apiVersion": "v1", "metadata": metadata, "items": page})


def access_to(server: ApiServer, name: str = "cluster:test", **more: Any) -> Access:
    """The access to a server, as nobody in particular."""
    return Access(name, urlsplit(server.url), Credentials, **more)


def certificate(folder: Path, name: str, *, names: str = "IP:127.0.0.1") -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"]
    subprocess.run([*words, "-out", str(cert), "-keyout", str(key)], check=True, capture_output=True, timeout=60)
    return cert, key
