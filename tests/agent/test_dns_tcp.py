"""Questions over TCP through real namespaces: after a truncated answer, many at once, cut anywhere, and too many."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest

from outgate.agent import dns_tcp
from outgate.agent.dns_stream import Stream
from outgate.proxy import dns
from outgate.proxy.dns import Message, Record
from outgate.proxy.orders import Asking, NameList, PodOrder
from tests.agent.test_dns_proxy import Slow
from tests.agent.test_dns_udp import addresses_of, until
from tests.lab.dns.proxied import SHORT, Proxied, orders, reaches
from tests.lab.dns.resolver import Resolver, addresses, ask, ask_tcp, question
from tests.lab.dns.town import CLUSTER_IP, POD, RESOLVERS, WIRINGS, WORLD, Town, in_town

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_long_answer_comes_over_tcp(wiring: str) -> None:
    """Over UDP it is cut and marked so; the pod asks again, and all of its addresses are opened, in both families."""

    def play(town: Town) -> None:
        def reply(asked: Message, _: bytes) -> Iterable[bytes]:
            (asks,) = asked.questions
            family = {1: 4, 28: 6}[asks.type]
            many = [WORLD[family][0]] + [
                f"203.0.113.{n}" if family == 4 else f"2001:db8:113::{n}" for n in range(20, 90)
            ]
            records = [Record(asks.name, asks.type, ipaddress.ip_address(one)) for one in many]
            yield dns.answer(asked, records, limit=512 if asked.id in by_udp else 65535)

        by_udp: set[int] = set()
        for family in (4, 6):
            Resolver(town, RESOLVERS[family][0], reply)
        with Proxied(town, orders()) as proxied:
            for family, kind in ((4, 1), (6, 28)):
                by_udp.update(range(65536))
                said = ask(proxied.client(family), CLUSTER_IP[family], question("long.example.com", kind))
                assert (said.truncated, said.answers) == (True, ())
                assert not reaches(town, WORLD[family][0])
                by_udp.clear()
                with proxied.connection(family) as connection:
                    (said,) = ask_tcp(connection, question("long.example.com", kind))
                assert len(said.addresses) == 71
                assert reaches(town, WORLD[family][0])

    in_town(play, wiring)


def test_each_question_of_a_connection_is_judged() -> None:
    """Allowed ones before a refused one open no door for it; numbers may be the pod's own, twice, and in pieces."""
    asks = (Asking((CLUSTER_IP[4],), NameList(("*.example.com",))),)

    def play(town: Town) -> None:
        resolver = Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0]))
        told = orders(pods=(PodOrder("pod/1", tuple(POD.values()), ("test",), asks),))
        with Proxied(town, told) as proxied:
            with proxied.connection() as connection:
                names = ("a.example.com", "attacker.org", "b.example.com")
                said = ask_tcp(connection, *(question(one, number=5) for one in names))
                codes = {one.questions[0].name: one.code for one in said}
                assert codes == {"a.example.com": 0, "attacker.org": 5, "b.example.com": 0}
                assert {one.id for one in said} == {5}
                for at in dns.frame(question("c.example.com")):
                    connection.send(bytes((at,)))
                assert dns.decode(connection.recv(4096)[2:]).addresses
            assert "attacker.org" not in [asked.questions[0].name for asked, _, _ in resolver.asked]
            # A server that may not be asked.
            with contextlib.suppress(OSError), proxied.connection(server=RESOLVERS[4][1]) as connection:
                connection.sendall(dns.frame(question("a.example.com")))
                assert connection.recv(10) == b""
            until(lambda: not proxied.proxy._tcp._conversations)

    in_town(play)


def test_more_questions_than_may_be_open_at_once_are_all_answered() -> None:
    """A pod that sends a thousand at once is read as its answers go."""

    def play(town: Town) -> None:
        Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0]))
        with Proxied(town, orders()) as proxied, proxied.connection() as connection:
            said = ask_tcp(connection, *(question(f"n{n}.example.com", number=n) for n in range(1000)))
            assert {one.id for one in said} == set(range(1000))
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(10) == b""

    in_town(play)


def test_forged_answers_are_dropped_and_what_is_no_question_ends_it() -> None:
    """Numbers and questions are compared, though a stranger would have to guess more."""

    def play(town: Town) -> None:
        def reply(asked: Message, data: bytes) -> Iterable[bytes]:
            good = dns.answer(asked, [Record("a.example.com", 1, addresses_of(WORLD[4][0]))])
            yield bytes((data[0] ^ 1, data[1])) + good[2:]
            yield dns.encode(Message(asked.id, True, questions=(dns.Question("b.example.com", 1),)))
            yield good

        Resolver(town, RESOLVERS[4][0], reply)
        with Proxied(town, orders()) as proxied:
            with proxied.connection() as connection:
                (said,) = ask_tcp(connection, question("a.example.com"))
                assert said.addresses
                assert (proxied.count("stray"), proxied.count("forged")) == (1, 1)
                connection.sendall(b"\0\0\0\0" + dns.frame(b"\0" * 12))
                assert connection.recv(10) == b""
            for data in (b"\xff\xff" + b"\0" * 70000, b"\0", b"\0\x0c" * 999, dns.frame(bytes(12)) * 9000):
                with proxied.connection() as connection:
                    with contextlib.suppress(OSError):
                        connection.sendall(data)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with proxied.connection() as connection:
                assert ask_tcp(connection, question("a.example.com"))[0].addresses
            until(lambda: not proxied.proxy._tcp._conversations)

    in_town(play)


def test_a_server_that_is_not_there_or_silent_ends_the_connection() -> None:
    """The pod hears of it, and tries another."""

    def play(town: Town) -> None:
        with Proxied(town, orders()) as proxied:
            with contextlib.suppress(ConnectionError), proxied.connection(server=RESOLVERS[4][1]) as connection:
                connection.sendall(dns.frame(question("a.example.com")))
                assert connection.recv(10) == b""
            until(lambda: proxied.count("unreachable") == 1)
            Resolver(town, RESOLVERS[4][1], lambda *_: ())
            with proxied.connection(server=RESOLVERS[4][1]) as connection:
                connection.sendall(dns.frame(question("a.example.com")))
                with contextlib.suppress(ConnectionError):
                    assert connection.recv(10) == b""
            assert proxied.count("timeout") == 1

    in_town(play)


def test_a_server_that_closes_behind_its_answer() -> None:
    """The answer still waits for the kernel then: it goes when its address is in, and only then the pod hears the end.

    RFC 7766, 6.2.3: servers may close idle connections at any time.
    """

    def play(town: Town) -> None:
        door = Slow()

        def reply(asked: Message, data: bytes) -> Iterator[bytes]:
            yield from addresses(WORLD[4][0])(asked, data)
            raise ConnectionAbortedError

        Resolver(town, RESOLVERS[4][0], reply)
        patient = replace(SHORT, deadline=10.0)
        with (
            Proxied(town, orders(), door=lambda: door, settings=patient) as proxied,
            proxied.connection() as connection,
        ):
            connection.sendall(dns.frame(question("a.example.com")))
            until(lambda: any(one._closing for one in proxied.proxy._tcp._conversations))
            door.free.set()
            message, rest = dns.unframe(connection.recv(1000))
            assert message is not None
            assert dns.decode(message).addresses == (ipaddress.ip_address(WORLD[4][0]),)
            assert reaches(town, WORLD[4][0])
            assert rest + connection.recv(10) == b""
            until(lambda: not proxied.proxy._tcp._conversations)

    in_town(play)


def test_of_too_many_connections_the_most_silent_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that holds the door open cannot keep others out, nor itself."""
    monkeypatch.setattr(dns_tcp, "_OF_A_POD", 4)

    def play(town: Town) -> None:
        Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0]))
        with Proxied(town, orders()) as proxied, contextlib.ExitStack() as stack:
            held = [stack.enter_context(proxied.connection()) for _ in range(9)]
            assert ask_tcp(held[-1], question("a.example.com"))[0].addresses
            assert held[0].recv(10) == b""
            assert len(proxied.proxy._tcp._conversations) == 4

    in_town(play)


def test_a_pod_that_does_not_read_what_it_is_answered_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the proxy answers itself is bounded as all else: the pod gets all of it when it reads, and not before.

    One that does not read at all is ended when it has been silent long enough.
    """
    asks = (Asking((CLUSTER_IP[4],), NameList(("*.example.com",))),)
    long = ".".join("x" * 60 for _ in range(4))
    most = 0

    def play(town: Town) -> None:
        nonlocal most
        put = Stream.put

        def measured(stream: Stream, message: bytes) -> None:
            nonlocal most
            put(stream, message)
            most = max(most, len(stream.unsent))

        monkeypatch.setattr(Stream, "put", measured)
        Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0]))
        told = orders(pods=(PodOrder("pod/1", tuple(POD.values()), ("test",), asks),))
        asked = [question(long, number=n) for n in range(20000)]
        with Proxied(town, told) as proxied:
            with flooding(town, asked):
                until(lambda: bool(proxied.proxy._tcp._conversations))
                until(lambda: not proxied.proxy._tcp._conversations)
            assert 0 < proxied.count("refused") < len(asked)
            with flooding(town, asked) as connection:
                until_still(lambda: proxied.count("refused"))
                assert heard(connection, len(asked)) == [(number, 5) for number in range(len(asked))]
                (again,) = ask_tcp(connection, question("a.example.com"))
                assert again.addresses
            assert most < dns_tcp._ENOUGH + 1024
            assert (proxied.count("timeout"), proxied.count("no_room")) == (0, 0)

    in_town(play)


@contextlib.contextmanager
def flooding(town: Town, asked: list[bytes]) -> Iterator[socket.socket]:
    """A connection with little room for answers, over which all is being asked."""

    def send() -> None:
        connection.settimeout(30)
        with contextlib.suppress(OSError):
            connection.sendall(b"".join(map(dns.frame, asked)))

    with town.socket(town.pod, 4, socket.SOCK_STREAM) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((CLUSTER_IP[4], 53))
        sending = threading.Thread(target=send)
        sending.start()
        yield connection
        sending.join(30)
        assert not sending.is_alive()


def until_still(count: Callable[[], int]) -> None:
    """Waits until a count does not rise any more, for the most part."""
    seen: list[int] = []

    def still() -> bool:
        seen.append(count())
        return len(seen) > 20 and seen[-20] == seen[-1]

    until(still)


def heard(connection: socket.socket, count: int) -> list[tuple[int, int]]:
    """Number and code of so many messages, which are read in small pieces."""
    rest, found = bytearray(), list[tuple[int, int]]()
    while len(found) < count:
        rest += connection.recv(4000)
        while len(rest) > 2 and len(rest) >= 2 + (size := int.from_bytes(rest[:2], "big")):
            found.append((int.from_bytes(rest[2:4], "big"), rest[5] & 15))
            del rest[: 2 + size]
    return found
