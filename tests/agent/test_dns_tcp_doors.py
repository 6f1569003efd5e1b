"""Questions over one TCP connection, of which each goes through the door of its name, where the kernel judges it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import msgspec
import pytest

from outgate.agent import dns_tcp
from outgate.proxy import dns
from outgate.proxy.dns import Message
from tests.agent.test_dns_udp import until
from tests.lab.dns.judged import DENIALS, MAIL, OTHER, WEB, asked_through, judge, listed
from tests.lab.dns.proxied import SHORT, Proxied
from tests.lab.dns.resolver import Resolver, addresses, ask, question
from tests.lab.dns.town import CLUSTER_IP, RESOLVERS, WORLD, Town, in_town

pytestmark = pytest.mark.kernel

PATIENT = type(SHORT)(patience=30.0, deadline=10.0)


class Holding:
    """A server that answers a name of `held` only when it is let go; its connection waits meanwhile, and no other."""

    def __init__(self, town: Town, address: str, *held: str) -> None:
        self.free = {name: threading.Event() for name in held}
        self.resolver = Resolver(town, address, self._reply)

    def _reply(self, asked: Message, data: bytes) -> Iterator[bytes]:
        name = asked.questions[0].name
        if name in self.free:
            assert self.free[name].wait(30)
        yield from addresses(WORLD[4][0], WORLD[6][0])(asked, data)

    def heard(self) -> dict[str, tuple[str, int]]:
        """Who has asked for what."""
        return {asked.questions[0].name: sender for asked, _, sender in self.resolver.asked}


class Talk:
    """The pod's end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._rest = b""

    def send(self, *names: str) -> None:
        """Asks, each under a number that its name gives."""
        self.connection.sendall(b"".join(dns.frame(question(name, number=len(name))) for name in names))

    def hear(self) -> Message | None:
        """The next answer, or None at the end: a reset where the pod has sent what nobody took."""
        while True:
            message, self._rest = dns.unframe(self._rest)
            if message is not None:
                return dns.decode(message)
            try:
                data = self.connection.recv(65535)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._rest += data

    def said(self) -> tuple[str, int]:
        """Name and code of the next answer, whose number is the name's."""
        message = self.hear()
        assert message is not None
        (asked,) = message.questions
        assert message.id == len(asked.name)
        return asked.name, message.code


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("denial", DENIALS)
def test_a_name_of_no_list_is_refused_while_others_wait(denial: str, family: int) -> None:
    """And the connection goes on, also with names of another list; each list has its own connection to the server."""

    def play(town: Town) -> None:
        judge(town, denial)
        server = Holding(town, RESOLVERS[family][0], "slow.example.com")
        told = listed(resets=denial == "reject")
        with Proxied(town, told, settings=PATIENT) as proxied, proxied.connection(family) as connection:
            talk = Talk(connection)
            talk.send("attacker.org")
            assert talk.said() == ("attacker.org", 5), "before anything else was asked"
            talk.send("slow.example.com", "Attacker.ORG", "a.example.org")
            assert sorted(talk.said() for _ in range(2)) == [("Attacker.ORG", 5), ("a.example.org", 0)]
            talk.send("tracker.net")
            assert talk.said() == ("tracker.net", 5)
            (conversation,) = proxied.proxy._tcp._conversations
            assert set(conversation._upstreams) == {WEB, MAIL}
            server.free["slow.example.com"].set()
            assert talk.said() == ("slow.example.com", 0)
            assert WORLD[4][0] in town.listed()
            proxied.tell(msgspec.structs.replace(told, refusal="nameError"))
            until(lambda: proxied.proxy.measures.orders == 2)
            talk.send("tracker.net", "b.example.com")
            assert sorted(talk.said() for _ in range(2)) == [("b.example.com", 0), ("tracker.net", 3)]
            with proxied.client(family) as client:
                assert ask(client, CLUSTER_IP[family], question("by.udp.net")).code == 3
            heard = server.heard()
            assert set(heard) == {"slow.example.com", "a.example.org", "b.example.com"}
            assert heard["b.example.com"] == heard["slow.example.com"] != heard["a.example.org"]
            connection.shutdown(socket.SHUT_WR)
            assert talk.hear() is None
            until(lambda: not proxied.proxy._tcp._conversations)
            assert len(proxied.proxy._tcp.questions) == 0
            assert (proxied.count("refused"), proxied.count("answered"), proxied.count("timeout")) == (5, 3, 0)
            lines = [msgspec.json.decode(one) for one in proxied.settings.refusals_file.read_bytes().splitlines()]
        *by_tcp, by_udp = lines
        names = [one["question"]["name"] for one in by_tcp]
        assert names == ["attacker.org", "attacker.org", "tracker.net", "tracker.net"]
        same = ("verdict", "pod", "peer", "source", "destination", "port", "node")
        assert all(one[key] == by_udp[key] for one in by_tcp for key in same)
        assert {one["protocol"] for one in by_tcp} == {"TCP"}

    in_town(play)


def test_each_list_is_judged_by_its_own_class() -> None:
    """A server that may be asked for names of one list and not of the other: the kernel says so, and the pod hears it.

    Where no list is, a denial is silence over UDP; over TCP the connection ends.
    """

    def play(town: Town) -> None:
        judge(town)
        town.nft("flush chain inet outgate mail\nadd rule inet outgate mail drop")
        server = Holding(town, RESOLVERS[4][0], "slow.example.com")
        with Proxied(town, listed(), settings=PATIENT) as proxied:
            with proxied.connection() as connection:
                talk = Talk(connection)
                talk.send("a.example.org", "a.example.com")
                assert sorted(talk.said() for _ in range(2)) == [("a.example.com", 0), ("a.example.org", 5)]
                talk.send("slow.example.com")
                until(lambda: "slow.example.com" in server.heard())
                proxied.tell(listed(OTHER))
                until(lambda: proxied.proxy.measures.orders == 2)
                talk.send("b.example.com", "c.example.com")
                until(lambda: proxied.count("no_server") == 1)
                server.free["slow.example.com"].set()
                assert talk.said() == ("slow.example.com", 0), "what was asked before is answered"
                assert talk.hear() is None
            assert set(server.heard()) == {"a.example.com", "slow.example.com"}
            assert (proxied.count("refused"), proxied.count("no_server"), proxied.count("unreachable")) == (1, 1, 0)

    in_town(play)


def test_a_server_that_is_not_there_is_not_taken_for_a_denial() -> None:
    """Neither on this node, where its reset comes at once, nor elsewhere; the pod asks another."""

    def play(town: Town) -> None:
        here = "192.0.2.1"
        judge(town, servers=(here, RESOLVERS[4][1]))
        with Proxied(town, listed(), settings=PATIENT) as proxied:
            for count, server in enumerate((here, RESOLVERS[4][1]), 1):
                with proxied.connection(server=server) as connection:
                    talk = Talk(connection)
                    talk.send("attacker.org", "a.example.com", "attacker.org")
                    assert talk.said() == ("attacker.org", 5)
                    found = talk.hear()
                    assert found is None or (found.code == 5 and talk.hear() is None)
                    assert proxied.count("unreachable") == count
            assert asked_through(town, WEB)
            assert not asked_through(town, MAIL)
            until(lambda: not proxied.proxy._tcp._conversations)

    in_town(play)


def test_more_doors_than_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody waits on makes room for another; where there is none, questions wait, and are all answered."""
    monkeypatch.setattr(dns_tcp, "_DOORS", 1)

    def play(town: Town) -> None:
        judge(town)
        server = Holding(town, RESOLVERS[4][0], "slow.example.com")
        with Proxied(town, listed(), settings=PATIENT) as proxied, proxied.connection() as connection:
            talk = Talk(connection)
            for name in ("a.example.com", "a.example.org", "b.example.com"):
                talk.send(name, "attacker.org")
                assert sorted(talk.said() for _ in range(2)) == sorted([(name, 0), ("attacker.org", 5)])
                (conversation,) = proxied.proxy._tcp._conversations
                assert len(conversation._upstreams) == 1
            talk.send("slow.example.com", "b.example.org", "attacker.org", "c.example.com")
            until(lambda: conversation._crowded)
            assert "b.example.org" not in server.heard()
            server.free["slow.example.com"].set()
            names = ("slow.example.com", "b.example.org", "c.example.com")
            assert sorted(talk.said() for _ in range(4)) == sorted([(one, 0) for one in names] + [("attacker.org", 5)])

    in_town(play)


def test_a_server_that_closes_one_of_two_connections() -> None:
    """Nobody waited there: the other goes on, and it is made anew. Where somebody did, the pod hears it at the end."""

    def play(town: Town) -> None:
        judge(town)

        class Closing(Holding):
            def _reply(self, asked: Message, data: bytes) -> Iterator[bytes]:
                name = asked.questions[0].name
                if name != "broken.example.com":
                    yield from super()._reply(asked, data)
                if name.startswith(("once", "broken")):
                    raise ConnectionAbortedError

        server = Closing(town, RESOLVERS[4][0], "slow.example.org")
        with Proxied(town, listed(), settings=PATIENT) as proxied, proxied.connection() as connection:
            talk = Talk(connection)
            talk.send("slow.example.org", "once.example.com")
            assert talk.said() == ("once.example.com", 0)
            (conversation,) = proxied.proxy._tcp._conversations
            until(lambda: set(conversation._upstreams) == {MAIL})
            talk.send("a.example.com", "attacker.org")
            assert sorted(talk.said() for _ in range(2)) == [("a.example.com", 0), ("attacker.org", 5)]
            talk.send("broken.example.com")
            until(lambda: set(conversation._upstreams) == {MAIL})
            talk.send("b.example.com")
            server.free["slow.example.org"].set()
            assert talk.said() == ("slow.example.org", 0)
            assert talk.hear() is None
            assert "b.example.com" not in server.heard()
            until(lambda: not proxied.proxy._tcp._conversations)
            assert len(proxied.proxy._tcp.questions) == 0
            assert proxied.count("unreachable") == 0

    in_town(play)
