"""The TCP side of the DNS proxy, played step by step: one thread, real sockets on loopback, and a clock of the test's.

    pods ═══ TcpSide ═══ servers that may do anything at any moment
               │
             Desk ─── a kernel that takes lessons when the game says so

On loopback a packet has arrived when the call that sent it returns, so a game with one seed is always the same. What
`dns_origin` asks connection tracking is told by the game.
"""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from collections.abc import Callable
from unittest import mock

from outgate.agent import dns_tcp
from outgate.agent.dns_measures import Result
from outgate.agent.dns_tcp import TcpSide
from outgate.host import dns_connections
from outgate.host.dns_origin import Server
from outgate.proxy import dns
from outgate.proxy.dns import Message, RecordType
from tests.lab.dns.cast import DENIED, Asker, Served, reset
from tests.lab.dns.stage import HERE, PATIENCE, PODS, Stage, no_descriptors

__all__ = ["Game"]

_BOUNDS = {
    "_MOST": (256, 5),
    "_OF_A_POD": (32, 3),
    "_DOORS": (8, 1, 2),
    "_IN_FLIGHT": (64, 1, 3),
    "_AT_ONCE": (16, 1),
    "_ENOUGH": (65536, 100),
}
_SAID = ("twice", "stray", "stranger", "other", "query", "empty", "one", "long", "piece", "piece", "rest", "rest")
_LEAVES = ("half", "close", "reset", "answer and reset")


class Game(Stage):
    """One game. `tight`: under bounds so small that they are met."""

    side: TcpSide

    def __init__(self, seed: int, *, tight: bool = True) -> None:
        super().__init__(seed)
        self.served: list[Served] = []
        self._doors: dict[int, int] = {}
        self._bounds = {name: self.random.choice(some if tight else some[:1]) for name, some in _BOUNDS.items()}
        fewer = ((500, 250), (500, 7), (9, 250)) if tight else ()
        self._settings = self._bounded_questions((500, 250), *fewer)

    # ---- the stage -------------------------------------------------------------------------------------------------

    def _set_up(self, stack: contextlib.ExitStack) -> None:
        self._listener, self._there, self._silent = (
            stack.enter_context(socket.create_server((HERE, 0), backlog=many)) for many in (128, 128, 0)
        )
        self._listener.setblocking(False)
        self._there.setblocking(False)
        absent = stack.enter_context(socket.socket())
        absent.bind((HERE, 0))
        # A server whose queue is full takes no more: what is sent to it is not answered.
        for _ in range(2):
            made = stack.enter_context(socket.socket())
            made.setblocking(False)
            made.connect_ex(self._silent.getsockname())
        self.servers = [Server(*one.getsockname()) for one in (self._there, absent, self._silent)]
        """One that serves, one that refuses, and one that says nothing."""
        self._targets: dict[int, Server] = {}
        stack.enter_context(mock.patch.object(dns_tcp, "tcp_origin", self._origin))
        stack.enter_context(mock.patch.object(dns_connections, "through", self._through))
        stack.enter_context(mock.patch.object(dns_connections, "departed", self._departed))
        state = dns_connections._state
        stack.enter_context(mock.patch.object(dns_connections, "_state", lambda made: self._state(made, state)))
        for name, value in self._bounds.items():
            stack.enter_context(mock.patch.object(dns_tcp, name, value))
        desk = self._desk_at(stack)
        self.side = stack.enter_context(
            TcpSide(self.loop, desk, [self._listener], self._settings, self._clock, self._draw)
        )

    def _clear(self) -> None:
        for made in (*(one.socket for one in self.askers), *(one.socket for one in self.served)):
            reset(made)

    def _draw(self) -> int:
        """Few numbers, so that one is drawn twice at times."""
        return self.random.randrange(600)

    def _origin(self, made: socket.socket) -> Server | None:
        try:
            return self._targets[made.getpeername()[1]]
        except OSError:
            return None  # the pod has reset it

    def _through(self, made: socket.socket, door: int) -> None:
        self._doors[made.fileno()] = door

    def _departed(self, made: socket.socket) -> bool:
        return self._doors[made.fileno()] != DENIED

    def _state(self, made: socket.socket, true: Callable[[socket.socket], int]) -> int:
        """Nobody answers what is dropped. Here it arrives all the same, and the server has answered at once."""
        return true(made) if self._departed(made) else 2

    # ---- moves -----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """A move by chance."""
        chance = self.random.random()
        if chance < 0.06 or not self.askers:
            self.connect(self.random.choice(PODS), self.random.choice((0,) * 8 + (1, 2)))
        elif chance < 0.45:
            self._pod_moves(self.random.choice(self.askers))
        elif chance < 0.85:
            if self.served:
                self._server_moves(self.random.choice(self.served))
        elif chance < 0.93:
            self._commit()
        elif chance < 0.97:
            self.wait(self.random.choice((0.05, 0.1, 0.3, 1.0)))
        elif chance < 0.975:
            self.wait(PATIENCE + 1)
        elif chance < 0.98:
            self.change(self.random.choice(PODS), there=self.random.random() < 0.5)
        elif chance < 0.99:
            self._open_by_chance()
        elif chance < 0.995:
            self.starve()
        # At times several things come at once.
        if self.random.random() < 0.8:
            self.settle()

    def connect(self, pod: str, server: int = 0) -> Asker | None:
        """A pod connects to a server, if it is there."""
        if not self._keys[pod]:
            return None
        made = socket.socket()
        made.bind((pod, 0))
        self._targets[made.getsockname()[1]] = self.servers[server]
        made.connect(self._listener.getsockname())
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setblocking(False)
        one = Asker(made, pod, self._keys[pod], self.now, left=server != 0)
        self.askers.append(one)
        return one

    def _pod_moves(self, one: Asker) -> None:
        asks = () if one.silent else ("ask",) * 8 + ("burst", "burst", "rest", "break", "fatal", "half")
        match self.random.choice((*asks, "read", "read", "close", "reset")):
            case "ask":
                self._send(one, self.book.question(one))
            case "burst":
                self._send(one, *(self.book.question(one) for _ in range(self.random.randrange(12))))
            case "break":
                self._send(one, self.book.broken(one))
            case "fatal" if self.random.random() < 0.3:
                one.left = True
                self._send(one, self.random.choice((b"", b"x", bytes(11), dns.encode(Message(1, True)))))
            case "rest":
                one.send(b"")
            case "read":
                self.read(one)
            case "half":
                one.send(b"")
                one.silent = True
                with contextlib.suppress(OSError):
                    one.socket.shutdown(socket.SHUT_WR)
            case "close" | "reset" as how if self.random.random() < 0.3:
                (reset if how == "reset" else socket.socket.close)(one.socket)
                self.askers.remove(one)

    def _send(self, one: Asker, *messages: bytes) -> None:
        data = b"".join(map(dns.frame, messages))
        one.send(data, None if self.random.random() < 0.7 else self.random.randrange(len(data) + 1))

    def read(self, one: Asker) -> None:
        """A pod reads what has come."""
        for said in one.read():
            self.book.heard(one, said)

    def _server_moves(self, one: Served) -> None:
        one.take()
        deed = self.random.choice(("answer",) * 10 + _SAID + _LEAVES)
        if deed in _LEAVES and self.random.random() < 0.6:
            deed = "answer"
        if deed in {"half", "close", "reset"}:
            self.leave(one, deed)
        elif deed in {"answer", "twice", "piece", "answer and reset"}:
            if one.open:
                asked = one.open.pop(self.random.randrange(len(one.open)))
                self.answer(one, asked, self.random.randrange(99) if deed == "piece" else None)
                if deed == "twice":
                    one.say(self.book.answer(asked, legal=False))
                elif deed == "answer and reset":
                    self.leave(one, "reset")
        else:
            asked = self.random.choice(one.open) if one.open else dns.query(1, "x.a.test", RecordType.A)
            one.say(self._nonsense(deed, asked))

    def _nonsense(self, deed: str, asked: bytes) -> bytes | None:
        """What is no answer to a question; None says the rest of what was said before."""
        found = self._no_answer(deed, asked, 600)
        match deed:
            case "long":
                return self.random.randbytes(65535)
            case "rest" | "piece":
                return None
        return found

    def answer(self, one: Served, asked: bytes, size: int | None = None) -> None:
        """A server answers a question as it is; if that is all out, the pod is to hear it."""
        one.say(self.book.answer(asked), size)
        owner = self.book.owners.get(name := dns.decode(asked).questions[0].name)
        if owner is not None and not (one.silent or one.rest):
            owner.promised.add(name)

    def leave(self, one: Served, how: str) -> None:
        """A server ends a connection."""
        self._excuse(one.port)
        one.silent = True
        if how == "half":
            with contextlib.suppress(OSError):
                one.socket.shutdown(socket.SHUT_WR)
            return
        (reset if how == "reset" else socket.socket.close)(one.socket)
        self.served.remove(one)

    def _excuse(self, port: int) -> None:
        """Whoever has asked over the proxy's connection from this port may have to ask anew."""
        for talk in self.side._conversations:
            if any(made.socket.getsockname()[1] == port for made in talk._upstreams.values()):
                with contextlib.suppress(OSError):
                    pod = talk._pod.socket.getpeername()
                    for one in self.askers:
                        one.left |= one.socket.getsockname() == pod

    # ---- the world -------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self._later(seconds)

    def change(self, pod: str, *, there: bool) -> None:
        """A pod goes; `there`: another comes that has its address."""
        self._revive()
        self._replace(pod, there=there)
        assert all(one.key == self._keys[one.source] for one in self.side._conversations)

    def starve(self) -> Asker | None:
        """A pod comes while no descriptor can be had, also for what others ask."""
        for one in self.askers:
            one.left = True
        made = self.connect(self.random.choice(PODS))
        with no_descriptors():
            self._rest()
        return made

    def _revive(self) -> None:
        """Connections that had to wait for a descriptor are taken at the next tick."""
        self.wait(0.0)
        self._rest()

    def settle(self) -> None:
        """Turns the loop until it comes to rest, and lets servers hear."""
        self._rest()
        with contextlib.suppress(BlockingIOError):
            while True:
                made, (_, port) = self._there.accept()
                made.setblocking(False)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.served.append(Served(made, port))
        self._bounded()

    def _bounded(self) -> None:
        mine = Counter(one.source for one in self.side._conversations)
        assert sum(mine.values()) <= self._bounds["_MOST"]
        assert max(mine.values(), default=0) <= self._bounds["_OF_A_POD"]
        for one in self.side._conversations:
            assert 0 <= one._open <= self._bounds["_IN_FLIGHT"]
            assert len(one._upstreams) <= self._bounds["_DOORS"]
        assert len(self.side.questions) <= self._settings.most_questions

    # ---- the end ---------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Servers and kernel do what they have to; then each question has its answer, or its connection has ended."""
        self._revive()
        before = -1
        while before != (before := sum(len(one.heard) for one in self.askers) + self.book.answers):
            self.all_that_is_left()
        self._commit_all()
        crowded = self.measures.results[Result.NO_ROOM]
        for one in self.askers:
            if not one.ended and self._targets[one.socket.getsockname()[1]] != self.servers[2]:
                assert one.asked.keys() == one.heard.keys(), "a question without an answer"
                assert not +one.errors
            if not (one.excused or crowded):
                assert one.promised <= one.heard.keys(), "an answer got lost"
            if not (one.excused or one.left or crowded):
                assert one.asked.keys() == one.heard.keys(), "ended without need"
        self.wait(PATIENCE + 1)
        self.settle()
        assert not self.side._conversations
        assert len(self.side.questions) == 0
        assert len(self.loop._ready) == self._watched
        assert not self.side.connections._open
        for one in self.askers:
            self.read(one)
            assert one.ended

    def all_that_is_left(self) -> None:
        """Everybody does once what is expected of him."""
        for asker in self.askers:
            asker.send(b"")
        self.settle()
        for served in self.served:
            served.take()
            for asked in served.open:
                self.answer(served, asked)
            served.open.clear()
            served.say(None)
        self.settle()
        self._commit_waiting()
        self.settle()
        for asker in self.askers:
            self.read(asker)
