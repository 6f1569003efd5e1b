"""Who plays in `played` and `played_udp`: pods, servers and a kernel; and the book of what was asked and said.

Every question has a name of its own, and every answer of a server an address of its own: so of what a pod hears, and of
what would be opened, it is known whose it is.
"""

from __future__ import annotations

import contextlib
import ipaddress
import random
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from outgate.agent.names_commit import Done
from outgate.proxy import dns
from outgate.proxy.dns import Message, Question, Record
from outgate.proxy.learned import Learned, Lesson, Limits
from outgate.proxy.orders import Asking, Element, NameList, NameSet, Orders, PodOrder

__all__ = ["DENIED", "LISTED", "Asker", "Book", "Kernel", "Log", "Served", "limits", "orders", "reset"]

LISTED = ("a.test", "b.test", "c.test", "d.test")
"""Names that pods may ask for: each behind a door of its own."""
DENIED = 4
"""The door of the last, behind which the kernel drops all."""
_BROKEN = b"\0\0\0\2" + bytes(6) + b"\0\0\1\0\1" * 2
"""Two questions in one message, which nobody answers (RFC 9619), behind a number."""


_SETS = {"x": ("a.test", "b.test"), "y": ("b.test",)}
"""What the names in a kernel's set end with."""


def orders(keys: dict[str, str], opens: str = "x") -> Orders:
    """For the pods of these addresses; one without a key is not there. `opens` is the set that their rules use."""
    asks = tuple(Asking(None, NameList((f"**.{name}",)), (at, at)) for at, name in enumerate(LISTED, 1))
    pods = tuple(PodOrder(key, (address,), (opens,), asks) for address, key in keys.items() if key)
    patterns = tuple(f"**.{one}" for one in _SETS[opens])
    return Orders(sets=(NameSet(name=opens, patterns=patterns),), pods=pods)


def reset(one: socket.socket) -> None:
    """Closes a connection so that the other side hears a reset."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


def _unsent(one: socket.socket, data: bytes, size: int | None) -> bytes | None:
    """Sends so many of some octets. What is left of all; None where nothing can be sent any more."""
    try:
        return data[one.send(data[:size]) :]
    except BlockingIOError:
        return data
    except OSError:
        return None


def _unframed(come: bytes) -> tuple[list[bytes], bytes]:
    """The messages that have come as a whole, and the rest."""
    whole: list[bytes] = []
    while True:
        message, come = dns.unframe(come)
        if message is None:
            return whole, come
        whole.append(message)


class Log:
    """A log of refusals that keeps nothing."""

    node = ""

    def note(self, *_: object, **__: object) -> None:
        """As `Refusals.note`."""


@dataclass(eq=False)
class Asker:
    """A pod's socket, and what is known of its questions."""

    socket: socket.socket
    pod: str
    key: str
    began: float
    asked: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By name: number, and the code that is expected, -1 for what the server says."""
    heard: dict[str, int] = field(default_factory=dict)
    """The codes of answers, by name."""
    errors: Counter[int] = field(default_factory=Counter)
    """What was no question, by number: how many answers are still to come."""
    promised: set[str] = field(default_factory=set)
    """Names that the server has answered: whatever it does afterwards, these answers come."""
    left: bool = False
    """Something has been said, or a server has left, so that it may end before the rest is answered."""
    excused: bool = False
    """It may end at any moment: it is too old, or its pod is no more."""
    gone: bool = False
    """Its pod is no more: nothing is said to it."""
    silent: bool = False
    """It has sent its last."""
    ended: bool = False
    """Nothing more comes."""
    _rest: bytes = b""
    _come: bytes = b""

    def send(self, data: bytes, size: int | None = None) -> None:
        """Sends over TCP what was left the last time, and this: so many octets of it."""
        if self.silent:
            return
        left = _unsent(self.socket, self._rest + data, size)
        self.silent, self._rest = left is None, left or b""

    def read(self) -> Iterator[Message]:
        """What has come over TCP."""
        try:
            while data := self.socket.recv(65536):
                self._come += data
            self.ended = True
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True
        whole, self._come = _unframed(self._come)
        yield from map(dns.decode, whole)


@dataclass(eq=False)
class Served:
    """A server's end of a TCP connection of the proxy's."""

    socket: socket.socket
    port: int
    """Of the proxy."""
    open: list[bytes] = field(default_factory=list)
    """Questions that are not answered."""
    silent: bool = False
    rest: bytes = b""
    """What is said and not sent."""
    _come: bytes = b""

    def take(self) -> None:
        """Hears what has come."""
        with contextlib.suppress(OSError):
            while data := self.socket.recv(65536):
                self._come += data
        whole, self._come = _unframed(self._come)
        self.open += whole

    def say(self, data: bytes | None, size: int | None = None) -> None:
        """Sends what was left the last time, and this: so many octets of it."""
        if self.silent:
            return
        left = _unsent(self.socket, self.rest + (dns.frame(data) if data is not None else b""), size)
        self.silent, self.rest = left is None, left or b""


def limits(chance: random.Random) -> Limits:
    """How much is remembered: usual, or so little that it is met."""
    return chance.choice((Limits(), Limits(of_a_name=2, of_a_pod=4)))


class Book:
    """What was asked and said."""

    def __init__(self, chance: random.Random, *, denied: int = 5) -> None:
        self.random = chance
        self._denied = denied
        """The code that a question is answered with which the kernel drops."""
        self.said: dict[str, Asker | None] = {}
        """Addresses that servers have given: to whom, or to nobody who asked."""
        self.names: dict[str, str] = {}
        """Of what question such an address is the answer."""
        self.owners: dict[str, Asker] = {}
        """Who has asked for a name."""
        self.answers = 0
        self._names = 0

    def question(self, one: Asker, under: str = "") -> bytes:
        """A new question of somebody, by chance or under a name."""
        self._names += 1
        number = self.random.choice((1, self.random.randrange(65536)))
        under = under or self.random.choice(("a.test", "B.test", "c.test", *LISTED, "else.test"))
        name = f"q{self._names}.{under}"
        one.asked[name] = number, {LISTED[DENIED - 1]: self._denied, "else.test": 5}.get(under, -1)
        self.owners[name] = one
        return dns.encode(Message(number, questions=(Question(name, self.random.choice((1, 1, 16))),)))

    def broken(self, one: Asker) -> bytes:
        """What is no question, and is answered with FORMERR."""
        number = self.random.randrange(65536)
        one.errors[number] += 1
        return number.to_bytes(2, "big") + _BROKEN

    def answer(self, asked: bytes, *, legal: bool = True) -> bytes:
        """With an address that nothing else has; to a question of another type, with a name that is as good."""
        message = dns.decode(asked)
        (question,) = message.questions
        records: list[Record] = []
        for _ in range(self.random.choice((1, 1, 3))):
            self.answers += 1
            address = ipaddress.IPv4Address("203.0.0.0") + self.answers
            self.names[str(address)] = question.name.lower()
            self.said[str(address)] = self.owners.get(question.name) if legal else None
            ttl = self.random.choice((0, 5, 60, 2**31 - 1))
            if question.type == 1:
                records.append(Record(question.name, 1, address, ttl))
            else:
                records.append(Record(str(address), 16, b"\0", ttl))
        return dns.answer(message, records)

    def heard(self, one: Asker, said: Message) -> None:
        """Somebody has heard something: it is the answer of a question of his own, and the first."""
        assert not one.gone, "said to a pod that is no more"
        if not said.questions:
            one.errors[said.id] -= 1
            assert one.errors[said.id] >= 0
            assert said.code == 1
            return
        (asked,) = said.questions
        number, code = one.asked[asked.name]
        assert said.id == number
        assert asked.name not in one.heard, "answered twice"
        one.heard[asked.name] = said.code
        if code >= 0 or not said.answers:
            assert said.code == (code if code >= 0 else 2)
            return
        assert said.code == 0
        first = said.answers[0]
        assert self.said[str(first.data if asked.type == 1 else first.name)] is one


class Kernel:
    """Takes lessons when it is told to. What it is to open has been said by a server, to the pod that asked."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.waiting: list[tuple[int, Lesson]] = []
        self.open: dict[Element, float] = {}
        """What stands in the kernel, and until when."""
        self._done: list[Done] = []
        self._numbers = 0

    def submit(self, lesson: Lesson) -> int | None:
        """As `Committer.submit`."""
        for one in lesson.new:
            asked = self._book.said[str(ipaddress.ip_address(one.address))]
            assert asked is not None, "an answer to no question is about to open something"
            assert one.source == ipaddress.ip_address(asked.pod).packed
            assert lesson.pod == asked.key
        if lesson.new and self._book.random.random() < 0.02:
            if lesson.gone:
                self.submit(lesson.closing)
            return None
        self._numbers += 1
        self.waiting.append((self._numbers, lesson))
        return self._numbers

    def take(self, count: int, fault: str = "") -> None:
        """Takes the first ones, or refuses to put something in because of them."""
        for _, lesson in self.waiting[:count]:
            if not fault:
                self.open.update(dict.fromkeys(lesson.new, lesson.until))
            for one in lesson.gone:
                self.open.pop(one, None)
        self._done += [Done(*one, fault) for one in self.waiting[:count]]
        del self.waiting[:count]

    def holds(self, learned: Learned, now: float, keys: dict[str, str], opens: str) -> None:
        """What stands there has been said to that very pod, which is still here, of a name that its rules use now.

        And it is what is remembered. To be asked when nothing waits.
        """
        held = [memory.held for memory in learned._pods.values()]
        believed = {one for some in held for one, until in some.items() if until > now}
        assert believed == {one for one, until in self.open.items() if until > now}
        assert all(memory.count <= learned._limits.of_a_pod for memory in learned._pods.values())
        for one in [one for one, until in self.open.items() if until > now]:
            address = str(ipaddress.ip_address(one.address))
            asked = self._book.said[address]
            assert asked is not None
            assert one.set == opens
            assert self._book.names[address].endswith(_SETS[opens])
            assert keys[str(ipaddress.ip_address(one.source))] == asked.key, "open for the next pod"

    def done(self) -> Iterator[Done]:
        """As `Committer.done`."""
        while self._done:
            yield self._done.pop(0)
