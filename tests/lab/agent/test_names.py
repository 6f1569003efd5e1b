"""Names through the whole agent: the API server says a policy, a pod asks, the proxy learns, and packets pass or not."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from outgate.host.nft import Nftables
from outgate.lab.build import Box
from outgate.proxy import dns
from outgate.proxy.dns import Message
from outgate.testing import Manifest, cluster_policy
from outgate.testing_cilium import cilium_policy
from tests.lab.agent.cast import CLUSTER, allow
from tests.lab.agent.farm import Farm, grow
from tests.lab.dns.resolver import Resolver, ask, question
from tests.lab.dns.town import Town

pytestmark = pytest.mark.kernel

PORT = 7000
SETTINGS: dict[str, Any] = {"names": "closed", "all_nodes": True}
NAME = "www.example.com"
DNS = {4: "203.0.113.53", 6: "2001:db8:113::53"}
ADDRESSES = {4: "203.0.113.80", 6: "2001:db8:113::80"}
TYPES = {4: dns.RecordType.A, 6: dns.RecordType.AAAA}
Names = Callable[[str], Mapping[int, str]]


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

    def __init__(self, farm: Farm, names: Names = lambda _: ADDRESSES) -> None:
        self.farm = farm
        self.names = names
        town = cast("Town", SimpleNamespace(outside=farm.stage.world, socket=self.socket))
        with farm.stage.enter(farm.stage.world):
            for one in DNS.values():
                farm.stage.run(farm.stage.world, ("ip", "addr", "replace", one, "dev", "lo"))
        self.resolvers = [Resolver(town, one, self._reply) for one in DNS.values()]

    def _reply(self, asked: Message, _: bytes) -> Iterator[bytes]:
        (one,) = asked.questions
        found = self.names(one.name)
        records = [
            dns.Record(one.name, one.type, dns_address, 60)
            for family, kind in TYPES.items()
            if kind == one.type and family in found
            for dns_address in [_address(found[family])]
        ]
        yield dns.answer(asked, records)

    def socket(self, space: object, family: int, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        """A socket in a box."""
        with self.farm.stage.enter(cast("Box", space)):
            made = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind)
        made.settimeout(0.5)
        return made

    def asks(self, path: str, name: str = NAME, family: int = 4) -> Message:
        """The answer to a pod's question, which it asks until there is one: a proxy that is started takes a moment."""
        found: list[Message] = []

        def answered() -> bool:
            with self.socket(self.farm.box(path), family) as client:
                try:
                    found.append(ask(client, DNS[family], question(name, TYPES[family])))
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


def _address(text: str) -> Any:
    import ipaddress

    return ipaddress.ip_address(text)


def proxies() -> list[int]:
    """The DNS proxies of this lab, which has processes of its own."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"dns" in words and b"--lock-fd" in words:
                found.append(int(folder.name))
    return found


def learned(farm: Farm, node: str = "n1") -> str:
    """What the kernel of a node has in its sets of learned addresses."""
    with farm.stage.enter(farm.stage.nodes[node]):
        listed = Nftables().listing() if hasattr(Nftables, "listing") else ""
    return str(listed)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


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

    grow([*CLUSTER, *policies(NAME)], check, **SETTINGS)
