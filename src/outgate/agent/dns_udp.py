"""Questions and answers over UDP.

    pod ─► listener ─► (whom did it ask? `UdpOrigins`) ─► desk ─► channel to that server, under a number of our own
    pod ◄─ listener ◄─ (the number that the pod had chosen) ◄─ desk ◄─ the same channel

An answer goes out where the question came in, so that connection tracking gives it the address that the pod asked. The
bytes between are those that either side has sent, but for the number: EDNS, cookies and case go through.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from outgate.agent.dns_desk import Desk
from outgate.agent.dns_loop import Loop
from outgate.agent.dns_measures import Result
from outgate.agent.dns_settings import DnsSettings
from outgate.errors import KernelError
from outgate.host.closing import Closing
from outgate.host.dns_origin import Server, UdpOrigins
from outgate.host.dns_sockets import Channel, Channels
from outgate.proxy import glance
from outgate.proxy.dns import ResponseCode
from outgate.proxy.questions import OpenQuestions, Question

__all__ = ["UdpSide", "drawn_numbers"]

_AT_ONCE = 64
"""Datagrams that are read from one socket before the others have their turn."""
_LARGEST = 65535


class _Client(msgspec.Struct, frozen=True):
    listener: socket.socket
    here: Server
    """Where it listens."""
    address: Any
    """As the socket told it: two parts or four."""
    query: bytes


def drawn_numbers() -> Callable[[], int]:
    """Numbers below 65536 from the kernel's random source, many at a time."""
    drawn = map(struct.Struct("=2048H").unpack, map(os.urandom, itertools.repeat(4096)))
    return itertools.chain.from_iterable(drawn).__next__


class UdpSide(Closing):
    """All that goes over UDP. `clock` gives seconds."""

    def __init__(
        self,
        loop: Loop,
        desk: Desk,
        listeners: list[socket.socket],
        settings: DnsSettings,
        clock: Callable[[], float],
    ) -> None:
        self._loop, self._desk, self._clock = loop, desk, clock
        self._measures, self._results = desk.measures, desk.measures.results
        self._patience = settings.patience
        self._origins = UdpOrigins(clock)
        self._channels = Channels(settings.patience)
        self.questions: OpenQuestions[_Client] = OpenQuestions(
            drawn_numbers(), limit=settings.most_questions, of_a_pod=settings.most_of_a_pod
        )
        self._by_number: dict[int, Channel] = {}
        self._pods = desk.plan.pods
        desk.followers.append(self.follow)
        for one in listeners:
            here = Server(*one.getsockname()[:2])
            loop.watch(one, partial(self._questions_at, one, here))

    def close(self) -> None:
        """Asks nobody any more."""
        self._origins.close()
        self._channels.close()

    def follow(self) -> None:
        """New orders. What was asked from an address that is another pod's now ends: nobody else hears its answer.

        It is also asked anew whom datagrams from there are for. Whoever takes a pod away may take its entries out of
        connection tracking, too, and others may stand there now.
        """
        old, self._pods = self._pods, self._desk.plan.pods
        self.questions.end(lambda one: not self._is_there(one.granted.pod.key, one.client))
        self._origins.forget(
            {one for one, pod in old.items() if one not in self._pods or self._pods[one].key != pod.key}
        )

    def tick(self, now: float) -> None:
        """Ends what has waited too long. A channel that gave no answer is asked no more: its server may have gone."""
        for number, _ in self.questions.expired(now):
            self._results[Result.TIMEOUT] += 1
            self._channels.retire(self._by_number[number], now)
        for channel in self._channels.over(now):
            self._end(channel, Result.TIMEOUT)

    def _questions_at(self, listener: socket.socket, here: Server) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, address = listener.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            except OSError:
                # An ICMP error about an answer that found its pod gone.
                continue
            self._question(listener, here, data, address)

    def _question(self, listener: socket.socket, here: Server, data: bytes, address: Any) -> None:
        source = address[0]
        server = None
        if source in self._desk.plan.pods:
            try:
                server = self._origins.find(here, source, address[1])
            except KernelError:
                server = None
        said = self._desk.question(source, server, data, "UDP")
        if said is None or server is None:
            return
        if isinstance(said, bytes):
            _send(listener, said, address)
            return
        if not self.questions.has_room(said.pod.key):
            self._results[Result.NO_ROOM] += 1
            return
        now = self._clock()
        client = _Client(listener, here, address, data)
        question = Question(said, data[0] << 8 | data[1], client, now, now + self._patience)
        try:
            channel, new = self._channels.next(server, now, said.door)
        except OSError:
            self._unanswered(question, server, Result.UNREACHABLE)
            return
        if new:
            self._by_number[channel.number] = channel
            self._loop.watch(channel, partial(self._answers_on, channel))
            for old in self._channels.surplus():
                self._end(old, Result.NO_ROOM)
        number = self.questions.add(channel.number, question)
        try:
            channel.socket.send(glance.with_number(data, number))
        except BlockingIOError:
            pass  # as if it had been lost on the way
        except PermissionError:
            # The kernel has judged it by the pod's policies, and dropped it: as the pod's own it would be gone, too.
            # But where names are listed, one that is not must not be waited for: resolvers try endings one by one.
            self.questions.close(channel.number, number)
            listed = said.pod.lists_names(server.address)
            self._desk.refuse(said.pod, source, server, "UDP", said.asked, listed=listed)
            if listed:
                _send(listener, glance.refusal(data, self._desk.plan.refusal, said.asked), address)
        except OSError:
            self._refused(channel, now)

    def _answers_on(self, channel: Channel) -> None:
        # One, and not all that wait: to ask in vain for another costs more than to be called again.
        try:
            data = channel.socket.recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError:
            # The server's machine says that nobody listens there, or a router that there is no way.
            self._refused(channel, self._clock())
            return
        number = data[0] << 8 | data[1] if len(data) > 1 else -1
        question = self.questions.find(channel.number, number)
        if question is None:
            self._results[Result.STRAY] += 1
            return
        granted, client = question.granted, question.client
        if self._desk.again(granted, data, question.began):
            self.questions.close(channel.number, number)
            self._give(client, channel.server, glance.with_number(data, question.number))
        elif not glance.answers(data, granted.asked):
            self._results[Result.FORGED] += 1
        else:
            self.questions.close(channel.number, number)
            # It may have to wait for the kernel, and then for longer than its address is the pod's.
            answer = glance.with_number(data, question.number)
            send = partial(self._reply, granted.pod.key, client, channel.server, answer)
            self._desk.answer(granted, data, question.began, send)

    def _refused(self, channel: Channel, now: float) -> None:
        for question in self.questions.close_channel(channel.number):
            self._unanswered(question, channel.server, Result.UNREACHABLE)
        # At once: where a server is not there, each question costs a socket.
        self._channels.drop(channel, now)
        self._end(channel, Result.UNREACHABLE)

    def _unanswered(self, question: Question[_Client], server: Server, result: Result) -> None:
        """Says at once what the pod would else wait for: a server that is not there is SERVFAIL."""
        self._results[result] += 1
        client = question.client
        refusal = glance.refusal(client.query, ResponseCode.SERVER_FAILURE, question.granted.asked)
        self._give(client, server, refusal)

    def _reply(self, key: str, client: _Client, server: Server, data: bytes) -> None:
        """Answers a pod, if its address has not become another's meanwhile."""
        if self._is_there(key, client):
            self._give(client, server, data)

    def _give(self, client: _Client, server: Server, data: bytes) -> None:
        try:
            client.listener.sendto(data, client.address)
        except PermissionError:
            self._give_anew(client, server, data)
        except OSError:
            return  # a full buffer is a lost packet; a pod that has gone hears nothing

    def _give_anew(self, client: _Client, server: Server, data: bytes) -> None:
        """The kernel does not know the way back any more (`outgate.nft.asking`). What cannot be put back is lost."""
        address, port = client.address[:2]
        with contextlib.suppress(KernelError, OSError):
            self._measures.restored += self._origins.restore(client.here, address, port, server)
            client.listener.sendto(data, client.address)

    def _is_there(self, key: str, client: _Client) -> bool:
        pod = self._desk.plan.pods.get(client.address[0])
        return pod is not None and pod.key == key

    def _end(self, channel: Channel, result: Result) -> None:
        self._results[result] += len(self.questions.close_channel(channel.number))
        del self._by_number[channel.number]
        self._loop.forget(channel)
        channel.socket.close()


def _send(listener: socket.socket, data: bytes, address: Any) -> None:
    try:
        listener.sendto(data, address)
    except OSError:
        return  # a full buffer is a lost packet; a pod that has gone hears nothing
