"""Questions over UDP through real namespaces: who answers what, who is believed, and what a flood may do."""

from __future__ import annotations

import ipaddress
import itertools
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator

import msgspec
import pytest

from outgate.agent.dns_udp import drawn_numbers
from outgate.host.dns_origin import Server
from outgate.proxy import dns
from outgate.proxy.dns import Message, Question, Record
from outgate.proxy.orders import Asking, NameList, PodOrder
from tests.host.test_dns_origin import deleted
from tests.lab.dns.proxied import SHORT, Proxied, orders, reaches
from tests.lab.dns.resolver import Resolver, addresses, ask, question
from tests.lab.dns.town import CLUSTER_IP, POD, RESOLVERS, WIRINGS, WORLD, Town, in_town

pytestmark = pytest.mark.kernel


def until(condition: Callable[[], bool]) -> None:
    """Waits for something that another thread does."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_name_opens_its_addresses_for_the_pod_that_asked(wiring: str) -> None:
    """Before the answer comes it is closed, then open: for that pod alone, in both families, asked over either."""

    def play(town: Town) -> None:
        for family in (4, 6):
            Resolver(town, RESOLVERS[family][0], addresses(WORLD[4][0], WORLD[6][0]))
        with Proxied(town, orders()) as proxied:
            for family, kind in ((4, 28), (6, 1)):
                target = WORLD[{1: 4, 28: 6}[kind]][0]
                assert not reaches(town, target)
                said = ask(proxied.client(family), CLUSTER_IP[family], question("Api.Example.com", kind))
                assert said.id == 4711
                assert said.questions == (Question("Api.Example.com", kind),)
                assert [str(one) for one in said.addresses] == [target]
                assert reaches(town, target)
                assert not reaches(town, target, neighbour=True)
            assert proxied.count("answered") == 2

    in_town(play, wiring)


def test_the_server_that_was_asked_is_asked() -> None:
    """Two of them from one port of the pod, each with its own answer under its own address; names that no rule uses."""

    def play(town: Town) -> None:
        one, two = (Resolver(town, RESOLVERS[4][at], addresses(WORLD[4][at])) for at in (0, 1))
        with Proxied(town, orders()) as proxied, proxied.client() as client:
            for at in (0, 1, 0, 1):
                said = ask(client, RESOLVERS[4][at], question("other.org"))
                assert [str(found) for found in said.addresses] == [WORLD[4][at]]
            assert (len(one.asked), len(two.asked)) == (2, 2)
            assert not reaches(town, WORLD[4][0])
            # In the node's name, from ports that are not the pod's, under numbers that are not the pod's.
            assert {sender[0] for resolver in (one, two) for _, _, sender in resolver.asked} == {"192.0.2.1"}
            assert {asked.id for resolver in (one, two) for asked, _, _ in resolver.asked} != {4711}

    in_town(play)


def test_bytes_go_through() -> None:
    """EDNS, its options, types that nobody knows: what the pod sent arrives, and so does what the server said."""

    def play(town: Town) -> None:
        echo: list[bytes] = []

        def reply(_: Message, data: bytes) -> Iterable[bytes]:
            echo.append(data[:2] + b"\x84\0" + data[4:])
            yield echo[-1]

        Resolver(town, RESOLVERS[4][0], reply)
        cookie = struct.pack("!HH8s", 10, 8, b"12345678")
        query = dns.encode(
            Message(9, questions=(Question("Www.ExAmple.COM", 65280),), extras=(Record("", 41, cookie, 0, klass=1232),))
        )
        with Proxied(town, orders()) as proxied, proxied.client() as client:
            client.sendto(query, (CLUSTER_IP[4], 53))
            data = client.recv(4096)
            assert data[2:] == echo[0][2:]
            assert (data[:2], echo[0][4:]) == (query[:2], query[4:])

    in_town(play)


def test_names_that_may_not_be_asked_are_refused() -> None:
    """At once, and the server never hears of them; a server that may not be asked is silence."""
    asks = (Asking((CLUSTER_IP[4],), NameList(("*.example.com",))),)

    def play(town: Town) -> None:
        resolver = Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0]))
        told = orders(pods=(PodOrder("pod/1", tuple(POD.values()), ("test",), asks),))
        with Proxied(town, told) as proxied, proxied.client() as client:
            assert ask(client, CLUSTER_IP[4], question("secret.attacker.org")).code == 5
            assert ask(client, CLUSTER_IP[4], question("a.example.com")).code == 0
            client.sendto(question("a.example.com"), (RESOLVERS[4][1], 53))
            client.sendto(b"\0\1\x28\0\0\1" + bytes(6) + b"\1a\0\0\1\0\1", (CLUSTER_IP[4], 53))
            assert dns.decode(client.recv(512)).code == 4, "an update; and what came before it got nothing"
            assert (proxied.count("no_server"), proxied.count("malformed"), proxied.count("refused")) == (1, 1, 1)
            said = [msgspec.json.decode(one) for one in proxied.settings.refusals_file.read_bytes().splitlines()]
            assert [(one["question"]["name"], one["destination"], one["protocol"]) for one in said] == [
                ("secret.attacker.org", CLUSTER_IP[4], "UDP"),
                ("a.example.com", RESOLVERS[4][1], "UDP"),
            ]
            with proxied.client(neighbour=True) as stranger:
                stranger.sendto(question("a.example.com"), (CLUSTER_IP[4], 53))
                until(lambda: proxied.count("unknown_pod") == 1)
            assert [asked.questions[0].name for asked, _, _ in resolver.asked] == ["a.example.com"]
            proxied.tell(orders(pods=told.pods, refusal="nameError"))
            until(lambda: proxied.proxy.measures.orders == 2)
            assert ask(client, CLUSTER_IP[4], question("secret.attacker.org")).code == 3

    in_town(play)


def test_forged_and_late_answers_teach_nothing() -> None:
    """Wrong numbers, other questions, other senders: the true answer, when it comes, is the one that counts."""

    def play(town: Town) -> None:
        def reply(asked: Message, data: bytes) -> Iterable[bytes]:
            bad = dns.answer(asked, [Record("a.example.com", 1, addresses_of(WORLD[4][1]))])
            yield bytes((data[0] ^ 1, data[1])) + bad[2:]
            yield dns.encode(
                Message(asked.id, True, questions=(Question("b.example.com", 1),), answers=dns.decode(bad).answers)
            )
            yield b""
            yield b"x"
            yield dns.answer(asked, [Record("a.example.com", 1, addresses_of(WORLD[4][0]))])
            yield bad

        one = Resolver(town, RESOLVERS[4][0], reply)
        two = Resolver(town, RESOLVERS[4][1], reply)
        with Proxied(town, orders()) as proxied, proxied.client() as client:
            said = ask(client, RESOLVERS[4][0], question("a.example.com"))
            assert [str(found) for found in said.addresses] == [WORLD[4][0]]
            asked, _, sender = one.asked[0]
            two.send(dns.answer(asked, [Record("a.example.com", 1, addresses_of(WORLD[4][1]))]), sender)
            until(lambda: proxied.count("stray") == 4)
            assert proxied.count("forged") == 1
            assert not reaches(town, WORLD[4][1])
            assert reaches(town, WORLD[4][0])
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(512)

    in_town(play)


def addresses_of(text: str) -> ipaddress.IPv4Address:
    """An address, for a record."""
    return ipaddress.IPv4Address(text)


def test_chains_hints_and_what_may_not_come_in() -> None:
    """Only the name that was asked gets anything, and it gets no address of the node, of pods, or of the metadata."""

    def play(town: Town) -> None:
        def reply(asked: Message, _: bytes) -> Iterable[bytes]:
            (asks,) = asked.questions
            records = [Record(asks.name, 5, "cdn.net", 9), Record("cdn.net", 1, addresses_of(WORLD[4][0]), 60)]
            if asks.name == "h.example.com":
                hint = struct.pack("!HBHH", 1, 0, 4, 4) + addresses_of(WORLD[4][1]).packed
                records = [Record(asks.name, 65, hint)]
            elif asks.name.startswith("rebound"):
                records = [
                    Record(asks.name, 1, addresses_of(one))
                    for one in ("169.254.169.254", "127.0.0.1", "192.0.2.1", "10.1.0.12", WORLD[4][1])
                ]
            yield dns.answer(asked, records)

        Resolver(town, RESOLVERS[4][0], reply)
        with Proxied(town, orders("a.example.com", "h.example.com", "rebound.example.com")) as proxied:
            client = proxied.client()
            assert ask(client, CLUSTER_IP[4], question("cdn.net")).answers
            assert not reaches(town, WORLD[4][0])
            assert ask(client, CLUSTER_IP[4], question("A.example.com")).answers
            assert reaches(town, WORLD[4][0])
            assert "timeout 21s" in town.listed(), "the lowest TTL of the chain, and the grace, half as long again"
            assert not reaches(town, WORLD[4][1])
            assert ask(client, CLUSTER_IP[4], question("h.example.com", 65)).answers
            assert reaches(town, WORLD[4][1])
            assert len(ask(client, CLUSTER_IP[4], question("rebound.example.com")).answers) == 5
            assert not any(one in town.listed() for one in ("169.254", "127.0", "192.0.2.1", "10.1.0.12"))
            assert proxied.proxy.measures.kept_out == 4

    in_town(play)


def test_a_server_that_is_not_there_is_said_so() -> None:
    """SERVFAIL at once; silence is counted when patience ends, and the pod's next question goes over another socket."""

    def play(town: Town) -> None:
        with Proxied(town, orders()) as proxied, proxied.client() as client:
            said = ask(client, RESOLVERS[4][1], question("A.example.com"))
            assert (said.code, said.questions[0].name) == (2, "A.example.com")
            assert proxied.count("unreachable") == 1
            resolver = Resolver(town, RESOLVERS[4][1], lambda *_: ())
            client.sendto(question("a.example.com"), (RESOLVERS[4][1], 53))
            until(lambda: proxied.count("timeout") == 1)
            resolver.reply = addresses(WORLD[4][0])
            assert ask(client, RESOLVERS[4][1], question("a.example.com")).answers
            ports = [sender[1] for _, _, sender in resolver.asked]
            assert len(set(ports)) == 2

    in_town(play)


def test_a_flood_is_bounded_and_keeps_nobody_out() -> None:
    """A pod that asks without end loses its own questions; its neighbour is answered, and the memory stays small."""

    def play(town: Town) -> None:
        def reply(asked: Message, data: bytes) -> Iterable[bytes]:
            return addresses(WORLD[4][0])(asked, data) if asked.questions[0].name == "good.example.com" else ()

        Resolver(town, RESOLVERS[4][0], reply)
        settings = type(SHORT)(patience=30.0, most_of_a_pod=50)
        with Proxied(town, orders(), settings=settings) as proxied, proxied.client() as client:
            for number in range(400):
                client.sendto(question(f"n{number}.example.com"), (CLUSTER_IP[4], 53))
                client.sendto(b"\0" * (number % 20), (CLUSTER_IP[4], 53))
            until(lambda: proxied.count("no_room") > 0)
            with proxied.client(neighbour=True) as neighbour:
                assert ask(neighbour, CLUSTER_IP[4], question("good.example.com")).answers
            until(lambda: proxied.count("no_room") + len(proxied.proxy._udp.questions) == 400)
            assert len(proxied.proxy._udp.questions) == 50

    in_town(play)


def test_drawn_numbers_cover_what_there_is() -> None:
    """A generator that gives half of the numbers halves the work of who guesses."""
    drawn = list(itertools.islice(iter(drawn_numbers(), -1), 8192))
    assert min(drawn) >= 0
    assert max(drawn) < 65536
    assert len(set(drawn)) > 7000
    assert {number >> 12 for number in drawn} == set(range(16))


def test_a_socket_of_its_own_is_not_the_pods() -> None:
    """The listeners are on the addresses that the redirect names; who goes there of himself is answered by nobody."""

    def play(town: Town) -> None:
        town.nft("flush chain inet outgate dns_input")
        with Proxied(town, orders()) as proxied, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
            here.sendto(question("a.example.com"), ("169.254.53.53", 10053))
            until(lambda: proxied.count("unknown_pod") == 1)
            with proxied.client() as client:
                client.sendto(question("a.example.com"), ("169.254.53.53", 10053))
                until(lambda: proxied.count("unknown_pod") == 2)
                client.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    client.recv(512)

    in_town(play)


_DOOR = 0xD012_3450
_JUDGE = (
    """
table inet outgate {
    chain class { ip daddr 192.0.2.53 return; ip6 daddr 2001:db8:2::53 return; drop; }
    map doors { type classid : verdict; elements = { d012:3450 : goto class }; }
    chain asked { type filter hook output priority -10; policy accept; meta priority vmap @doors; }
}
""".replace("; ", "\n")
    .replace(";", "\n")
    .replace("\n policy", "; policy")
)


@pytest.mark.parametrize("family", [4, 6])
def test_the_kernel_judges_what_the_proxy_asks_for_a_pod(family: int) -> None:
    """By the server that a Service stands for; what is forbidden there is gone as the pod's own question would be."""

    def play(town: Town) -> None:
        allowed, forbidden = (Resolver(town, RESOLVERS[family][at], addresses(WORLD[4][at])) for at in (0, 1))
        town.nft(_JUDGE)
        pods = (PodOrder("pod/1", tuple(POD.values()), ("test",), asks=(Asking(doors=(_DOOR, _DOOR)),)),)
        with Proxied(town, orders(pods=pods)) as proxied, proxied.client(family) as client:
            assert ask(client, CLUSTER_IP[family], question("a.example.com")).addresses
            assert len(allowed.asked) == 1
            client.sendto(question("a.example.com"), (RESOLVERS[family][1], 53))
            until(lambda: proxied.count("no_server") == 1)
            assert not forbidden.asked
            assert ask(client, CLUSTER_IP[family], question("b.example.com")).addresses

    in_town(play)


@pytest.mark.parametrize("family", [4, 6])
def test_an_answer_finds_its_way_where_kube_proxy_has_deleted_it(family: int) -> None:
    """Its entry of connection tracking is gone when the answer comes: one of a rule, known or not, and one of none."""

    def play(town: Town) -> None:
        entries: list[tuple[str, int]] = []

        def reply(asked: Message, data: bytes) -> Iterator[bytes]:
            address, port = entries.pop()
            deleted(address, port, Server(CLUSTER_IP[family], 53))
            yield from addresses(WORLD[4][0])(asked, data)

        Resolver(town, RESOLVERS[family][0], reply)
        with Proxied(town, orders()) as proxied, proxied.client(family) as client:
            client.bind((POD[family], 5353))
            for name in ("a.example.com", "a.example.com", "a.example.com", "of.no.rule"):
                entries.append((POD[family], 5353))
                assert ask(client, CLUSTER_IP[family], question(name)).answers
            assert proxied.proxy.measures.restored == 4

    in_town(play)
