"""Where the network plugin asks: the agent's end of the conversation with `outgate-cni` (`outgate.agent.plugin`).

    plugin ─ {"command":"ADD","namespace":…,"addresses":[…],"interface":…,"seconds":30} ─►  deliver(Born(…, token))
                                                                     …the loop places the pod, and calls answer(token)
           ◄─ {"result":"done"} ─────────────────────────────────────

One thread serves all clients of a unix socket that only root may open. Each client asks one question in one line, and
hangs up when it no longer waits, which gives `Forgotten`. Nothing that a client does, or leaves undone, holds up
another or the loop: sockets do not block, lines and clients are bounded, a question must come within seconds.

**A late DEL.** kubelet's garbage collection may send the DEL of a pod's *former* sandbox when the pod lives in a new
one already, under the same uid. The container that was added last for a pod is remembered, and the DEL of another one
is not passed on.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import os
import selectors
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from outgate.agent.events import Born, Died, Forgotten
from outgate.agent.world import Claim
from outgate.errors import KernelError
from outgate.nft.spelling import checked_interface

__all__ = ["MOST_CLIENTS", "MOST_LINE", "Server", "Tally"]

MOST_CLIENTS = 1024
"""Who may be connected at once; further ones wait in the backlog. A node has a few hundred pods at most."""
MOST_LINE = 64 * 1024
"""Bytes of a question. GC names every container of the node."""
_ASKING = 5.0
"""Seconds within which a question must be whole."""
_GRACE = 5.0
"""Seconds past its own limit after which a plugin that has not hung up is given up."""
_LONGEST_WAIT = 600.0
_REST = 1.0
"""Seconds for which nobody is accepted after the system has refused a connection."""
_MOST_REMEMBERED = 4096
"""Pods of which the container is known."""
_BAD_ENVIRONMENT, _BAD_WORDS, _BAD_CONFIG = 4, 6, 7
"""Error codes of the CNI specification."""

PodKey = tuple[str, str]
PluginEvent = Born | Died | Forgotten


class _Question(msgspec.Struct):
    command: Literal["ADD", "CHECK", "DEL", "GC", "STATUS"]
    namespace: str = ""
    name: str = ""
    uid: str = ""
    container: str = ""
    addresses: tuple[str, ...] = ()
    interface: str = ""
    seconds: float = 30.0
    valid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something happened, and how many seconds it took in all."""

    count: int = 0
    seconds: float = 0.0

    def plus(self, seconds: float) -> Tally:
        """One more."""
        return Tally(self.count + 1, self.seconds + seconds)


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    since: float
    until: float
    heard: bytearray = field(default_factory=bytearray)
    token: int = 0
    """Not 0 where it waits for an answer."""


class _Wrong(Exception):
    """A question that cannot be answered."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Server:
    """Serves the plugin from `start` until `stop`.

    `deliver` is called in the server's thread with each event and must not block. `ready` says whether pods can be
    started (STATUS). `observe`, where given, is called with a result and the seconds it took; the results are
    ``enforced`` (ADD and CHECK that were answered), ``abandoned`` (nobody waits any more), ``removed`` (DEL), ``late``
    (the DEL of a former sandbox), ``asked`` (GC, STATUS) and ``refused`` (no question of ours).
    """

    def __init__(
        self,
        path: Path,
        deliver: Callable[[PluginEvent], None],
        ready: Callable[[], bool],
        observe: Callable[[str, float], None] | None = None,
    ) -> None:
        self.path = path
        self.results: Mapping[str, Tally] = {}
        """Result → how often, and for how long a client waited. A new mapping whenever something is counted."""
        self._deliver, self._ready, self._observe = deliver, ready, observe
        self._tokens = itertools.count(1)
        self._clients: dict[int, _Client] = {}
        self._waiting: dict[int, _Client] = {}
        self._containers: dict[PodKey, tuple[str, str]] = {}
        """The pod → the container and the uid that it was added with last."""
        self._answered: deque[int] = deque()
        self._wake_reading: socket.socket | None = None
        self._wake_writing: socket.socket | None = None
        self._stopping = False
        self._listener: socket.socket | None = None
        self._inode = 0
        self._accepting = False
        self._rest_until = 0.0
        """When connections are accepted again after the system has refused one (monotonic)."""
        self._selector: selectors.BaseSelector
        self._thread = threading.Thread(target=self._serve, name="outgate-cni", daemon=True)

    @property
    def waiting(self) -> int:
        """How many plugins wait for an answer now."""
        return len(self._waiting)

    def start(self) -> None:
        """Open the socket, in the place of one that a dead agent left, and serve.

        Raises:
            KernelError: the socket cannot be made, or something that is no socket stands in its place.
        """
        self._listener = _listening(self.path)
        self._inode = self.path.stat().st_ino
        self._wake_reading, self._wake_writing = socket.socketpair()
        for one in (self._wake_reading, self._wake_writing):
            one.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_reading, selectors.EVENT_READ)
        self._accept_more()
        self._thread.start()

    def answer(self, token: int) -> None:
        """Tell a plugin that its pod is enforced. From any thread; nothing happens where nobody waits."""
        self._answered.append(token)
        self._wake()

    def stop(self) -> None:
        """Hang up on everybody and remove the socket. A plugin that waits asks the next agent."""
        if self._listener is None:
            return
        self._stopping = True
        self._wake()
        self._thread.join()
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        for client in list(self._clients.values()):
            self._hang_up(client)
        for one in (self._listener, self._wake_reading, self._wake_writing):
            if one is not None:
                one.close()
        self._selector.close()
        self._listener = None

    def _wake(self) -> None:
        # A full pipe wakes as well, and a closed one means that nobody is left to be woken.
        if self._wake_writing is not None:
            with contextlib.suppress(OSError):
                self._wake_writing.send(b"!")

    # ---- the thread ----------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(self._patience()):
                if self._wake_reading is not None and key.fileobj is self._wake_reading:
                    with contextlib.suppress(BlockingIOError):
                        self._wake_reading.recv(4096)
                elif key.fileobj is self._listener:
                    self._accept()
                elif (client := self._clients.get(key.fd)) is not None:
                    self._hear(client)
            while self._answered:
                waited = self._waiting.get(self._answered.popleft())
                if waited is not None:
                    self._reply(waited, {"result": "done"}, "enforced")
            now = time.monotonic()
            for client in [one for one in self._clients.values() if one.until <= now]:
                self._hang_up(client)
            self._accept_more()

    def _patience(self) -> float | None:
        moments = [client.until for client in self._clients.values()]
        if not self._accepting and len(self._clients) < MOST_CLIENTS:
            moments.append(self._rest_until)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _accept_more(self) -> None:
        assert self._listener is not None
        if not self._accepting and len(self._clients) < MOST_CLIENTS and time.monotonic() >= self._rest_until:
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._accepting = True

    def _accept_none(self) -> None:
        assert self._listener is not None
        self._selector.unregister(self._listener)
        self._accepting = False

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError:
            # No descriptors (EMFILE): the client stays in the backlog, where it would wake us without end.
            self._rest_until = time.monotonic() + _REST
            self._accept_none()
            return
        connection.setblocking(False)
        now = time.monotonic()
        self._clients[connection.fileno()] = _Client(connection, now, now + _ASKING)
        self._selector.register(connection, selectors.EVENT_READ)
        if len(self._clients) >= MOST_CLIENTS:
            self._accept_none()

    def _hear(self, client: _Client) -> None:
        try:
            part = client.connection.recv(16 * 1024)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self._hang_up(client)
        elif not client.token:
            client.heard += part
            if b"\n" in part:
                self._understand(client)
            elif len(client.heard) > MOST_LINE:
                self._refuse(client, _Wrong(_BAD_WORDS, f"the question is longer than {MOST_LINE} bytes"))
        elif len(client.heard) < MOST_LINE:
            client.heard += part
        else:
            self._hang_up(client)  # whoever goes on talking is no plugin of ours

    def _hang_up(self, client: _Client, result: str = "abandoned") -> None:
        descriptor = client.connection.fileno()
        if self._clients.pop(descriptor, None) is None:
            return
        self._selector.unregister(client.connection)
        self._count(result, client)
        client.connection.close()
        if client.token and self._waiting.pop(client.token, None) is not None and result == "abandoned":
            self._deliver(Forgotten(client.token))

    def _reply(self, client: _Client, answer: Mapping[str, object], result: str) -> None:
        # A few bytes fit the buffer of a new connection, or its end is dead: either way nothing is waited for.
        with contextlib.suppress(OSError):
            client.connection.send(msgspec.json.encode(answer) + b"\n")
        self._hang_up(client, result)

    def _refuse(self, client: _Client, wrong: _Wrong) -> None:
        self._reply(client, {"result": "refused", "code": wrong.code, "message": str(wrong)}, "refused")

    def _count(self, result: str, client: _Client) -> None:
        seconds = time.monotonic() - client.since
        self.results = {**self.results, result: self.results.get(result, Tally()).plus(seconds)}
        if self._observe is not None:
            self._observe(result, seconds)

    # ---- what is asked -------------------------------------------------------------------------------------------

    def _understand(self, client: _Client) -> None:
        try:
            question = msgspec.json.decode(bytes(client.heard).partition(b"\n")[0], type=_Question)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._refuse(client, _Wrong(_BAD_WORDS, f"the question is not understood: {error}"))
            return
        try:
            match question.command:
                case "ADD" | "CHECK":
                    self._born(client, question)
                case "DEL":
                    self._reply(client, {"result": "done"}, self._died(question))
                case "GC":
                    self._collect(frozenset(question.valid))
                    self._reply(client, {"result": "done"}, "asked")
                case "STATUS":
                    good = self._ready()
                    words = {"result": "done"} if good else {"result": "later", "message": "the agent is not ready"}
                    self._reply(client, words, "asked")
        except _Wrong as wrong:
            self._refuse(client, wrong)

    def _born(self, client: _Client, question: _Question) -> None:
        key = _key_of(question)
        addresses = tuple(_addresses(question.addresses))
        try:
            interface = question.interface and checked_interface(question.interface.removesuffix("*"))
        except ValueError as error:
            raise _Wrong(_BAD_CONFIG, str(error)) from error
        if question.command == "ADD":
            self._remember(key, question)
        client.token = next(self._tokens)
        client.until = time.monotonic() + max(0.0, min(question.seconds, _LONGEST_WAIT)) + _GRACE
        client.heard.clear()
        self._waiting[client.token] = client
        self._deliver(Born(*key, Claim(question.uid, addresses, interface), client.token))

    def _died(self, question: _Question) -> str:
        key = _key_of(question)
        container, uid = self._containers.get(key, ("", ""))
        if container and container != question.container:
            return "late"
        self._containers.pop(key, None)
        self._deliver(Died(*key, question.uid or uid, tuple(_addresses(question.addresses))))
        return "removed"

    def _collect(self, valid: frozenset[str]) -> None:
        """GC: what is not among the valid attachments is gone, whether or not its DEL came."""
        for key, (container, uid) in list(self._containers.items()):
            if container not in valid:
                del self._containers[key]
                self._deliver(Died(*key, uid))

    def _remember(self, key: PodKey, question: _Question) -> None:
        self._containers.pop(key, None)
        if question.container:
            self._containers[key] = question.container, question.uid
        while len(self._containers) > _MOST_REMEMBERED:
            del self._containers[next(iter(self._containers))]


def _key_of(question: _Question) -> PodKey:
    key = question.namespace, question.name
    # RFC 1123 names of Kubernetes have at most 253 bytes.
    if not all(0 < len(part) <= 253 and part.isprintable() for part in key) or len(question.uid) > 253:
        raise _Wrong(_BAD_ENVIRONMENT, "the question names no pod")
    return key


def _addresses(written: tuple[str, ...]) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    for one in written:
        try:
            address = ipaddress.ip_address(one)
        except ValueError as error:
            raise _Wrong(_BAD_CONFIG, str(error)) from error
        # RFC 4007: a zone is this node's affair, and no address of a pod has one.
        if getattr(address, "scope_id", None) is not None:
            raise _Wrong(_BAD_CONFIG, f"{one!r} has a zone")
        yield address


def _listening(path: Path) -> socket.socket:
    """A listening socket, made beside its place and then put there, so that nobody finds it before its rights are set.

    Raises KernelError.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise KernelError(f"{path} stands where the plugin's socket must be, and is no socket")
        beside.unlink(missing_ok=True)
        listener.bind(str(beside))
        beside.chmod(0o600)
        listener.listen(128)
        listener.setblocking(False)
        beside.rename(path)
    except OSError as error:
        listener.close()
        beside.unlink(missing_ok=True)
        raise KernelError(f"the plugin's socket {path} cannot be made: {(error.strerror or str(error))}") from error
    except KernelError:
        listener.close()
        raise
    return listener
