"""Questions and answers over TCP: a conversation is a pod's connection, and ours to the server that it asked.

Each question is judged by itself, also the second of a connection. A pod may send many without waiting (RFC 7766,
6.2.1.1) and gets the answers in any order; how many, and how long they may wait, is bounded, and a pod that reads
nothing loses its connection. Of conversations there are so many, and so many of each pod; when another comes, the one
that has been silent longest has to go.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from functools import partial

from outgate.agent.dns_desk import Desk, Granted
from outgate.agent.dns_loop import Loop
from outgate.agent.dns_measures import Result
from outgate.agent.dns_settings import DnsSettings
from outgate.host.closing import Closing
from outgate.host.dns_origin import Server, tcp_origin
from outgate.host.dns_sockets import through
from outgate.proxy import dns, glance
from outgate.proxy.questions import OpenQuestions, Question

__all__ = ["TcpSide"]

_MOST = 256
_OF_A_POD = 32
_IN_FLIGHT = 64
"""Open questions of a conversation: then no more is read from the pod."""
_CHUNK = 65536
_UNREAD = 256 * 1024
"""Bytes that a side has not taken: then the conversation ends."""


class _Conversation:
    """One connection of a pod, and the connection to its server."""

    def __init__(self, side: TcpSide, pod: socket.socket, source: str, server: Server, number: int) -> None:
        self.side, self.pod, self.source, self.server, self.number = side, pod, source, server, number
        family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
        self.upstream = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self.door = side.desk.plan.pods[source].door(server.address)
        through(self.upstream, self.door)
        self.connected = False
        self.open = 0
        self.last = side.clock()
        self.ended = False
        self._from_pod, self._from_server = b"", b""
        self._to_pod, self._to_server = bytearray(), bytearray()
        self._pod_is_done = self._server_is_done = False
        self._held = 0
        """Answers that have come and wait for the kernel."""
        side.loop.watch(pod, self._pod_ready, self.end)
        error = self.upstream.connect_ex((server.address, server.port))
        if error not in (0, errno.EINPROGRESS):
            self.end(Result.UNREACHABLE)
            return
        side.loop.watch(self.upstream, self._server_ready, self._server_broken)
        self._interests()

    def end(self, result: Result | None = None) -> None:
        """Closes both connections."""
        if self.ended:
            return
        self.ended = True
        if result is not None:
            self.side.results[result] += 1
        for one in (self.pod, self.upstream):
            self.side.loop.forget(one)
            one.close()
        self.side.over(self)

    def answer(self, data: bytes) -> None:
        """Sends a message to the pod."""
        if not self.ended:
            self._to_pod += dns.frame(data)
            self._flush()

    # ---- the pod's side --------------------------------------------------------------------------------------------

    def _pod_ready(self) -> None:
        self._flush()
        if self.ended or self._pod_is_done or self._server_is_done or self.open >= _IN_FLIGHT:
            return
        try:
            data = self.pod.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self.end()
            return
        self.last = self.side.clock()
        if not data:
            self._pod_is_done = True
            if not self.open and not self._to_pod:
                self.end()
                return
            self._interests()
            return
        self._from_pod += data
        self._take_questions()

    def _take_questions(self) -> None:
        while not (self.ended or self._server_is_done) and self.open < _IN_FLIGHT:
            message, self._from_pod = dns.unframe(self._from_pod)
            if message is None:
                break
            self._question(message)
        if not self.ended:
            self._flush()

    def _question(self, data: bytes) -> None:
        said = self.side.desk.question(self.source, self.server, data, "TCP")
        if said is None:
            self.end()
        elif isinstance(said, Granted) and said.door != self.door:
            # The connection was made under policies that say nothing of this name.
            listed = said.pod.lists_names(self.server.address)
            self.side.desk.refuse(said.pod, self.source, self.server, "TCP", said.asked, listed=listed)
            self.end()
        elif isinstance(said, bytes):
            self._to_pod += dns.frame(said)
        else:
            now = self.side.clock()
            question = Question(said.pod.key, data[0] << 8 | data[1], said.asked, self, now, now + self.side.patience)
            number = self.side.questions.add(self.number, question)
            if number is None:
                self.end(Result.NO_ROOM)
                return
            self.open += 1
            self._to_server += dns.frame(glance.with_number(data, number))

    # ---- the server's side -----------------------------------------------------------------------------------------

    def _server_broken(self) -> None:
        self._server_gone(None if self.connected else Result.UNREACHABLE)

    def _server_gone(self, result: Result | None = None) -> None:
        """Nothing more comes from there. RFC 7766, 6.2.3: a server may close when it likes; what it has answered goes.

        Then the conversation ends, and the pod asks anew what is left.
        """
        if not self._held:
            self.end(result)
            return
        self._server_is_done = True
        self.side.loop.forget(self.upstream)
        self._interests()

    def _server_ready(self) -> None:
        self.connected = True
        self._flush()
        if self.ended:
            return
        try:
            data = self.upstream.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._server_gone()
            return
        if not data:
            self._server_gone()
            return
        self._from_server += data
        while not self.ended:
            message, self._from_server = dns.unframe(self._from_server)
            if message is None:
                break
            self._answer(message)

    def _answer(self, data: bytes) -> None:
        results = self.side.results
        number = data[0] << 8 | data[1] if len(data) > 1 else -1
        question = self.side.questions.find(self.number, number)
        if question is None:
            results[Result.STRAY] += 1
            return
        if not glance.answers(data, question.asked):
            results[Result.FORGED] += 1
            return
        self.side.questions.close(self.number, number)
        send = partial(self._answered, glance.with_number(data, question.number))
        self._held += 1
        self.side.desk.answer(question.pod, question.asked, data, question.began, send)

    def _answered(self, data: bytes) -> None:
        self.open -= 1
        self._held -= 1
        self.answer(data)
        if not self.ended:
            self._take_questions()

    # ---- both ------------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        listens = self.connected and not self._server_is_done
        for one, waiting, may in ((self.pod, self._to_pod, True), (self.upstream, self._to_server, listens)):
            if waiting and may:
                try:
                    del waiting[: one.send(waiting)]
                except BlockingIOError:
                    pass
                except OSError:
                    self.end()
                    return
            if len(waiting) > _UNREAD:
                self.end()
                return
        over = (self._pod_is_done and not self.open) or (self._server_is_done and not self._held)
        if over and not self._to_pod:
            self.end()
            return
        self._interests()

    def _interests(self) -> None:
        loop = self.side.loop
        # A connection that its peer has closed is readable for ever; nobody looks at it until the answers are out.
        reading = not (self._pod_is_done or self._server_is_done) and self.open < _IN_FLIGHT
        loop.want_write(self.pod, bool(self._to_pod), reading=reading)
        if not self._server_is_done:
            loop.want_write(self.upstream, bool(self._to_server) or not self.connected)


class TcpSide(Closing):
    """All conversations. `clock` gives seconds."""

    def __init__(
        self,
        loop: Loop,
        desk: Desk,
        listeners: list[socket.socket],
        settings: DnsSettings,
        clock: Callable[[], float],
        draw: Callable[[], int],
    ) -> None:
        self.loop, self.desk, self.clock = loop, desk, clock
        self.results = desk.measures.results
        self.patience = settings.patience
        self.questions: OpenQuestions[_Conversation] = OpenQuestions(
            draw, limit=settings.most_questions, of_a_pod=settings.most_of_a_pod
        )
        self._conversations: dict[int, _Conversation] = {}
        self._numbers = 0
        for one in listeners:
            loop.watch(one, partial(self._accept, one))

    def close(self) -> None:
        """Ends all conversations."""
        for one in list(self._conversations.values()):
            one.end()

    def over(self, conversation: _Conversation) -> None:
        """A conversation has ended."""
        self._conversations.pop(conversation.number, None)
        self.questions.close_channel(conversation.number)

    def tick(self, now: float) -> None:
        """Ends what has been silent too long."""
        for number, _ in self.questions.expired(now):
            self.results[Result.TIMEOUT] += 1
            if (one := self._conversations.get(number)) is not None:
                one.end()
        for one in [one for one in self._conversations.values() if one.last + self.patience <= now]:
            one.end()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            made, address = listener.accept()
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._begin(made, address[0])

    def _begin(self, made: socket.socket, source: str) -> None:
        server = tcp_origin(made)
        if server is None or source not in self.desk.plan.pods:
            self.results[Result.UNKNOWN_POD] += 1
            made.close()
            return
        mine = [one for one in self._conversations.values() if one.source == source]
        crowd = mine if len(mine) >= _OF_A_POD else list(self._conversations.values())
        if len(mine) >= _OF_A_POD or len(crowd) >= _MOST:
            min(crowd, key=lambda one: one.last).end(Result.NO_ROOM)
        self._numbers += 1
        conversation = _Conversation(self, made, source, server, self._numbers)
        if not conversation.ended:
            self._conversations[self._numbers] = conversation
