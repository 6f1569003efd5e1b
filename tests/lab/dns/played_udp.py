"""The UDP side of the DNS proxy, played step by step, as `played` does it with TCP.

    pods ─── UdpSide ─── two servers that may say anything at any moment, and may not be there
               │
             Desk ─── a kernel that takes lessons when the game says so

Behind one of the doors no socket can be had at all.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Container
from typing import Any
from unittest import mock

from outgate.agent import dns_udp
from outgate.agent.dns_measures import Result
from outgate.agent.dns_udp import UdpSide
from outgate.host import dns_sockets
from outgate.host.dns_origin import Server
from outgate.proxy import dns
from outgate.proxy.dns import Message
from tests.lab.dns.cast import DENIED, Asker
from tests.lab.dns.stage import HERE, PATIENCE, PODS, Stage, no_descriptors

__all__ = ["UdpGame"]

_SAID = ("twice", "stray", "stranger", "other", "query", "empty", "one", "long")


class _Origins:
    """What connection tracking would tell: whom a pod's socket asks."""

    def __init__(self) -> None:
        self.targets: dict[tuple[str, int], Server] = {}
        self.forgotten: list[str] = []

    def find(self, _: Server, address: str, port: int) -> Server | None:
        """As `UdpOrigins.find`."""
        return self.targets.get((address, port))

    def forget(self, addresses: Container[str]) -> None:
        """As `UdpOrigins.forget`."""
        self.forgotten += [one for one in PODS if one in addresses]

    def restore(self, _: Server, address: str, port: int, server: Server) -> bool:
        """As `UdpOrigins.restore`; an answer that is looked after is for whom it was asked of."""
        assert self.targets[address, port] == server
        return False

    def close(self) -> None:
        """Nothing is open."""


class _There:
    """A server: open questions with their senders."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HERE, 0))
        self.socket.setblocking(False)
        self.place: Server = Server(*self.socket.getsockname())
        # While it is not there nobody else is given its port who has not named an address.
        self.reserved = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.reserved.bind(("127.0.0.250", self.place.port))
        self.open: list[tuple[bytes, Any]] = []
        self.there = True

    def take(self) -> None:
        """Hears what has come."""
        with contextlib.suppress(BlockingIOError):
            while self.there:
                self.open.append(self.socket.recvfrom(65535))

    def go(self) -> None:
        """Is no more: whoever asks hears that nobody listens."""
        self.socket.close()
        self.there = False
        self.open.clear()

    def come(self) -> None:
        """Is there again."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(self.place)
        self.socket.setblocking(False)
        self.there = True


class UdpGame(Stage):
    """One game."""

    side: UdpSide

    def __init__(self, seed: int) -> None:
        super().__init__(seed, denied=2)
        self._settings = self._bounded_questions((500, 250), (500, 250), (500, 7), (9, 250))
        self._bounds: dict[str, tuple[int, ...]] = {
            "_USES": (4096, 3),
            "_A_SERVER": (8, 1),
            "_SERVERS": (64, 64, 1),
            "_OLD": (2048, 2048, 2),
        }

    def _set_up(self, stack: contextlib.ExitStack) -> None:
        listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        listener.bind((HERE, 0))
        listener.setblocking(False)
        self._listener = listener
        self.servers = [_There(), _There()]
        self.origins = _Origins()
        stack.enter_context(mock.patch.object(dns_udp, "UdpOrigins", return_value=self.origins))
        stack.enter_context(mock.patch.object(dns_sockets, "through", self._through))
        for name, some in self._bounds.items():
            stack.enter_context(mock.patch.object(dns_sockets, name, self.random.choice(some)))
        desk = self._desk_at(stack)
        self.side = stack.enter_context(UdpSide(self.loop, desk, [listener], self._settings, self._clock))

    def _clear(self) -> None:
        for made in (*(one.socket for one in self.askers), *(one.socket for one in self.servers)):
            made.close()
        for server in self.servers:
            server.reserved.close()

    def _through(self, _: socket.socket, door: int) -> None:
        if door == DENIED:
            raise PermissionError

    # ---- moves -----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """A move by chance."""
        chance = self.random.random()
        if chance < 0.06 or not self.askers:
            self.come(self.random.choice(PODS), self.random.randrange(2))
        elif chance < 0.45:
            self._pod_moves(self.random.choice(self.askers))
        elif chance < 0.85:
            self._server_moves(self.random.choice(self.servers))
        elif chance < 0.93:
            self._commit()
        elif chance < 0.97:
            self.wait(self.random.choice((0.05, 0.1, 0.3, 1.0, 5.0)))
        elif chance < 0.975:
            self.wait(PATIENCE + 1)
        elif chance < 0.985:
            self.change(self.random.choice(PODS), there=self.random.random() < 0.5)
        elif chance < 0.99:
            self._open_by_chance()
        elif chance < 0.995:
            self._starve()
        if self.random.random() < 0.8:
            self.settle()

    def come(self, pod: str, server: int) -> Asker | None:
        """A pod opens a socket, with which it asks a server."""
        if not self._keys[pod]:
            return None
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((pod, 0))
        made.connect(self._listener.getsockname())
        made.setblocking(False)
        self.origins.targets[made.getsockname()] = self.servers[server].place
        one = Asker(made, pod, self._keys[pod], self.now)
        self.askers.append(one)
        return one

    def _pod_moves(self, one: Asker) -> None:
        match self.random.choice(("ask",) * 8 + ("burst", "break", "noise", "again", "read", "read", "close")):
            case _ if one.gone:
                self.read(one)
            case "ask":
                self.ask(one)
            case "burst":
                for _ in range(self.random.randrange(12)):
                    self.ask(one)
            case "break":
                self._send(one, self.book.broken(one))
            case "noise":
                self._send(one, self.random.choice((b"", b"x", bytes(11), dns.encode(Message(1, True)))))
            case "read":
                self.read(one)
            case "close" if self.random.random() < 0.2:
                one.socket.close()
                self.askers.remove(one)

    def ask(self, one: Asker) -> None:
        """A pod asks."""
        self._send(one, self.book.question(one))

    def _send(self, one: Asker, data: bytes) -> None:
        with contextlib.suppress(ConnectionRefusedError):
            one.socket.send(data)

    def read(self, one: Asker) -> None:
        """A pod reads what has come."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.book.heard(one, dns.decode(one.socket.recv(65535)))

    def _server_moves(self, one: _There) -> None:
        one.take()
        deed = self.random.choice(("answer",) * 12 + _SAID + ("move",))
        if deed == "move":
            self._move(one)
        elif one.open and deed in {"answer", "twice"}:
            asked, sender = one.open.pop(self.random.randrange(len(one.open)))
            self.answer(one, asked, sender)
            if deed == "twice":
                one.socket.sendto(self.book.answer(asked, legal=False), sender)
        elif one.open:
            asked, sender = self.random.choice(one.open)
            one.socket.sendto(self._nonsense(deed, asked), sender)

    def _move(self, one: _There) -> None:
        """A server comes, or goes with all that it was asked."""
        if not one.there:
            one.come()
        elif self.random.random() < 0.3:
            for asked, _ in one.open:
                self.book.owners[dns.decode(asked).questions[0].name].excused = True
            one.go()

    def _nonsense(self, deed: str, asked: bytes) -> bytes:
        found = self._no_answer(deed, asked, 65536)
        return asked[:2] + self.random.randbytes(9000) if deed == "long" else found

    def answer(self, one: _There, asked: bytes, sender: Any) -> None:
        """A server answers a question as it is: then the pod hears it, or has heard that there is no server."""
        with contextlib.suppress(ConnectionRefusedError):
            one.socket.sendto(self.book.answer(asked), sender)
        name = dns.decode(asked).questions[0].name
        self.book.owners[name].promised.add(name)

    # ---- the world -------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.settle()
        self._later(seconds)

    def change(self, pod: str, *, there: bool) -> None:
        """A pod goes; `there`: another comes that has its address."""
        self.settle()
        del self.origins.forgotten[:]
        self._replace(pod, there=there)
        assert self.origins.forgotten in ([pod], [])

    def _starve(self) -> None:
        """Questions come while no descriptor can be had."""
        for one in self.askers:
            if not one.gone:
                self.ask(one)
                # What would be asked over a new socket is answered at once that it cannot be.
                one.left = True
        with no_descriptors():
            self.settle()

    def settle(self) -> None:
        """Turns the loop until it comes to rest."""
        self._rest()
        assert len(self.side.questions) <= self._settings.most_questions
        most = dns_sockets._SERVERS * dns_sockets._A_SERVER + dns_sockets._OLD
        assert len(self.loop._ready) == self._watched + len(self.side._by_number) <= self._watched + most

    def end(self) -> None:
        """Servers and kernel do what they have to; then each question has its answer, and nothing is left."""
        for server in self.servers:
            if not server.there:
                server.come()
        for _ in range(3):
            self.settle()
            for server in self.servers:
                server.take()
                while server.open:
                    self.answer(server, *server.open.pop())
            self.settle()
            self._commit_waiting()
        self._commit_all()
        crowded = self.measures.results[Result.NO_ROOM]
        for one in self.askers:
            self.read(one)
            if not (one.excused or crowded):
                assert one.promised <= one.heard.keys(), "an answer got lost"
                assert one.asked.keys() == one.heard.keys(), "a question without an answer"
                assert not +one.errors
        for seconds in (PATIENCE + 1, 21.0, PATIENCE + 1):
            self.wait(seconds)
        assert len(self.side.questions) == 0
        assert len(self.loop._ready) == self._watched
        assert not self.side._by_number
