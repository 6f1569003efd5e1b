"""A proxy that begins, is told something else, dies and begins again; and a kernel that does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from outgate.agent.dns_measures import DnsStatus
from outgate.agent.dns_proxy import DnsProxy
from outgate.errors import KernelError
from outgate.host.names_door import Change, NamesDoor
from outgate.proxy.learned import Limits
from outgate.proxy.orders import NameSet, Orders, PodOrder
from tests.agent.test_dns_udp import until
from tests.lab.alone import alone
from tests.lab.dns.proxied import SHORT, Proxied, orders, reaches
from tests.lab.dns.resolver import Resolver, addresses, ask, question
from tests.lab.dns.town import CLUSTER_IP, POD, RESOLVERS, WORLD, Town, in_town

pytestmark = pytest.mark.kernel


class Slow(NamesDoor):
    """A kernel that is busy with something else until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()

    def put(self, changes: Iterable[Change]) -> Mapping[str, KernelError]:
        """Waits first."""
        assert self.free.wait(30)
        return super().put(changes)


def test_an_answer_waits_for_the_kernel_and_not_for_ever() -> None:
    """At the deadline it goes without its address, which stays closed; names that need nothing do not wait at all."""

    def play(town: Town) -> None:
        Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0]))
        door = Slow()
        with Proxied(town, orders(), door=lambda: door) as proxied, proxied.client() as client:
            assert ask(client, CLUSTER_IP[4], question("other.org")).addresses
            assert proxied.count("overdue") == 0
            assert ask(client, CLUSTER_IP[4], question("a.example.com")).addresses
            assert proxied.count("overdue") == 1
            assert not reaches(town, WORLD[4][0])
            door.free.set()
            until(lambda: proxied.proxy.measures.elements == 1)
            assert reaches(town, WORLD[4][0])

    in_town(play)


def test_a_kernel_that_refuses_denies_and_does_not_open() -> None:
    """The answer goes at once; the connection is denied, and when the set is there again the next answer fills it."""

    def play(town: Town) -> None:
        Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0]))
        with Proxied(
            town, orders(sets=(NameSet(name="gone", patterns=("*.example.com",)),), pods=(POD_GONE,))
        ) as proxied:
            client = proxied.client()
            for count in (1, 2):
                assert ask(client, CLUSTER_IP[4], question("a.example.com")).addresses
                assert proxied.count("overdue") == count
            town.nft("add set inet outgate f4_gone { type ipv4_addr . ipv4_addr; flags timeout; }")
            assert ask(client, CLUSTER_IP[4], question("a.example.com")).addresses
            assert proxied.count("overdue") == 2
            assert WORLD[4][0] in town.listed("f4_gone")

    in_town(play)


POD_GONE = PodOrder("pod/1", tuple(POD.values()), ("gone",))


def test_what_was_learnt_outlives_the_proxy() -> None:
    """Also one that was killed a while ago: the next knows what is open, and takes out what has lost its pod."""

    def play(town: Town) -> None:
        Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0]))
        with Proxied(town, orders()) as proxied:
            for neighbour in (False, True):
                ask(proxied.client(neighbour=neighbour), CLUSTER_IP[4], question("a.example.com"))
        assert reaches(town, WORLD[4][0])
        assert reaches(town, WORLD[4][0], neighbour=True)
        heir = orders(pods=(orders().pods[0], PodOrder("next/2", orders().pods[1].addresses, ("test",))))
        with Proxied(town, heir, folder=proxied.folder) as again:
            until(lambda: "10.1.0.12" not in town.listed())
            assert reaches(town, WORLD[4][0])
            assert ask(again.client(), CLUSTER_IP[4], question("a.example.com")).addresses
            assert again.proxy.measures.elements == 0, "it is there still"

    in_town(play)


def test_what_nobody_remembers_is_taken_out() -> None:
    """A proxy that was killed before it saved, or whose memory is gone, leaves nothing open to the pods that follow."""

    def play(town: Town) -> None:
        town.nft(f"add element inet outgate f4_test {{ {POD[4]} . {WORLD[4][0]} timeout 1h, 10.1.0.99 . 8.8.8.8 }}")
        with Proxied(town, orders()):
            until(lambda: "elements" not in town.listed())

    in_town(play)


def test_orders_may_change_at_any_time() -> None:
    """New names, new pods; orders that cannot be read change nothing and are said; a new table is filled again."""

    def play(town: Town) -> None:
        Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0]))
        with Proxied(town) as proxied, proxied.client() as client:
            client.sendto(question("a.example.com"), (CLUSTER_IP[4], 53))
            until(lambda: proxied.count("unknown_pod") == 1)
            proxied.tell(orders("b.example.com"))
            until(lambda: proxied.proxy.measures.orders == 1)
            assert ask(client, CLUSTER_IP[4], question("a.example.com")).addresses
            assert not reaches(town, WORLD[4][0])
            proxied.tell(orders("*.example.com"))
            until(lambda: proxied.proxy.measures.orders == 2)
            assert ask(client, CLUSTER_IP[4], question("a.example.com")).addresses
            assert reaches(town, WORLD[4][0])
            proxied.tell(Orders(format=9))
            until(lambda: bool(proxied.said))
            assert "format" in proxied.said[0]
            assert reaches(town, WORLD[4][0])
            town.nft("flush set inet outgate f4_test")
            assert not reaches(town, WORLD[4][0])
            proxied.tell(orders("*.example.com", table="another"))
            until(lambda: WORLD[4][0] in town.listed())
            proxied.tell(orders("*.example.com", table="another", pods=()))
            until(lambda: WORLD[4][0] not in town.listed())

    in_town(play)


def test_names_are_bounded_and_old_addresses_leave_the_kernel() -> None:
    """A pod that walks through endless names keeps the newest."""

    def play(town: Town) -> None:
        count = 0

        def reply(asked: object, data: bytes) -> Iterable[bytes]:
            nonlocal count
            count += 1
            return addresses(f"203.0.113.{100 + count}")(asked, data)  # type: ignore[arg-type] # passed on as it came

        Resolver(town, RESOLVERS[4][0], reply)
        with Proxied(town, orders(), limits=Limits(of_a_name=5, of_a_pod=3)) as proxied, proxied.client() as client:
            for number in range(9):
                ask(client, CLUSTER_IP[4], question(f"n{number}.example.com"))
            assert [n for n in range(101, 110) if f".{n} " in town.listed()] == [107, 108, 109]

    in_town(play)


def test_the_status_says_what_happened() -> None:
    """It is the agent's only view of the proxy."""

    def play(town: Town) -> None:
        Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0]))
        with Proxied(town, orders()) as proxied, proxied.client() as client:
            ask(client, CLUSTER_IP[4], question("a.example.com"))
            ask(client, CLUSTER_IP[4], question("a.example.com"))
        status = msgspec.json.decode(proxied.settings.status_file.read_bytes(), type=DnsStatus)
        assert status.results["answered"] == sum(status.upstream.counts) == 2
        assert (status.elements, sum(status.programming.counts), status.learned) == (1, 1, 1)
        assert (status.orders, status.fault, status.open_questions) == (1, "", 0)

    in_town(play)


def test_questions_are_forwarded_plainly_while_no_proxy_runs() -> None:
    """Where the lease is chosen; what is known stays open. Without it there is no answer, and no way around."""

    def play(town: Town) -> None:
        Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0]))
        settings = replace(SHORT, leased=True)
        with Proxied(town, orders(), settings=settings) as proxied:
            until(lambda: "udp" in town.listed("dns_up"))
            with proxied.client() as client:
                assert ask(client, CLUSTER_IP[4], question("a.example.com")).addresses
            assert proxied.count("answered") == 1
        with town.socket(town.pod, 4) as client:
            assert ask(client, CLUSTER_IP[4], question("b.example.com")).addresses
        assert proxied.count("answered") == 1
        assert reaches(town, WORLD[4][0])
        assert not reaches(town, WORLD[4][1])

    in_town(play, leased=True)


def test_without_a_proxy_there_is_no_answer() -> None:
    """The redirect stands: nothing goes past it."""

    def play(town: Town) -> None:
        resolver = Resolver(town, RESOLVERS[4][0], addresses(WORLD[4][0]))
        with Proxied(town, orders()):
            pass
        with town.socket(town.pod, 4) as client:
            client.settimeout(0.3)
            client.connect((CLUSTER_IP[4], 53))
            client.send(question("a.example.com"))
            with pytest.raises((TimeoutError, ConnectionError)):
                client.recv(512)
        assert resolver.asked == []

    in_town(play)


def test_a_second_proxy_cannot_listen(tmp_path: Path) -> None:
    """One says so, and lets go of what it had."""

    def play() -> str:
        settings = replace(SHORT, run_dir=tmp_path / "run", state_dir=tmp_path / "state")
        before = threading.active_count()
        with (
            DnsProxy(settings),
            pytest.raises(KernelError, match="cannot listen on port 10053: address already in use"),
        ):
            DnsProxy(settings)
        assert threading.active_count() == before
        return "done"

    assert alone(play) == "done"


def test_a_memory_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """And the proxy begins without it."""

    def play() -> list[str]:
        settings = replace(SHORT, run_dir=tmp_path / "run", state_dir=tmp_path / "state")
        settings.state_dir.mkdir()
        settings.memory_file.write_bytes(b"half")
        said: list[str] = []
        with DnsProxy(settings, say=said.append):
            pass
        settings.memory_file.unlink()
        settings.memory_file.mkdir()
        with DnsProxy(settings, say=said.append) as proxy:
            threading.Timer(0, proxy.stop).start()
            proxy.run()
        return said

    began = time.monotonic()
    first, second, third = alone(play)
    assert "learnt anew" in first
    assert "is a directory" in second
    assert "cannot be written" in third
    assert time.monotonic() - began < 60
