"""Questions and answers over TCP: a conversation is a pod's connection, and ours to the server that it asked.

    pod ═══ conversation ═╦═ door of one list of names ════ server
                          ╠═ door of another list ═════════ the same server
                          ╚═ door of all other names: refused by the kernel, and the pod is told so

Each question is judged by itself, also the second of a connection: it goes over the connection of its own door, made
when the first question needs it, so that the kernel judges it by the rules that are about its name. One that may not be
asked is answered at once, also while others wait. A pod may send many without waiting, and gets answers in any order
(RFC 7766, 6.2.1.1); how many, and how long they may wait, is bounded. A pod that does not read what it is answered is
not read, either, and loses its connection in the end. Of conversations there are so many, and so many of each pod; when
another comes, the one that has been silent longest has to go.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from functools import partial

from outgate.agent.dns_desk import Desk
from outgate.agent.dns_loop import Loop
from outgate.agent.dns_measures import Result
from outgate.agent.dns_settings import DnsSettings
from outgate.agent.dns_stream import Stream
from outgate.host.closing import Closing
from outgate.host.dns_connections import Connections
from outgate.host.dns_origin import Server, tcp_origin
from outgate.proxy import glance
from outgate.proxy.questions import Granted, OpenQuestions, Question

__all__ = ["TcpSide"]

_MOST = 256
_OF_A_POD = 32
_DOORS = 8
"""Connections of a conversation to its server."""
_IN_FLIGHT = 64
"""Open questions of a conversation: then no more is read from the pod."""
_AT_ONCE = 16
"""Questions that are taken from one pod before the others have their turn: each may cost a connection."""
_ENOUGH = 64 * 1024
"""Bytes that a side has not taken: then no question is taken until it has."""
_UNREAD = 256 * 1024
"""Bytes that a pod has not taken, of answers that come nevertheless: then the conversation ends."""
_NO_MORE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What accept(2) says when a connection waits and cannot be had."""


class _Upstream(Stream):
    """A connection to the server, for the names of one door. `channel` is its number among the open questions."""

    def __init__(self, made: socket.socket, door: int, channel: int) -> None:
        super().__init__(made)
        self.door, self.channel = door, channel
        self.connected = False
        self.open = 0
        """Questions that the server has not answered."""


class _Conversation:
    """One connection of a pod, and those to its server."""

    def __init__(self, side: TcpSide, pod: socket.socket, source: str, key: str, server: Server) -> None:
        self.side, self.source, self.key, self.server = side, source, key, server
        self.last = side.clock()
        self.ended = False
        self._pod = Stream(pod)
        self._upstreams: dict[int, _Upstream] = {}
        """By their doors."""
        self._open = 0
        """Questions that the pod has no answer to: the server's, and those whose answers wait for the kernel."""
        self._pod_is_done = False
        self._closing = False
        """No more questions are taken; what is open is answered, and then it ends."""
        self._crowded = False
        """The next question has to wait until there is room for another connection."""
        self._hearing = False
        """Answers are being read: what is to be done for each is done for all of them, afterwards."""
        side.loop.watch(pod, self._pod_ready, self.end)

    def end(self, result: Result | None = None) -> None:
        """Closes all connections."""
        if self.ended:
            return
        self.ended = True
        if result is not None:
            self.side.results[result] += 1
        for one in list(self._upstreams.values()):
            self._let_go(one)
        self.side.loop.forget(self._pod.socket)
        self._pod.socket.close()
        self.side.over(self)

    # ---- the pod's side --------------------------------------------------------------------------------------------

    def _pod_ready(self) -> None:
        if self._hears():
            try:
                came = self._pod.read()
            except OSError:
                self.end()
                return
            if came is not None:
                self.last = self.side.clock()
                self._pod_is_done = not came
        self._go_on()

    def _hears(self) -> bool:
        """Whether more is read from the pod: what has come is taken first."""
        return not (self._pod_is_done or self._closing or self._pod.whole) and self._has_room()

    def _may_take(self) -> bool:
        return self._pod.whole and not (self._closing or self._crowded) and self._has_room()

    def _has_room(self) -> bool:
        unsent = (self._pod, *self._upstreams.values())
        return self._open < _IN_FLIGHT and all(len(one.unsent) < _ENOUGH for one in unsent)

    def _take_questions(self) -> None:
        for _ in range(_AT_ONCE):
            if not self._may_take():
                return
            self._question(self._pod.first)
            if not self._crowded:
                self._pod.drop()

    def _question(self, data: bytes) -> None:
        said = self.side.desk.question(self.source, self.server, data, "TCP")
        if said is None:
            self._close()
        elif isinstance(said, bytes):
            self._pod.put(said)
        elif not self.side.questions.has_room(said.pod.key):
            self._close(Result.NO_ROOM)
        else:
            try:
                upstream = self._upstreams.get(said.door) or self._opened(said.door)
            except PermissionError:
                self._denied(said, data)
            except OSError:
                self._close(Result.UNREACHABLE)
            else:
                if upstream is not None:
                    self._pass_on(upstream, said, data)

    def _denied(self, said: Granted, data: bytes) -> None:
        """The kernel has dropped the first packet of the connection: to the question it is what it is over UDP."""
        desk, listed = self.side.desk, said.pod.lists_names(self.server.address)
        desk.refuse(said.pod, self.source, self.server, "TCP", said.asked, listed=listed)
        if listed:
            self._pod.put(glance.refusal(data, desk.plan.refusal, said.asked))
        else:
            self._close()

    def _pass_on(self, upstream: _Upstream, said: Granted, data: bytes) -> None:
        now = self.side.clock()
        question = Question(said, data[0] << 8 | data[1], self, now, now + self.side.patience)
        number = self.side.questions.add(upstream.channel, question)
        self._open += 1
        upstream.open += 1
        upstream.put(glance.with_number(data, number))

    def _close(self, result: Result | None = None) -> None:
        """Takes no more questions. A pod that has none open hears the end at once, and what it was answered before."""
        if result is not None:
            self.side.results[result] += 1
        self._closing = True

    # ---- the server's side -----------------------------------------------------------------------------------------

    def _opened(self, door: int) -> _Upstream | None:
        """A connection for a door. None where there are too many, and questions wait on each.

        Raises:
            PermissionError: the pod's policies do not allow it.
            OSError: none can be had.
        """
        idle = next((one for one in self._upstreams.values() if not one.open), None)
        full = len(self._upstreams) >= _DOORS
        if full and idle is None:
            self._crowded = True
            return None
        side = self.side
        begun = side.connections.begin(self.server, door, resets=side.desk.plan.orders.resets)
        made = _Upstream(begun, door, side.next_channel())
        if full and idle is not None:
            self._let_go(idle)
        self._upstreams[door] = made
        side.loop.watch(made.socket, partial(self._server_ready, made), partial(self._server_broken, made))
        return made

    def _let_go(self, upstream: _Upstream) -> None:
        """Closes a connection. What it was asked is open no more."""
        del self._upstreams[upstream.door]
        self._open -= upstream.open
        self._crowded = False
        self.side.questions.close_channel(upstream.channel)
        self.side.loop.forget(upstream.socket)
        self.side.connections.end(upstream.socket)

    def _server_broken(self, upstream: _Upstream) -> None:
        self._last_heard(upstream)
        self._go_on()

    def _last_heard(self, upstream: _Upstream) -> None:
        """Takes what had come before a connection broke: a server that closes over unread questions sends a reset."""
        while self._hear(upstream):
            pass
        self._gone(upstream)

    def _gone(self, upstream: _Upstream) -> None:
        """Nothing more comes from there. RFC 7766, 6.2.3: a server may close when it likes; what it has answered goes.

        Then the conversation ends as the server's would, and the pod asks anew what is left; but not if nothing was
        asked there, and others are.
        """
        self._let_go(upstream)
        if upstream.open or not self._upstreams:
            self._close(None if upstream.connected else Result.UNREACHABLE)

    def _server_ready(self, upstream: _Upstream) -> None:
        if self._hear(upstream) == 0:
            self._gone(upstream)
        self._go_on()

    def _hear(self, upstream: _Upstream) -> int | None:
        """Takes the answers that have come: 0 octets at the end, None where there is nothing now."""
        try:
            came = upstream.read()
        except OSError:
            return 0
        upstream.connected = True
        self._hearing = True
        while upstream.whole:
            message = upstream.first
            upstream.drop()
            self._answer(upstream, message)
        self._hearing = False
        return came

    def _answer(self, upstream: _Upstream, data: bytes) -> None:
        results = self.side.results
        number = data[0] << 8 | data[1] if len(data) > 1 else -1
        question = self.side.questions.find(upstream.channel, number)
        if question is None:
            results[Result.STRAY] += 1
            return
        if not glance.answers(data, question.granted.asked):
            results[Result.FORGED] += 1
            return
        self.side.questions.close(upstream.channel, number)
        upstream.open -= 1
        send = partial(self._answered, glance.with_number(data, question.number))
        self.side.desk.answer(question.granted, data, question.began, send)

    def _answered(self, data: bytes) -> None:
        """An answer may go: now, or after it has waited for the kernel."""
        if self.ended:
            return
        self._open -= 1
        self._crowded = False
        self._pod.put(data)
        if not self._hearing:
            self._go_on()

    # ---- both ------------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Takes questions, sends what there is to send, and says for what it waits; or ends, if that was all."""
        self._take_questions()
        try:
            if self._pod.flush():
                self.last = self.side.clock()
        except OSError:
            self.end()
            return
        for one in list(self._upstreams.values()):
            try:
                if one.connected:
                    one.flush()
            except OSError:
                self._last_heard(one)
        done = self._closing or self._pod_is_done
        if len(self._pod.unsent) > _UNREAD or (done and not self._open and not self._pod.unsent):
            self.end()
            return
        # A connection that its peer has closed is readable for ever; nobody looks at it until the answers are out. And
        # one that can be written is called in the next turn: so come questions that have been read and not taken.
        loop, writing = self.side.loop, bool(self._pod.unsent) or self._may_take()
        self._pod.want(loop, writing=writing, reading=self._hears())
        for one in self._upstreams.values():
            one.want(loop, writing=bool(one.unsent) or not one.connected, reading=True)


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
        self.connections = Connections(clock)
        self._conversations: dict[_Conversation, None] = {}
        self._channels = 0
        self._deaf: list[socket.socket] = []
        """Listeners that nobody hears until the next tick."""
        desk.followers.append(self.follow)
        for one in listeners:
            loop.watch(one, partial(self._accept, one))

    def close(self) -> None:
        """Ends all conversations."""
        for one in list(self._conversations):
            one.end()

    def follow(self) -> None:
        """New orders: a conversation with a pod that is no more is not gone on with by whoever has its address now."""
        pods = self.desk.plan.pods
        for one in list(self._conversations):
            pod = pods.get(one.source)
            if pod is None or pod.key != one.key:
                one.end()

    def over(self, conversation: _Conversation) -> None:
        """A conversation has ended."""
        self._conversations.pop(conversation, None)

    def next_channel(self) -> int:
        """A number for a connection to a server."""
        self._channels += 1
        return self._channels

    def tick(self, now: float) -> None:
        """Ends what has been silent too long."""
        for _, question in self.questions.expired(now):
            self.results[Result.TIMEOUT] += 1
            question.client.end()
        for one in [one for one in self._conversations if one.last + self.patience <= now]:
            one.end()
        while self._deaf:
            self.loop.want_write(self._deaf.pop(), False)

    def _accept(self, listener: socket.socket) -> None:
        try:
            made, address = listener.accept()
        except OSError as error:
            if error.errno in _NO_MORE:
                self._full(listener)
            return
        with contextlib.suppress(OSError):
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._begin(made, address[0])

    def _full(self, listener: socket.socket) -> None:
        """There is no descriptor for a connection, which stays where it is: the listener would be ready without end."""
        if self._conversations:
            min(self._conversations, key=lambda one: one.last).end(Result.NO_ROOM)
        else:
            self.loop.want_write(listener, False, reading=False)
            self._deaf.append(listener)

    def _begin(self, made: socket.socket, source: str) -> None:
        server, pod = tcp_origin(made), self.desk.plan.pods.get(source)
        if server is None or pod is None:
            self.results[Result.UNKNOWN_POD] += 1
            made.close()
            return
        mine = [one for one in self._conversations if one.source == source]
        crowd = mine if len(mine) >= _OF_A_POD else list(self._conversations)
        if len(mine) >= _OF_A_POD or len(crowd) >= _MOST:
            min(crowd, key=lambda one: one.last).end(Result.NO_ROOM)
        self._conversations[_Conversation(self, made, source, pod.key, server)] = None
