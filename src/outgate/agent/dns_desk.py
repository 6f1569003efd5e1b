"""What is decided about questions and answers, whatever carried them: the desk between `dns_udp`, `dns_tcp` and rules.

A question is somebody's, goes to a server, and asks for a name: it is passed on, refused, or dropped. An answer teaches
something or nothing. If all of it is in the kernel already, it is passed on at once; else the lesson is handed to
`names_commit`, and the answer goes when it is in, or at its deadline without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from outgate.agent.dns_measures import Measures, Result
from outgate.agent.names_commit import Committer, Done
from outgate.host.dns_origin import Server
from outgate.proxy import glance
from outgate.proxy.dns import ResponseCode
from outgate.proxy.glance import Asked
from outgate.proxy.learned import Learned
from outgate.proxy.orders import Leave, Orders, Plan, Pod

__all__ = ["Desk", "Granted"]

Send = Callable[[], None]
"""Passes an answer on."""


class Granted(NamedTuple):
    """A question that may be passed on."""

    pod: Pod
    asked: Asked


class _Held(NamedTuple):
    send: Send
    began: float
    deadline: float


class Desk:
    """Plan and memory of one proxy. Nothing here waits. `clock` gives seconds."""

    def __init__(
        self, learned: Learned, committer: Committer, measures: Measures, clock: Callable[[], float], deadline: float
    ) -> None:
        self.plan = Plan(Orders())
        self.learned = learned
        self.measures = measures
        self._committer = committer
        self._clock = clock
        self._deadline = deadline
        self._held: dict[int, _Held] = {}
        """Answers that wait for a lesson, by its number: in the order of their deadlines."""

    def follow(self, orders: Orders) -> None:
        """New orders. What is known is put in where they want it."""
        self.plan = Plan(orders)
        self.measures.orders += 1
        for lesson in self.learned.follow(self.plan):
            self._committer.submit(lesson)

    def question(self, source: str, server: Server | None, data: bytes) -> Granted | bytes | None:
        """A question of an address to a server: to be passed on, to be answered with this, or to be dropped."""
        results = self.measures.results
        pod = self.plan.pods.get(source)
        if pod is None or server is None:
            results[Result.UNKNOWN_POD] += 1
            return None
        asked = glance.glance_question(data)
        if isinstance(asked, ResponseCode):
            results[Result.MALFORMED] += 1
            # Answering an answer would make two proxies talk to each other for ever.
            return glance.refusal(data, asked) if len(data) >= 12 and not data[2] & 0x80 else None
        leave = pod.may_ask(server.address, asked.name)
        if leave is Leave.GRANTED:
            return Granted(pod, asked)
        if leave is Leave.NO_SERVER:
            results[Result.NO_SERVER] += 1
            return None
        results[Result.REFUSED] += 1
        return glance.refusal(data, self.plan.refusal, asked)

    def answer(self, key: str, asked: Asked, data: bytes, began: float, send: Send) -> None:
        """An answer to a pod's question. `send` is called when it may go: now, or later."""
        now = self._clock()
        self.measures.results[Result.ANSWERED] += 1
        self.measures.upstream.add(now - began)
        pod = self.plan.by_key.get(key)
        taught = glance.glance_answer(data, asked) if pod is not None and pod.sets else glance.NOTHING
        if taught is None:
            self.measures.results[Result.UNREADABLE] += 1
        if not taught or pod is None or not taught.addresses:
            send()
            return
        elements = self.plan.grants(pod, asked.name, taught.addresses)
        if len(elements) < len(taught.addresses):
            self.measures.kept_out += self.plan.kept_out(pod, asked.name, taught.addresses)
        if not elements:
            send()
            return
        lesson = self.learned.learn(pod, asked.name, elements, taught.ttl)
        if not lesson.new and not lesson.gone:
            send()
            return
        number = self._committer.submit(lesson)
        if number is None:
            self.measures.results[Result.OVERDUE] += 1
            send()
            return
        self._held[number] = _Held(send, now, now + self._deadline)

    def committed(self) -> None:
        """The kernel has done something: what waited for it goes."""
        for done in self._committer.done():
            self._settle(done)

    def _settle(self, done: Done) -> None:
        held = self._held.pop(done.number, None)
        if done.fault:
            self.measures.refused_elements += len(done.lesson.new)
            if held is not None:
                self.measures.results[Result.OVERDUE] += 1
        else:
            self.measures.elements += len(done.lesson.new)
            undo = self.learned.hold(done.lesson)
            if undo.gone:
                self._committer.submit(undo)
            if held is not None:
                self.measures.programming.add(self._clock() - held.began)
        if held is not None:
            held.send()

    def overdue(self, now: float) -> None:
        """Answers whose deadline has come go without their addresses: a connection is denied, and asks again."""
        while self._held:
            number = next(iter(self._held))
            held = self._held[number]
            if held.deadline > now:
                return
            del self._held[number]
            self.measures.results[Result.OVERDUE] += 1
            held.send()

    def next_deadline(self) -> float | None:
        """When `overdue` has something to do."""
        return next((one.deadline for one in self._held.values()), None)
