"""One connection to the watch server: requests in, lists and watches out, with the faults that were ordered."""

from __future__ import annotations

import bisect
import contextlib
import json
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from outgate.cluster.lists import RESOURCES, Resource
from tests.cluster.watchstore import Collection, Expired, Stored, chunk, event, read_token, selector, token
from tests.cluster.watchwrites import written

if TYPE_CHECKING:
    from tests.cluster.watchserver import WatchServer

__all__ = ["Exchange", "Failure", "Faults", "Request", "Traffic"]


@dataclass
class Traffic:
    """What a client has cost; `bytes` with the heads, `events` without bookmarks."""

    connections: int = 0
    requests: int = 0
    lists: int = 0
    watches: int = 0
    bytes: int = 0
    events: int = 0
    bookmarks: int = 0


@dataclass(frozen=True)
class Request:
    """A request as it came, and when by a clock that never steps."""

    client: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float


@dataclass
class Failure:
    """An answer that is ordered for some requests."""

    code: int
    times: int
    retry_after: int | None = None
    words: str = ""


@dataclass
class Faults:
    """What goes wrong for everybody."""

    failures: list[Failure] = field(default_factory=list)
    flowing: threading.Event = field(default_factory=threading.Event)
    half: bool = False
    slow: bool = False
    unfinished: int = 0
    """Streaming lists that are cut off in their middle."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.flowing.set()

    def leaves_unfinished(self) -> bool:
        """Whether a streaming list is to be cut off, used up by it."""
        with self.lock:
            if not self.unfinished:
                return False
            self.unfinished -= 1
            return True

    def failure(self) -> Failure | None:
        """The failure for a request, used up by it."""
        with self.lock:
            if not self.failures:
                return None
            one = self.failures[0]
            one.times -= 1
            if one.times <= 0:
                del self.failures[0]
            return one


REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 410: "Expired", 422: "Invalid"}
REASONS |= {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
NO_GATE = (
    'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch '
    "unless the WatchList feature gate is enabled"
)
TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter."
)


LOOK = 1.0
"""Seconds between two looks at whether the client of an idle watch is still there."""


class HungUpError(Exception):
    """The connection is over."""


class Exchange:
    """A connection, and the thread that serves it."""

    def __init__(self, server: WatchServer, sock: socket.socket, peer: str, tls: ssl.SSLContext | None) -> None:
        self.server = server
        self.kind = ""
        """Of the watch that is open; empty where none is."""
        self.caught_up = False
        self.cut_inside = False
        self.finished = False
        self.bookmark_due = False
        self.extra: list[bytes] = []
        self._sock = sock
        self._peer = peer
        self._tls = tls
        self._traffic = server.traffic[peer]
        self.over = False

    def hang_up(self, *, reset: bool = False) -> None:
        """From any thread: end the connection in the middle of whatever it does, or reset it."""
        self.over = True
        with contextlib.suppress(OSError):
            if reset:
                # Without a time to linger the end is a reset; and it comes with `close`, so it must not be said before.
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.socket.shutdown(self._sock, socket.SHUT_RD if reset else socket.SHUT_RDWR)
        self.server._signal("", "")

    def run(self) -> None:
        """Serve until either end hangs up."""
        first = True
        try:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                self._sock = self._tls.wrap_socket(self._sock, server_side=True)
            with self._sock.makefile("rb") as reader:
                while (request := self._request(reader)) is not None:
                    self._traffic.connections += first
                    first = False
                    self._traffic.requests += 1
                    self.server.asked.append(request)
                    self.server.notice()
                    self.server.before(request)
                    self._answer(request)
                    self.server.notice()
        except (OSError, HungUpError, ValueError):
            pass
        finally:
            self._sock.close()

    def _request(self, reader: Any) -> Request | None:
        line = reader.readline(1 << 16)
        if not line:
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers: dict[str, str] = {}
        while (text := reader.readline(1 << 16).decode("latin-1").strip()) != "":
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", "0")))
        parts = urlsplit(target)
        client = headers.get("x-client", self._peer)
        self._traffic = self.server.traffic[client]
        return Request(client, method, parts.path, dict(parse_qsl(parts.query)), headers, body, time.monotonic())

    # -- answers -------------------------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> None:
        server = self.server
        failure = server.faults.failure()
        if failure is not None:
            self.fail(failure.code, failure.words or f"ordered: {failure.code}", failure.retry_after)
            return
        if server.token and request.headers.get("authorization") != f"Bearer {server.token}":
            self.fail(401, "Unauthorized")
            return
        collection = self._collection(request.path)
        versions = {version.api_version for one in RESOURCES if one.custom for version in one.versions}
        if request.method == "GET" and request.path.removeprefix("/apis/") in versions:
            self._discovery(request.path.removeprefix("/apis/"))
            return
        if collection is None or request.method != "GET":
            code, body = written(server, request)
            self._send_whole(code, json.dumps(body).encode())
            return
        verb = "watch" if request.query.get("watch") in ("1", "true") else "list"
        resource = collection.resource
        if (verb, resource.kind) in server.forbidden:
            words = f'{resource.plural} is forbidden: User "x" cannot {verb} resource "{resource.plural}" in API group '
            self.fail(403, f'{words}"{resource.api_version.rpartition("/")[0]}" at the cluster scope')
        elif resource.kind in server.absent:
            self.fail(404, "404 page not found")
        elif verb == "list":
            self._list(request, collection)
        else:
            self._watch(request, collection)

    def _collection(self, path: str) -> Collection | None:
        collections, moved = self.server.store.collections, self.server.moved
        if not moved:
            return collections.get(path)
        return next((one for one in collections.values() if self._served(one.resource).path == path), None)

    def _served(self, resource: Resource) -> Resource:
        """As the server has it now."""
        return replace(resource, api_version=self.server.moved.get(resource.kind, resource.api_version))

    def _discovery(self, version: str) -> None:
        served = map(self._served, RESOURCES)
        kinds = [one for one in served if one.api_version == version and one.kind not in self.server.absent]
        if kinds:
            resources = [{"name": one.plural, "kind": one.kind} for one in kinds]
            self._send_whole(200, json.dumps({"kind": "APIResourceList", "resources": resources}).encode())
        else:
            self.fail(404, "404 page not found")

    def fail(self, code: int, words: str, retry_after: int | None = None) -> None:
        """A failure as an API server words it."""
        more = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._send_whole(code, json.dumps(_status(code, words)).encode(), more)

    def _list(self, request: Request, collection: Collection) -> None:
        self._traffic.lists += 1
        query, store = request.query, self.server.store
        start: tuple[str, str] | None = None
        with store.lock:
            version = store.version
            if query.get("resourceVersionMatch") == "NotOlderThan" and int(query["resourceVersion"]) > version:
                self.fail(504, f"Timeout: Too large resource version: {query['resourceVersion']}, current: {version}")
                return
            try:
                if "continue" in query:
                    version, start = read_token(query["continue"])
                    if version < collection.floor:
                        raise Expired
                fields, labels = query.get("fieldSelector", ""), query.get("labelSelector", "")
                found = collection.listed(version, store.version, fields, labels)
            except Expired:
                self.fail(410, TOO_OLD)
                return
        first = 0 if start is None else bisect.bisect_right(found, start, key=lambda one: one.key)
        limit = int(query.get("limit", "0")) or len(found)
        page = found[first : first + limit]
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if first + limit < len(found):
            metadata["continue"] = token(version, page[-1].key)
            metadata["remainingItemCount"] = len(found) - first - limit
        kind, api = collection.resource.kind, collection.resource.api_version
        head = json.dumps({"kind": f"{kind}List", "apiVersion": api, "metadata": metadata})[:-1].encode()
        self._send_whole(200, head + b', "items": [' + b",".join(one.text for one in page) + b"]}")

    def _send_whole(self, code: int, body: bytes, more: Mapping[str, str] | None = None) -> None:
        self._send(_head(code, {**(more or {}), "Content-Length": str(len(body))}) + body)

    # -- watches -------------------------------------------------------------------------------------------------------

    def _watch(self, request: Request, collection: Collection) -> None:
        self._traffic.watches += 1
        query, store = request.query, self.server.store
        matches = selector(query.get("fieldSelector", ""), query.get("labelSelector", ""))
        asked = query.get("resourceVersion", "")
        streaming = query.get("sendInitialEvents") == "true"
        if streaming and self.server.streaming == "refused":
            self.fail(422, NO_GATE)
            return
        initial: list[Stored] = []
        with store.lock:
            version = store.version
            try:
                if streaming or asked in ("", "0"):
                    initial = collection.listed(
                        version, version, query.get("fieldSelector", ""), query.get("labelSelector", "")
                    )
                    position = len(collection.changes)
                else:
                    position = collection.position(int(asked))
            except Expired:
                position = -1
            self._begin(collection)
        try:
            self._send(_head(200, {"Transfer-Encoding": "chunked"}))
            if position < 0:
                gone = json.dumps({"type": "ERROR", "object": _status(410, f"too old resource version: {asked}")})
                self._send(chunk(gone.encode() + b"\n"))
            else:
                if streaming and self.server.faults.leaves_unfinished():
                    self._send_initial(collection, initial[: len(initial) // 2])
                    self.hang_up()
                    raise HungUpError
                self._send_initial(collection, initial)
                if streaming and self.server.streaming == "offered":
                    self._send(_bookmark(collection, version, initial=True))
                self._changes(collection, position, matches, query)
            self._send(b"0\r\n\r\n")
        finally:
            self.kind = ""

    def _begin(self, collection: Collection) -> None:
        self.caught_up = self.finished = self.bookmark_due = self.cut_inside = False
        self.extra = []
        self.kind = collection.resource.kind

    def _send_initial(self, collection: Collection, initial: list[Stored]) -> None:
        for first in range(0, len(initial), 256):
            some = initial[first : first + 256]
            self._send(b"".join(chunk(event("ADDED", collection.head, one.text)) for one in some))
            self._traffic.events += len(some)

    def _changes(
        self, collection: Collection, position: int, matches: Callable[[Stored], bool] | None, query: Mapping[str, str]
    ) -> None:
        # What is not newer than what the client has is not sent, though that may be a version that is yet to come.
        since = int(query.get("resourceVersion") or 0)
        now = time.monotonic()
        end = now + float(query.get("timeoutSeconds", "3600"))
        marks = query.get("allowWatchBookmarks") == "true"
        next_mark = now + self.server.bookmark_every
        while not self.over:
            with collection.changed:
                self._await(collection, position, min(end, next_mark) if marks else end)
                lines = [one.line(matches) for one in collection.changes[position:] if one.after.version > since]
                position, version = len(collection.changes), self.server.store.version
                extra, self.extra = self.extra, []
                now = time.monotonic()
                finished = self.finished or now >= end
                mark = marks and version >= since and (self.bookmark_due or finished or now >= next_mark)
                self.bookmark_due = False
                since = max(since, version)
            self._send(b"".join(map(chunk, extra)))
            if any(b'"ERROR"' in line for line in extra):
                return
            self._send_events([line for line in lines if line])
            if mark:
                next_mark = now + self.server.bookmark_every
                self._traffic.bookmarks += 1
                self._send(_bookmark(collection, version, initial=False))
            if finished:
                return
        raise HungUpError

    def _await(self, collection: Collection, position: int, until: float) -> None:
        """Wait for something to do, with the lock held."""
        while not (self.over or self.finished or self.bookmark_due or self.extra or position < len(collection.changes)):
            if not self.caught_up:
                self.caught_up = True
                # Who waits for this holds no lock of the store.
                self.server.notice()
            left = until - time.monotonic()
            if left <= 0:
                return
            if not collection.changed.wait(min(left, LOOK)) and self._is_left():
                self.over = True
        self.caught_up = False

    def _is_left(self) -> bool:
        """Whether the client has hung up: it has nothing to say during a watch, so all that can be read is the end."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | select.POLLRDHUP)
        return bool(poll.poll(0))

    def _send_events(self, lines: list[bytes]) -> None:
        if not lines:
            return
        if self.cut_inside:
            self._send(b"".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])
            self.hang_up()
            raise HungUpError
        self._traffic.events += len(lines)
        self._send(b"".join(lines))

    def _send(self, data: bytes) -> None:
        faults = self.server.faults
        # Counted first: once it is sent, somebody may look.
        self._traffic.bytes += len(data)
        if data and not faults.flowing.is_set():
            if faults.half:
                self._sock.sendall(data[: len(data) // 2])
                data = data[len(data) // 2 :]
            while not faults.flowing.wait(0.05):
                if self.over:
                    raise HungUpError
        if faults.slow:
            for i in range(len(data)):
                self._sock.sendall(data[i : i + 1])
        else:
            self._sock.sendall(data)


def _head(code: int, more: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {code} {REASONS.get(code, 'OK')}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in more.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def _status(code: int, words: str) -> dict[str, Any]:
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": words}
    return {**body, "reason": REASONS.get(code, ""), "code": code}


def _bookmark(collection: Collection, version: int, *, initial: bool) -> bytes:
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if initial:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    resource = collection.resource
    value = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    if resource.kind == "Pod":
        value |= {"spec": {"containers": None}, "status": {}}
    return chunk(json.dumps({"type": "BOOKMARK", "object": value}).encode() + b"\n")
