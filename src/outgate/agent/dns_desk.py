"""What is decided about questions and answers, whatever carried them: the desk between `dns_udp`, `dns_tcp` and rules.

A question is somebody's, goes to a server, and asks for a name: it is passed on, refused, or dropped. An answer teaches
something or nothing. If all of it is in the kernel already, it is passed on at once; else the lesson is handed to
`names_commit`, and the answer goes when it is in, or at its deadline without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from outgate.agent.dns_measures import Measures, Result
from outgate.agent.names_commit import Committer, Done
from outgate.host.dns_origin import Server
from outgate.proxy import glance
from outgate.proxy.glance import Asked, Taught
from outgate.proxy.learned import Learned, Lesson
from outgate.proxy.orders import Leave, Orders, Plan, Pod
from outgate.proxy.questions import Granted

__all__ = ["Desk", "Refusing"]

_Key = TypeVar("_Key")
_Read = TypeVar("_Read")

Send = Callable[[], None]
"""Passes an answer on."""


class Refusing(Protocol):
    """Who is told of questions that are not passed on (`outgate.agent.dns_refusals.Refusals`)."""

    node: str

    def note(self, pod: Pod, source: str, server: Server, protocol: str, asked: Asked, *, refused: bool) -> None:
        """One more; must be quick and raise nothing."""


class _Held(NamedTuple):
    send: Send
    began: float
    deadline: float


_NEVER = Lesson(until=math.inf)
"""There is nothing to do, whenever it is asked."""
_COUNTED = Lesson()
"""There is nothing to do but to count it."""
_ANSWERED = Result.ANSWERED
"""Of its own name: to look a member of an enumeration up takes as long as to count it."""
_SHORT = 512
"""Octets of a message whose reading is kept."""
_KEPT = 4096
"""Messages: a few megabytes at the most."""


class Desk:
    """Plan and memory of one proxy. Nothing here waits. `clock` gives seconds, `waiting` how long answers may wait."""

    def __init__(
        self,
        learned: Learned,
        committer: Committer,
        measures: Measures,
        clock: Callable[[], float],
        waiting: Callable[[], float],
        refusals: Refusing,
    ) -> None:
        self.plan = Plan(Orders())
        self.learned = learned
        self.measures = measures
        self._committer = committer
        self._clock = clock
        self._waiting = waiting
        self._refusals = refusals
        self._granted: dict[tuple[str, Server | None, bytes], Granted] = {}
        self._answers: dict[bytes, Taught] = {}
        self._held: dict[int, _Held] = {}
        """Answers that wait for a lesson, by its number: in the order of their deadlines, while all wait equally."""
        self.followers: list[Callable[[], None]] = []
        """Who is called when there are new orders."""

    def follow(self, orders: Orders) -> None:
        """New orders. What is known is put in where they want it."""
        self.plan = Plan(orders)
        self._granted.clear()
        self._refusals.node = orders.node
        self.measures.orders += 1
        for lesson in self.learned.follow(self.plan):
            self._committer.submit(lesson)
        for follow in self.followers:
            follow()

    def question(self, source: str, server: Server | None, data: bytes, protocol: str) -> Granted | bytes | None:
        """A question of an address to a server: to be passed on, to be answered with this, or to be dropped."""
        # Programs ask the same again and again: but for its number, it is the same message.
        key = source, server, data[2:]
        known = self._granted.get(key)
        if known is not None:
            return known
        said = self._judged(source, server, data, protocol)
        if isinstance(said, Granted) and len(data) <= _SHORT:
            _keep(self._granted, key, said)
        return said

    def _judged(self, source: str, server: Server | None, data: bytes, protocol: str) -> Granted | bytes | None:
        results = self.measures.results
        pod = self.plan.pods.get(source)
        if pod is None or server is None:
            results[Result.UNKNOWN_POD] += 1
            return None
        asked = glance.glance_question(data)
        if not isinstance(asked, Asked):
            results[Result.MALFORMED] += 1
            # Answering an answer would make two proxies talk to each other for ever.
            return glance.refusal(data, asked) if len(data) >= 12 and not data[2] & 0x80 else None
        leave = pod.may_ask(server.address, asked.name)
        if leave is Leave.GRANTED:
            return Granted(pod, asked, pod.door(server.address, asked.name))
        listed = leave is Leave.REFUSED
        self.refuse(pod, source, server, protocol, asked, listed=listed)
        return glance.refusal(data, self.plan.refusal, asked) if listed else None

    def refuse(self, pod: Pod, source: str, server: Server, protocol: str, asked: Asked, *, listed: bool) -> None:
        """Counts and logs a question that is not passed on. `listed`: others may be asked of that server."""
        self.measures.results[Result.REFUSED if listed else Result.NO_SERVER] += 1
        self._refusals.note(pod, source, server, protocol, asked, refused=listed)

    def again(self, granted: Granted, data: bytes, began: float) -> bool:
        """Whether an answer is the last one once more, and teaches nothing yet: then it is counted, and may go.

        Most are, and what was found out about the last is not found out again.
        """
        answer = granted.answer
        if granted.era != self.learned.era or len(data) != len(answer) + 2 or not data.startswith(answer, 2):
            return False
        now = self._clock()
        if now >= granted.until:
            return False
        self.measures.results[_ANSWERED] += 1
        self.measures.upstream.add(now - began)
        return True

    def answer(self, granted: Granted, data: bytes, began: float, send: Send) -> None:
        """An answer to a pod's question. `send` is called when it may go: now, or later."""
        now = self._clock()
        lesson = self._lesson(granted.pod.key, granted.asked, data)
        if not (lesson.new or lesson.gone):
            if len(data) <= _SHORT:
                granted.answer, granted.era, granted.until = data[2:], self.learned.era, lesson.until
            send()
        elif (number := self._committer.submit(lesson)) is None:
            self.measures.results[Result.OVERDUE] += 1
            send()
        else:
            self._held[number] = _Held(send, now, now + self._waiting())
        # Last, so that nobody waits for it.
        self.measures.results[_ANSWERED] += 1
        self.measures.upstream.add(now - began)

    def _lesson(self, key: str, asked: Asked, data: bytes) -> Lesson:
        """What the kernel has to do before an answer may go, or until when there is nothing to do."""
        pod = self.plan.by_key.get(key)
        if pod is None or not self.plan.uses(pod, asked.name):
            return _NEVER
        taught = self._taught(data, asked)
        if taught is None:
            self.measures.results[Result.UNREADABLE] += 1
            return _COUNTED
        if not taught.addresses:
            return _NEVER
        elements = self.plan.grants(pod, asked.name, taught.addresses)
        out = 0
        if len(elements) < len(taught.addresses):
            out = self.plan.kept_out(pod, asked.name, taught.addresses)
            self.measures.kept_out += out
        lesson = self.learned.learn(pod, asked.name, elements, taught.ttl) if elements else _NEVER
        return _COUNTED if out and not (lesson.new or lesson.gone) else lesson

    def _taught(self, data: bytes, asked: Asked) -> Taught | None:
        """Caches give the same answer for a second. Its question is a part of it, and the key."""
        key = data[2:]
        found = self._answers.get(key)
        if found is None:
            found = glance.glance_answer(data, asked)
            if found is not None and len(data) <= _SHORT:
                _keep(self._answers, key, found)
        return found

    def committed(self) -> None:
        """The kernel has done something: what waited for it goes."""
        for done in self._committer.done():
            self._settle(done)

    def _settle(self, done: Done) -> None:
        held = self._held.pop(done.number, None)
        lesson, taken = done.lesson, done.taken if done.fault else done.lesson.new
        self.measures.elements += len(taken)
        self.measures.refused_elements += len(lesson.new) - len(taken)
        # What is in must be known, or it would stay when the pod goes, for the next one with its address.
        known = lesson.closing if done.fault and not taken else lesson._replace(new=taken)
        undo = self.learned.hold(known)
        if undo.gone:
            self._committer.submit(undo)
        if held is not None and done.fault:
            self.measures.results[Result.OVERDUE] += 1
        elif held is not None:
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
        if not self._held:
            return None
        return next(iter(self._held.values())).deadline


def _keep(kept: dict[_Key, _Read], key: _Key, found: _Read) -> None:
    if len(kept) >= _KEPT:
        kept.clear()
    kept[key] = found
