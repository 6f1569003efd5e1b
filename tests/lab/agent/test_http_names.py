"""Rules about requests to names, through the whole agent: a pod asks, the DNS proxy learns, and Envoy decides.

What is learned decides who is caught, and Envoy tells one name's rules from another's by what each pod has learned. It
knows before the pod does: the first connection to an address is never refused for being early.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from outgate.host import process
from outgate.host.envoy import Envoy
from outgate.proxy.envoy import Proxying
from outgate.testing import Manifest
from outgate.testing_cilium import cilium_policy
from tests.lab.agent.cast import CLUSTER
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.test_http import DELETE, GET, Fine, program
from tests.lab.agent.test_names import DNS, TYPES, World, proxies
from tests.lab.proxied import needs_envoy, read_reply

pytestmark = [pytest.mark.kernel, needs_envoy]

PORT = 8080
READ, WRITE = "read.example.com", "write.example.com"
ADDRESSES = {READ: {4: "203.0.113.80", 6: "2001:db8:113::80"}, WRITE: {4: "203.0.113.81", 6: "2001:db8:113::81"}}
MANY = {f"n{number}.many.example.com": {4: f"203.0.113.{100 + number}"} for number in range(8)}
SHARED = {"also.example.com": ADDRESSES[READ]}
EVERY = ADDRESSES | MANY | SHARED


def to(name: str, *methods: str) -> Manifest:
    """A rule about a name, or a pattern, and what may be asked there; anything, where no method is said."""
    ports: Manifest = {"ports": [{"port": str(PORT), "protocol": "TCP"}]}
    if methods:
        ports["rules"] = {"http": [{"method": one} for one in methods]}
    return {"toFQDNs": [{"matchPattern" if "*" in name else "matchName": name}], "toPorts": [ports]}


def policy(*egress: Manifest) -> Manifest:
    """What the pods of namespace a may, who may also ask the resolver."""
    port = {"ports": [{"port": "53", "protocol": "ANY"}]}
    servers = {"toCIDR": [f"{DNS[4]}/32", f"{DNS[6]}/128"], "toPorts": [port]}
    return cilium_policy("a/requests", {"endpointSelector": {}, "egress": [*egress, servers]})


class Everywhere(http.server.ThreadingHTTPServer):
    """A server of both families."""

    address_family = socket.AF_INET6


@contextlib.contextmanager
def serving(farm: Farm) -> Iterator[World]:
    """A server of all addresses in the world, a process that dies with this one, and the resolver."""
    world = World(farm, lambda name: EVERY.get(name, {}))
    with farm.stage.enter(farm.stage.world):
        for one in {address for many in EVERY.values() for address in many.values()}:
            farm.stage.run(farm.stage.world, ("ip", "addr", "replace", one, "dev", "lo"))
        server = Everywhere(("::", PORT), Fine)

        def serve() -> int:
            server.serve_forever()
            return 0

        pid = process.fork(serve)
    server.socket.close()
    try:
        farm.until(lambda: listens(farm))
        yield world
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def listens(farm: Farm) -> bool:
    """Whether the agent of the pods' node hears what is learned, and has an Envoy to tell it."""
    settings = farm.settings("n1")
    return settings.dns.learned_socket.exists() and Envoy(Proxying(str(settings.envoy_dir))).is_ready()


def connected(farm: Farm, address: str, source: str = "a/one") -> socket.socket:
    """A connection; its timeout is that of an attempt which is dropped."""
    with farm.stage.enter(farm.box(source)):
        one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    one.settimeout(1)
    one.connect((address, PORT))
    return one


def asked(farm: Farm, request: bytes, address: str, source: str = "a/one") -> int:
    """The status of the answer; 0 where there is none."""
    try:
        with connected(farm, address, source) as one:
            one.sendall(request)
            return read_reply(one).status
    except OSError:
        return 0


def test_each_name_has_its_own_requests() -> None:
    """For the pod that has asked, by both families; a name behind the same address adds what it allows itself."""

    def check(farm: Farm) -> None:
        with serving(farm) as world:
            for family in TYPES:
                read, write = (ADDRESSES[name][family] for name in (READ, WRITE))
                assert asked(farm, GET, read) == 0
                assert world.asks("a/one", READ, family).answers
                assert [asked(farm, one, read) for one in (GET, DELETE)] == [200, 403]
                assert asked(farm, GET, read, "a/two") == 0, "it has not asked"
                assert asked(farm, DELETE, write) == 0
                assert world.asks("a/one", WRITE, family).answers
                assert [asked(farm, one, write) for one in (GET, DELETE)] == [403, 200]
                assert [asked(farm, one, read) for one in (GET, DELETE)] == [200, 403]
                assert world.asks("a/one", "also.example.com", family).answers
                assert [asked(farm, one, read) for one in (GET, DELETE)] == [200, 200]
            for pid in proxies():
                os.kill(pid, signal.SIGKILL)

    rules = to(READ, "GET"), to(WRITE, "DELETE"), to("also.example.com", "DELETE")
    grow([*CLUSTER, policy(*rules)], check, envoy=program(), names="closed", all_nodes=True)


def test_the_first_connection_is_not_too_early() -> None:
    """Envoy knows an address before the pod does; and an agent that begins learns from the kernel what is known."""

    def check(farm: Farm) -> None:
        with serving(farm) as world:
            assert world.asks("a/one", READ).answers
            assert asked(farm, GET, ADDRESSES[READ][4]) == 200
            for name, addresses in MANY.items():
                assert world.asks("a/one", name).answers
                assert asked(farm, GET, addresses[4]) == 200, name
            farm.kill("n1", signal.SIGTERM)
            farm.start("n1")
            farm.settle()
            farm.until(lambda: listens(farm))
            for addresses in MANY.values():
                farm.until(lambda: asked(farm, GET, addresses[4]) == 200)  # noqa: B023 -- called before the next turn
                assert asked(farm, DELETE, addresses[4]) == 403
            for pid in proxies():
                os.kill(pid, signal.SIGKILL)

    rules = to(READ, "GET"), to("*.many.example.com", "GET")
    grow([*CLUSTER, policy(*rules)], check, envoy=program(), names="closed", all_nodes=True)
