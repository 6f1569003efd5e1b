"""Names through the whole agent: the API server says a policy, a pod asks, the proxy learns, and packets pass."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from outgate.agent.dns_settings import DnsSettings
from outgate.lab.build import Box
from outgate.proxy import dns
from outgate.proxy.dns import Message
from outgate.report.packet_log import LogRecord, QuestionSaid
from outgate.testing import Manifest, cluster_policy
from outgate.testing_cilium import cilium_policy
from tests.lab.agent.cast import CLUSTER, allow
from tests.lab.agent.farm import Farm, grow
from tests.lab.dns.resolver import Resolver, ask, ask_tcp, question
from tests.lab.dns.town import Town

pytestmark = pytest.mark.kernel

PORT = 7000
SETTINGS: dict[str, Any] = {"names": "closed", "all_nodes": True}
NAME = "www.example.com"
DNS = {4: "203.0.113.53", 6: "2001:db8:113::53"}
ADDRESSES = {4: "203.0.113.80", 6: "2001:db8:113::80"}
TYPES = {4: dns.RecordType.A, 6: dns.RecordType.AAAA}
OTHER = {4: "203.0.113.81", 6: "2001:db8:113::81"}
Names = Callable[[str], Mapping[int, str]]


def by_name(name: str) -> Mapping[int, str]:
    """The addresses of a name."""
    return ADDRESSES if name == NAME else OTHER


def cluster_wide(*names: str) -> list[Manifest]:
    """Names by a ClusterNetworkPolicy, above policies that allow both pods of namespace a nothing but the resolver."""
    subject = {"namespaces": {"matchLabels": {"team": "red"}}}
    accept = {"action": "Accept", "to": [{"domainNames": [*names]}]}
    servers = [
        allow(f"a/dns{family}{who}", {"ipBlock": {"cidr": f"{one}/{32 if family == 4 else 128}"}}, 53, app=who)
        for family, one in DNS.items()
        for who in ("one", "two")
    ]
    return [cluster_policy("names", subject=subject, egress=[accept]), *servers]


def of_cilium(*names: str) -> list[Manifest]:
    """Names by a CiliumNetworkPolicy, which allows the resolver, too."""
    port = {"ports": [{"port": "53", "protocol": "ANY"}]}
    servers = {"toCIDR": [f"{DNS[4]}/32", f"{DNS[6]}/128"], "toPorts": [port]}
    rules = [{"toFQDNs": [{"matchPattern" if "*" in one else "matchName": one} for one in names]}, servers]
    return [cilium_policy("a/names", {"endpointSelector": {}, "egress": rules})]


class World:
    """A resolver in the world, and pods that ask it."""

    def __init__(self, farm: Farm, names: Names = by_name) -> None:
        self.farm = farm
        self.names = names
        self.tries = 0
        """How often the last answer was asked for."""
        town = cast("Town", SimpleNamespace(outside=farm.stage.world, socket=self.socket))
        with farm.stage.enter(farm.stage.world):
            for one in DNS.values():
                farm.stage.run(farm.stage.world, ("ip", "addr", "replace", one, "dev", "lo"))
        self.resolvers = [Resolver(town, one, self.reply) for one in DNS.values()]

    def reply(self, asked: Message, _: bytes) -> Iterator[bytes]:
        """What a resolver says."""
        (one,) = asked.questions
        found = self.names(one.name)
        records = [
            dns.Record(one.name, one.type, ipaddress.ip_address(found[family]), 60)
            for family, kind in TYPES.items()
            if kind == one.type and family in found
        ]
        yield dns.answer(asked, records)

    def socket(self, space: object, family: int, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        """A socket in a box."""
        with self.farm.stage.enter(cast("Box", space)):
            made = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind)
        made.settimeout(0.5)
        return made

    def asks(self, path: str, name: str = NAME, family: int = 4, server: str = "") -> Message:
        """The answer to a pod's question, which it asks until there is one: a proxy that is started takes a moment."""
        found: list[Message] = []
        self.tries = 0

        def answered() -> bool:
            self.tries += 1
            with self.socket(self.farm.box(path), family) as client:
                try:
                    found.append(ask(client, server or DNS[family], question(name, TYPES[family])))
                except (TimeoutError, ConnectionError):
                    return False
            return True

        self.farm.until(answered)
        return found[0]

    def unanswered(self, path: str, family: int = 4) -> bool:
        """Whether a question gets no answer."""
        with self.socket(self.farm.box(path), family) as client:
            try:
                ask(client, DNS[family], question(NAME, TYPES[family]))
            except (TimeoutError, ConnectionError):
                return True
        return False


def proxies() -> list[int]:
    """The DNS proxies of this lab, as its processes are counted: /proc may be that of the world outside."""
    found = []
    mine = os.readlink("/proc/self/ns/pid")
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if os.readlink(folder / "ns/pid") == mine and b"--lock-fd" in (folder / "cmdline").read_bytes():
                    found.append(int(re.findall(r"NSpid:.*\b(\d+)", (folder / "status").read_text())[0]))
            except OSError:
                continue
    return found


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("policies", [cluster_wide, of_cilium])
def test_28_a_name_opens_its_address_for_the_pod_that_asked(
    policies: Callable[..., list[Manifest]], family: int
) -> None:
    """Closed before anybody asks; then open for who asked, and for no other pod of the same policy."""

    def check(farm: Farm) -> None:
        world = World(farm)
        there = ADDRESSES[family]
        assert not farm.passes("a/one", there, PORT, family)
        assert world.asks("a/one", family=family).answers
        assert farm.passes("a/one", there, PORT, family)
        assert not farm.passes("a/two", there, PORT, family)
        assert world.asks("a/two", family=family).answers
        assert farm.passes("a/two", there, PORT, family)
        assert world.asks("a/one", "other.example.net", family).answers, "any name may be asked for"
        assert not farm.passes("a/one", OTHER[family], PORT, family)

    grow([*CLUSTER, *policies(NAME)], check, **SETTINGS)


def test_26_the_address_is_in_before_the_answer() -> None:
    """The very first packet after each of many answers passes: it would not, if the answer were faster.

    Of an answer that could not wait any longer nothing is promised but that it opens nothing: `DnsSettings.deadline`.
    """
    numbered = {f"n{number}.example.com": f"203.0.113.{100 + number}" for number in range(30)}

    def check(farm: Farm) -> None:
        world, in_time = World(farm, lambda name: {4: numbered[name]}), 0
        for name, there in numbered.items():
            assert not farm.passes("a/one", there, PORT)
            began = time.monotonic()
            assert world.asks("a/one", name).answers
            early = time.monotonic() - began < DnsSettings().deadline
            assert farm.passes("a/one", there, PORT) or not early
            in_time += early
        assert in_time > 0, "no answer came early enough to show anything"

    grow([*CLUSTER, *of_cilium("*.example.com")], check, **SETTINGS)


def test_27_the_proxy_dies_and_comes_back() -> None:
    """What was learnt stays in the kernel while nobody is there, and in the memory of the next."""

    def check(farm: Farm) -> None:
        world = World(farm)
        world.asks("a/one")
        (first,) = proxies()
        os.kill(first, signal.SIGKILL)
        assert farm.passes("a/one", ADDRESSES[4], PORT)
        assert world.asks("a/one", "other.example.net").answers
        (second,) = proxies()
        assert second != first
        assert farm.passes("a/one", ADDRESSES[4], PORT)
        assert farm.settled().agents["n1"].told["drift"] == 0, "what the proxy puts in is not taken for somebody's"

    grow([*CLUSTER, *of_cilium(NAME)], check, **SETTINGS)


def test_27_the_agent_dies_and_dns_goes_on() -> None:
    """By the proxy that stands; the next agent finds it, and starts none."""

    def check(farm: Farm) -> None:
        world = World(farm)
        assert world.asks("a/two").answers
        before = proxies()
        farm.kill("n1")
        assert world.asks("a/one").answers
        assert farm.passes("a/one", ADDRESSES[4], PORT)
        farm.start("n1")
        assert farm.settled().passes("a/one", ADDRESSES[4], PORT)
        farm.server.put(allow("a/more", None, PORT + 1))
        assert farm.settled().passes("a/one", OTHER[4], PORT + 1)
        assert farm.passes("a/two", ADDRESSES[4], PORT)
        assert world.asks("a/one", "other.example.net").answers
        assert proxies() == before

    grow([*CLUSTER, *of_cilium(NAME)], check, **SETTINGS)


@pytest.mark.parametrize(("names", "answered"), [("closed", False), ("forward", True)])
def test_27_while_no_proxy_runs(names: str, answered: bool) -> None:
    """Pods get no answer or one that opens nothing, as the settings say: never one that opens something unlearnt."""

    def check(farm: Farm) -> None:
        world = World(farm)
        # Forwarded, a question is answered before there is a proxy, and then teaches nothing.
        farm.until(lambda: bool(world.asks("a/one").answers) and farm.passes("a/one", ADDRESSES[4], PORT))
        (proxy,) = proxies()
        os.kill(proxy, signal.SIGSTOP)
        assert world.unanswered("a/two")
        try:
            farm.until(lambda: world.unanswered("a/two") is not answered)
            assert not farm.passes("a/two", ADDRESSES[4], PORT)
        finally:
            os.kill(proxy, signal.SIGCONT)

    grow([*CLUSTER, *of_cilium(NAME)], check, **SETTINGS | {"names": names})


def test_policies_come_and_go_and_the_proxy_with_the_first() -> None:
    """Without rules about names there is no proxy and no chain; with other names, what is known is judged anew."""

    def check(farm: Farm) -> None:
        world = World(farm)
        assert proxies() == []
        assert not (farm.settings("n1").dns.orders_file).exists()
        (first,) = of_cilium(NAME)
        farm.server.put(first)
        farm.settle()
        world.asks("a/one")
        assert farm.passes("a/one", ADDRESSES[4], PORT)
        (second,) = of_cilium("other.example.net")
        farm.server.put(second)
        assert not farm.settled().passes("a/one", ADDRESSES[4], PORT)
        farm.server.put(first)
        farm.settle()
        # The proxy hears of it beside the agent: an answer that was faster has taught nothing.
        farm.until(lambda: bool(world.asks("a/one").answers) and farm.passes("a/one", ADDRESSES[4], PORT))
        farm.server.delete("CiliumNetworkPolicy", "a", "names")
        assert farm.settled().passes("a/one", OTHER[4], PORT)
        assert "dns" not in farm.counted("n1")

    grow(CLUSTER, check, **SETTINGS)


@pytest.mark.parametrize("family", [4, 6])
def test_28_sockets_from_before_the_rule_ask_the_proxy_too(family: int) -> None:
    """Some resolvers keep one socket for good: its packets are of a connection that was not led to the proxy.

    Over UDP it is asked from now on, and no longer once the rule has gone; over TCP the pod is told to begin anew.
    """

    def check(farm: Farm) -> None:
        world = World(farm)
        kept = world.socket(farm.box("a/one"), family)
        stream = world.socket(farm.box("a/one"), family, socket.SOCK_STREAM)
        with kept, stream:
            stream.settimeout(10)
            stream.connect((DNS[family], 53))
            wanted = question(NAME, TYPES[family])

            def told() -> bool:
                with contextlib.suppress(TimeoutError):
                    return bool(ask(kept, DNS[family], wanted).answers)
                return False

            assert told()
            assert ask_tcp(stream, wanted)[0].answers
            (policy,) = of_cilium(NAME)
            farm.server.put(policy)
            farm.settle()
            farm.until(lambda: told() and farm.passes("a/one", ADDRESSES[family], PORT, family))
            with pytest.raises((ConnectionError, AssertionError), match=r"reset|ended"):
                ask_tcp(stream, wanted)
            farm.server.delete("CiliumNetworkPolicy", "a", "names")
            farm.settle()
            for pid in proxies():
                os.kill(pid, signal.SIGKILL)
            farm.until(told)

    grow(CLUSTER, check, **SETTINGS)


def test_names_that_are_off_open_nothing() -> None:
    """As long as nobody asks for the proxy, nothing of it is there."""

    def check(farm: Farm) -> None:
        world = World(farm)
        assert world.asks("a/one").answers
        assert not farm.passes("a/one", ADDRESSES[4], PORT)
        assert proxies() == []

    grow([*CLUSTER, *of_cilium(NAME)], check, **SETTINGS | {"names": "off"})


def test_names_that_may_be_asked_for() -> None:
    """Cilium's rules.dns: its names are asked for, others are refused; without names of addresses nothing opens."""
    port = {"ports": [{"port": "53", "protocol": "ANY"}]}
    there = [f"{DNS[4]}/32"]

    def listed(*patterns: str) -> Manifest:
        ports = {**port, "rules": {"dns": [{"matchPattern": one} for one in patterns]}}
        rules = [{"toFQDNs": [{"matchName": NAME}]}, {"toCIDR": there, "toPorts": [ports]}]
        return cilium_policy("a/names", {"endpointSelector": {}, "egress": rules})

    def check(farm: Farm) -> None:
        world = World(farm)
        assert world.asks("a/one").answers
        assert farm.passes("a/one", ADDRESSES[4], PORT)
        refused = world.asks("a/one", "other.example.net")
        tries = world.tries
        assert (refused.code, refused.answers) == (dns.ResponseCode.REFUSED, ())
        with world.socket(farm.box("a/one"), 4, socket.SOCK_STREAM) as client:
            client.settimeout(10)
            client.connect((DNS[4], 53))
            names = ("other.example.net", NAME, "tracker.example.net")
            said = {one.questions[0].name: one.code for one in ask_tcp(client, *map(question, names))}
            assert said == dict(zip(names, (dns.ResponseCode.REFUSED, 0, dns.ResponseCode.REFUSED), strict=True))
        file = farm.settings("n1").dns.refusals_file
        (line, *others) = (msgspec.json.decode(one, type=LogRecord) for one in file.read_bytes().splitlines())
        assert (str(line.pod), line.policy, line.node) == ("a/one", "a/names", "n1")
        assert line.question == QuestionSaid("other.example.net", "A", ("a/names egress[1]",))
        # A question that was asked again, since the machine was too busy to answer in time, has its line as well.
        again = [one for one in others if one.protocol == "UDP"]
        assert len(again) < tries
        assert all((one.question, one.rule) == (line.question, line.rule) for one in again)
        over_tcp = [one for one in others if one not in again]
        assert [(one.protocol, one.rule == line.rule) for one in over_tcp] == [("TCP", True), ("TCP", False)]
        farm.server.put(listed("*"))
        farm.settle()
        farm.until(lambda: bool(world.asks("a/one", "other.example.net").answers))
        assert not farm.passes("a/one", OTHER[4], PORT)
        (plain,) = of_cilium(NAME)
        farm.server.put({**plain, "spec": {"endpointSelector": {}, "egress": plain["spec"]["egress"][:1]}})
        farm.settle()
        farm.until(lambda: world.unanswered("a/one"))

    grow([*CLUSTER, listed("*.example.com", "*.example.org")], check, **SETTINGS)


LOCAL = {4: "169.254.20.10", 6: "fd00:20::10"}
"""Of a cache on each node, as NodeLocal DNSCache is one."""
_PORT = "meta l4proto { tcp, udp } th"
NOT_TRACKED = "".join(
    f"""
table {table} cache {{
    chain in {{ type filter hook prerouting priority -300; {table} daddr {LOCAL[family]} {_PORT} dport 53 notrack; }}
    chain out {{ type filter hook output priority -300; {table} daddr {LOCAL[family]} {_PORT} dport 53 notrack
                 {table} saddr {LOCAL[family]} {_PORT} sport 53 notrack; }}
}}
"""
    for family, table in ((4, "ip"), (6, "ip6"))
)


def test_a_cache_on_the_node_whose_packets_are_not_tracked() -> None:
    """It takes its packets out of connection tracking, without which nothing is translated: nobody was answered."""
    port = {"ports": [{"port": "53", "protocol": "ANY"}], "rules": {"dns": [{"matchPattern": "*.example.com"}]}}
    there = {"toCIDR": [f"{LOCAL[4]}/32", f"{LOCAL[6]}/128"], "toPorts": [port]}
    spec = {"endpointSelector": {}, "egress": [{"toFQDNs": [{"matchName": NAME}]}, there]}

    def check(farm: Farm) -> None:
        world = World(farm)
        node = farm.stage.nodes["n1"]
        for family, one in LOCAL.items():
            # Of IPv6 nothing can be bound to an address before it is known to be nobody else's.
            farm.stage.run(node, ("ip", "addr", "replace", one, "dev", "lo", *(("nodad",) if family == 6 else ())))
        farm.stage.run(node, ("nft", "-f", "-"), input=NOT_TRACKED)
        town = cast("Town", SimpleNamespace(outside=node, socket=world.socket))
        caches = [Resolver(town, one, world.reply) for one in LOCAL.values()]
        for family, server in LOCAL.items():
            assert world.asks("a/one", family=family, server=server).answers
            assert farm.passes("a/one", ADDRESSES[family], PORT, family)
            assert world.asks("a/one", "other.example.net", family, server).code == dns.ResponseCode.REFUSED
            with world.socket(farm.box("a/one"), family, socket.SOCK_STREAM) as client:
                client.settimeout(10)
                client.connect((server, 53))
                names = ("other.example.net", NAME)
                said = {one.questions[0].name: one.code for one in ask_tcp(client, *map(question, names))}
                assert said == dict(zip(names, (dns.ResponseCode.REFUSED, 0), strict=True))
        assert {one.questions[0].name for cache in caches for one, _, _ in cache.asked} == {NAME}

    grow([*CLUSTER, cilium_policy("a/names", spec)], check, **SETTINGS)
