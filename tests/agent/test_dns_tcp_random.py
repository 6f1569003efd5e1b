"""Random pipelines of questions over TCP, cut anywhere, against what is to become of each by itself."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.agent import dns_tcp
from outgate.proxy import dns
from outgate.proxy.dns import Message
from tests.agent.test_dns_udp import until
from tests.lab.dns.judged import judge, listed
from tests.lab.dns.proxied import SHORT, Proxied
from tests.lab.dns.resolver import Resolver, addresses, question
from tests.lab.dns.town import RESOLVERS, WORLD, Town, in_town

pytestmark = pytest.mark.kernel

_TWO = dns.encode(Message(0, questions=(dns.Question("a.example.com", 1), dns.Question("b.example.com", 1))))
_BROKEN = {
    "two questions": (1, _TWO),
    "a label of 64": (1, question("a.example.com", number=0)[:12] + b"\x40" + b"x" * 64 + b"\0\0\1\0\1"),
    "a cut name": (1, question("a.example.com", number=0)[:18]),
    "nothing but a header": (1, question("a.example.com", number=0)[:12]),
    "an update": (4, b"\0\0\x28\0\0\1" + bytes(6) + b"\1a\0\0\1\0\1"),
}
"""What is no question, the code that it is answered with, and its bytes."""
_FATAL = (b"", b"abc", question("a.example.com")[:11], dns.encode(Message(1, True)))
"""What nothing is said to: too short for a header, or an answer itself."""


@dataclass(frozen=True, slots=True)
class Item:
    """A message of the pod's. `code` is what it is answered, None where that is the end of all."""

    data: bytes
    code: int | None
    name: str = ""
    """What is asked for."""

    @property
    def passed_on(self) -> bool:
        """Whether the server hears of it."""
        return self.code == 0

    @property
    def number(self) -> int:
        """Under which it is asked and answered."""
        return int.from_bytes(self.data[:2], "big")


_NAMES = {"example.com": 0, "example.org": 0, "Example.ORG": 0, "example.net": 5, "com": 5, "": 5}


@st.composite
def items(draw: st.DrawFn) -> Item:
    """One message: a question under a list, under none, or what is no question."""
    number = draw(st.integers(0, 3) | st.integers(0, 65535))
    kind = draw(st.sampled_from((*_NAMES, *_NAMES, *_BROKEN)))
    if kind in _BROKEN:
        code, data = _BROKEN[kind]
        return Item(number.to_bytes(2, "big") + data[2:], code)
    label = draw(st.sampled_from(("a", "B", "n1", "x" * 63)))
    name = f"{label}.{kind}".rstrip(".")
    return Item(question(name, draw(st.sampled_from((1, 28, 16))), number), _NAMES[kind], name)


@st.composite
def pipelines(draw: st.DrawFn) -> list[Item]:
    """Some messages, at times with one among them that ends it."""
    found = draw(st.lists(items(), max_size=40))
    if draw(st.integers(0, 3)) == 0:
        found.insert(draw(st.integers(0, len(found))), Item(draw(st.sampled_from(_FATAL)), None))
    return found


def answered(pipeline: list[Item]) -> list[Item]:
    """What is answered: all that stands before what ends it."""
    fatal = next((at for at, one in enumerate(pipeline) if one.code is None), len(pipeline))
    return pipeline[:fatal]


_BOUNDS = {"_IN_FLIGHT": (64, 1, 3), "_AT_ONCE": (16, 1, 2), "_DOORS": (8, 1), "_ENOUGH": (65536, 1, 100)}
_TALKS = (
    pipelines(),
    st.lists(st.integers(0, 2000), max_size=6),
    st.fixed_dictionaries({name: st.sampled_from(some) for name, some in _BOUNDS.items()}),
)
"""What is sent, where it is cut, and under which bounds it is heard."""
_PATIENT = type(SHORT)(patience=30.0, deadline=10.0)


def key(one: Message | Item) -> tuple[int, int | None, str]:
    """Number, code and name of what is said, or is to be said."""
    if isinstance(one, Item):
        return one.number, one.code, one.name
    return one.id, one.code, one.questions[0].name if one.questions else ""


def test_each_of_a_random_pipeline_is_answered_by_itself() -> None:
    """Listed names by the server, all other at once, what is no question with an error; in whatever pieces it comes.

    Also under bounds that are so tight that each of them is met.
    """

    def play(town: Town) -> None:
        judge(town)
        resolver = Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0], WORLD[6][0]))
        with Proxied(town, listed(), settings=_PATIENT) as proxied:

            @given(*_TALKS, st.integers(0, 60))
            def check(pipeline: list[Item], cuts: list[int], bounds: dict[str, int], left: int) -> None:
                refused, malformed = proxied.count("refused"), proxied.count("malformed")
                del resolver.asked[:]
                data = b"".join(dns.frame(one.data) for one in pipeline)
                # In the end a message that does not end.
                data += dns.frame(question("end.example.com", number=9) + bytes(30))[:left]
                said = conversation(proxied, data, cuts, bounds)
                expected = answered(pipeline)
                assert Counter(map(key, said)) == Counter(map(key, expected))
                heard = Counter(asked.questions[0].name for asked, _, _ in resolver.asked)
                assert heard == Counter(one.name for one in expected if one.passed_on)
                assert proxied.count("refused") - refused == sum(one.code == 5 for one in expected)
                broken = sum(one.code in {1, 4} for one in expected) + (len(expected) < len(pipeline))
                assert proxied.count("malformed") - malformed == broken
                assert len(proxied.proxy._tcp.questions) == 0

            check()
            assert [proxied.count(one) for one in ("timeout", "no_room", "unreachable", "stray", "forged")] == [0] * 5

    in_town(play)


def test_a_server_that_may_do_anything_at_any_moment() -> None:
    """It closes, says things twice, or what was not asked: nothing is made of that.

    What the pod hears is an answer of its own question, once; the connection ends, and nothing of it is left.
    """

    def play(town: Town) -> None:
        deeds: list[str] = []

        def reply(asked: Message, data: bytes) -> Iterator[bytes]:
            deed = deeds[len(resolver.asked) % len(deeds)]
            if deed == "close":
                raise ConnectionAbortedError
            if deed == "other":
                yield dns.encode(Message(asked.id, True, questions=(dns.Question("other.example.com", 1),)))
            if deed == "stray":
                yield bytes((data[0] ^ 1,)) + next(iter(told(asked, data)))[1:]
            if deed == "empty":
                yield from (b"", b"x")
            for _ in range(1 + (deed == "twice")):
                yield from told(asked, data)
            if deed == "answer and close":
                raise ConnectionAbortedError

        judge(town)
        told = addresses(WORLD[4][0], WORLD[6][0])
        resolver = Resolver(town, RESOLVERS[4][0], reply)
        with Proxied(town, listed(), settings=_PATIENT) as proxied:
            watched = len(proxied.proxy._loop._ready)
            some = ("answer", "answer", "twice", "close", "answer and close", "other", "stray", "empty")

            @given(*_TALKS, st.lists(st.sampled_from(some), min_size=1, max_size=9))
            def check(pipeline: list[Item], cuts: list[int], bounds: dict[str, int], does: list[str]) -> None:
                deeds[:] = does
                data = b"".join(dns.frame(one.data) for one in pipeline)
                said, expected = (
                    Counter(map(key, one)) for one in (conversation(proxied, data, cuts, bounds), answered(pipeline))
                )
                assert said <= expected
                assert said == expected or {"close", "answer and close"} & {*does}
                assert len(proxied.proxy._tcp.questions) == 0
                assert len(proxied.proxy._loop._ready) == watched

            check()
            assert proxied.count("stray")
            assert proxied.count("forged")
            assert [proxied.count(one) for one in ("timeout", "no_room", "unreachable")] == [0] * 3

    in_town(play)


def conversation(proxied: Proxied, data: bytes, cuts: list[int], bounds: dict[str, int]) -> list[Message]:
    """Sends octets in pieces and no more, and hears all that comes until the end."""
    for name, value in bounds.items():
        setattr(dns_tcp, name, value)
    with proxied.connection() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        edges = sorted({0, *(one for one in cuts if one < len(data)), len(data)})
        heard = b""
        try:
            for begin, end in pairwise(edges):
                connection.sendall(data[begin:end])
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has been ended for a message in the midst
        try:
            while come := connection.recv(65535):
                heard += come
        except ConnectionResetError:
            pass
    until(lambda: not proxied.proxy._tcp._conversations)
    found: list[Message] = []
    while True:
        message, heard = dns.unframe(heard)
        if message is None:
            assert heard == b""
            return found
        found.append(dns.decode(message))
