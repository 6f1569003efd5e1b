"""An API server to watch: it lists, pages, watches, bookmarks, forgets, and fails in every way that it is told to.

    with WatchServer() as server:
        server.put({"apiVersion": "v1", "kind": "Pod", ...})
        server.url                      http://127.0.0.1:41234
        server.compact()                410 for who asks for what was before now
        server.cut()                    all watches end in the middle of nothing; `inside=True`: of the next event
        server.fail(429, times=3, retry_after=7)
        server.down(), server.up()      nobody listens at the port any more; and again
    server.restore(backup)          it comes back as it was at `server.backup()`

Its shapes and words are those of ``conformance/apiserver_session.json`` and of the server that was recorded there. It
answers on a real TCP port of any address, each connection in a thread, so it can stand in a network namespace and be
asked by many clients: what is sent is encoded once for all of them. `traffic` counts what each of them costs, by the
header ``X-Client`` where one is sent, else by address. What is written over HTTP is in `tests.cluster.watchwrites`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from tests.cluster.watchstore import Backup, Manifest, Store
from tests.cluster.watchstreams import Exchange, Failure, Faults, Request, Traffic

__all__ = ["WatchServer"]

Streaming = Literal["offered", "refused", "unknown"]


class WatchServer:
    """Serves until it is closed. Its settings may be changed at any time.

    `streaming` says what becomes of streaming lists: they are offered, refused in words (a server whose gate is off),
    or the parameter is passed over (a server that has never heard of it).
    """

    def __init__(
        self,
        address: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        streaming: Streaming = "offered",
        bookmark_every: float = 60.0,
    ) -> None:
        self.store = Store()
        self.streaming: Streaming = streaming
        self.bookmark_every = bookmark_every
        self.token = ""
        """The bearer token that is accepted; anything is where it is empty."""
        self.forbidden: set[tuple[str, str]] = set()
        """Verb (list, watch) and kind of what these credentials may not do."""
        self.absent: set[str] = set()
        """Kinds of custom resources that are not installed."""
        self.moved: dict[str, str] = {}
        """Kinds that are served under another version than the first one that they are asked for."""
        self.before: Callable[[Request], object] = lambda _: None
        """Is called with each request before it is answered."""
        self.faults = Faults()
        self.asked: deque[Request] = deque(maxlen=100_000)
        self.traffic: dict[str, Traffic] = defaultdict(Traffic)
        self.written: list[tuple[str, str, Manifest]] = []
        """Method, path and body of each write."""
        self.exchanges: set[Exchange] = set()
        self.seen = threading.Condition()
        self._tls = tls
        self._address = address
        self._port = port
        self._listener: socket.socket | None = None
        self._threads: set[threading.Thread] = set()
        self._accepting: threading.Thread | None = None
        self.up()

    # -- what there is -------------------------------------------------------------------------------------------------

    def put(self, value: Manifest) -> int:
        """Create an object, or replace the one of its name; its version."""
        return self.store.put(value)

    def put_all(self, values: Iterable[Manifest]) -> int:
        """Many at once; the last version."""
        return self.store.put_all(values)

    def delete(self, kind: str, namespace: str, name: str) -> int:
        """Remove an object; the version of that."""
        return self.store.delete(kind, namespace, name)

    def uninstall(self, kind: str) -> None:
        """Take out the definition of a kind: its objects go one by one, then the watches end, and it is not known."""
        for one in self.store.all(kind):
            self.delete(kind, "", one["metadata"]["name"])
        self.absent.add(kind)
        self.end(kind)

    def compact(self) -> None:
        """Forget the history: watches from before, and lists in the middle, are answered with 410."""
        self.store.compact()

    def backup(self) -> Backup:
        """What `restore` goes back to."""
        return self.store.backup()

    def restore(self, backup: Backup) -> None:
        """Go away, and come back as it was: with versions that are behind those that clients know."""
        self.down()
        self.store.restore(backup)
        self.up()

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def fail(self, code: int, *, times: int = 1, retry_after: int | None = None, words: str = "") -> None:
        """Answer the next requests with a failure."""
        self.faults.failures.append(Failure(code, times, retry_after, words))

    def cut(self, kind: str = "", *, inside: bool = False) -> None:
        """End the open watches (of a kind) without an end; with `inside`, in the middle of the next event of each."""
        for one in self._streams(kind):
            if inside:
                one.cut_inside = True
            else:
                one.hang_up()

    def end(self, kind: str = "") -> None:
        """End the open watches in peace, as at the end of their time."""
        self._signal(kind, "finished")

    def bookmark(self, kind: str = "") -> None:
        """Send a bookmark to every open watch that takes them."""
        self._signal(kind, "bookmark_due")

    def say(self, event: Mapping[str, Any] | bytes, kind: str = "") -> None:
        """Send a line of one's own to the open watches: an event of type ERROR, or nonsense."""
        line = event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n"
        with self.store.lock:
            for one in self._streams(kind):
                one.extra.append(line)
        self._signal(kind, "")

    def cut_initial(self, times: int) -> None:
        """Cut off the next streaming lists in their middle."""
        self.faults.unfinished = times

    def stall(self, *, inside: bool = False) -> None:
        """Send nothing more, to nobody; with `inside`, first the half of what is sent next."""
        self.faults.half = inside
        self.faults.flowing.clear()

    def flow(self) -> None:
        """Go on sending."""
        self.faults.half = False
        self.faults.flowing.set()

    @property
    def slow(self) -> bool:
        """Send each byte by itself."""
        return self.faults.slow

    @slow.setter
    def slow(self, value: bool) -> None:
        self.faults.slow = value

    def down(self) -> None:
        """Go away: nobody listens, and every connection is reset. What is stored stays."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # Closing alone does not wake the thread that accepts.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            assert self._accepting is not None
            self._accepting.join()
        for one in list(self.exchanges):
            one.hang_up(reset=True)

    def up(self) -> None:
        """Come back, at the same port."""
        assert self._listener is None
        self._listener = socket.create_server((self._address, self._port), backlog=1024)
        self._port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._accepting.start()

    # -- who watches ---------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self._tls else 'http'}://{self._address}:{self._port}"

    def watching(self, kind: str = "") -> int:
        """How many watches are open and have sent all that there was to send."""
        # Without the lock of the store: who waits in `until` holds another, and that one is taken within the first.
        return sum(one.caught_up and not one.over for one in self._streams(kind))

    def until(self, true: Callable[[], bool], seconds: float = 30.0) -> bool:
        """Wait until something is true that a request or a watch makes true; whether it is."""
        with self.seen:
            return self.seen.wait_for(true, seconds)

    def notice(self) -> None:
        """Something has happened that `until` may wait for."""
        with self.seen:
            self.seen.notify_all()

    def close(self) -> None:
        """Stop, and wait for every thread."""
        self.flow()
        if self._listener is not None:
            self.down()
        for one in list(self.exchanges):
            one.hang_up()
        for thread in list(self._threads):
            thread.join(10)

    def __enter__(self) -> WatchServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _streams(self, kind: str) -> list[Exchange]:
        return [one for one in list(self.exchanges) if one.kind and kind in ("", one.kind)]

    def _signal(self, kind: str, what: str) -> None:
        with self.store.lock:
            for one in self._streams(kind):
                if what:
                    setattr(one, what, True)
                self.store.of(one.kind).changed.notify_all()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            exchange = Exchange(self, connection, peer[0], self._tls)
            self.exchanges.add(exchange)
            thread = threading.Thread(target=self._serve, args=(exchange,), daemon=True)
            self._threads.add(thread)
            thread.start()

    def _serve(self, exchange: Exchange) -> None:
        try:
            exchange.run()
        finally:
            self.exchanges.discard(exchange)
            self._threads.discard(threading.current_thread())
            self.notice()

    def total(self) -> Traffic:
        """The traffic of all clients together."""
        many = list(self.traffic.values())
        return Traffic(
            **{one.name: sum(getattr(each, one.name) for each in many) for one in dataclasses.fields(Traffic)}
        )
