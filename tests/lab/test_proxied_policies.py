"""Cilium's policies, compiled, in the kernel, with a real Envoy behind them: from the manifest to the packet."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from outgate.host import process
from outgate.host.nft import Nftables
from outgate.nft.compile import compile_node
from outgate.nft.delta import delta
from outgate.nft.options import Options
from outgate.nft.text import ruleset_text
from outgate.policy import Policies
from outgate.proxy.redirect import Redirect
from outgate.proxy.redirecting import redirects_of
from outgate.testing import node, pod, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.lab.proxied import OTHER4, OUT4, POD4, POD6, VIP, Proxied, needs_envoy, read_reply, run

pytestmark = [pytest.mark.kernel, needs_envoy]

GET = b"GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n"
DELETE = b"DELETE /v1/x HTTP/1.1\r\nHost: a\r\n\r\n"
OPTIONS = Options(interface_prefix="cali", proxied=True)


def to_world(port: str, **more: object) -> dict[str, object]:
    """A rule to the world outside on a TCP port."""
    return {"toEntities": ["world"], "toPorts": [{"ports": [{"port": port, "protocol": "TCP"}], **more}]}


READ = to_world("80", rules={"http": [{"method": "GET", "path": "/v1/.*"}]})
NAMES = to_world("443", serverNames=["*.example"])


@dataclass(frozen=True)
class Told:
    """What kernel and Envoy are told of a policy of the pod web."""

    policies: Policies

    @classmethod
    def of(cls, *egress: Mapping[str, object], **more: object) -> Told:
        """By its rules."""
        made = cilium_policy(
            "shop/web", {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": list(egress), **more}
        )
        town = (
            {**node("n1", ["192.168.5.1", "fd00:5::1"]), "spec": {"podCIDRs": ["10.1.0.0/24", "fd00:1::/64"]}},
            pod("shop/web", [POD4, POD6], on="n1", app="web"),
            pod("shop/other", [OTHER4], on="n1", app="other"),
        )
        return cls(Policies(snapshot_of([*town, made])))

    @property
    def redirects(self) -> tuple[Redirect, ...]:
        """For Envoy."""
        return redirects_of(self.policies, self.policies.snapshot.endpoints)

    def program(self, world: Proxied) -> None:
        """Bring kernel and Envoy from what they have to this."""
        door = Nftables()
        door.apply(delta(compile_node(self.policies, "n1", OPTIONS).ruleset, door.list()))
        world.tell(*self.redirects)


FIRST = Told.of(READ, NAMES)
RULES = ruleset_text(compile_node(FIRST.policies, "n1", OPTIONS).ruleset)


def no_answer(world: Proxied, address: str = OUT4, port: int = 80) -> bool:
    """Whether a connection gets nowhere; half a second is long in a world of one machine."""
    with world.pod.enter(), socket.socket() as one:
        one.settimeout(0.5)
        try:
            one.connect((address, port))
        except TimeoutError:
            return True
    return False


def kept(world: Proxied, address: str = OUT4, port: int = 80, source: int = 0) -> socket.socket:
    """A connection of the pod, which outlives our being in its namespace."""
    with world.connection(address, port, source=source) as one:
        mine = one.dup()
    mine.settimeout(10)
    return mine


def direct(world: Proxied, request: bytes) -> int:
    """What the pod without policies is answered."""
    with world.connection(box=world.other) as one:
        one.sendall(request)
        return read_reply(one).status


def test_requests_and_neighbours() -> None:
    """GET passes in the pod's name, DELETE is refused, other ports are closed, and other pods are not concerned."""

    def check(world: Proxied) -> None:
        for address, mine in ((OUT4, POD4), ("2001:db8::10", POD6)):
            assert world.ask(GET, address).body.split()[:2] == [mine, "80"]
            assert world.ask(DELETE, address).status == 403
        assert no_answer(world, port=8080)
        assert direct(world, DELETE) == 200

    run(check, *FIRST.redirects, rules=RULES)


def test_server_names() -> None:
    """By the name that the client asks for."""

    def check(world: Proxied) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

        def greeted(name: str) -> str:
            with (
                contextlib.suppress(OSError),
                world.connection(port=443) as plain,
                context.wrap_socket(plain, server_hostname=name) as secure,
            ):
                return secure.recv(100).decode()
            return ""

        assert greeted("a.example") == "a.example"
        assert greeted("evil.org") == ""

    run(check, *FIRST.redirects, rules=RULES)


def test_without_envoy() -> None:
    """Those connections stop; nobody else's do."""

    def check(world: Proxied) -> None:
        world.supervisor.close()
        assert no_answer(world)
        assert direct(world, DELETE) == 200

    run(check, *FIRST.redirects, rules=RULES)


def test_a_change_meets_the_next_request() -> None:
    """Of a connection that is kept: of another rule, of an allowance without any, and of a denial."""

    def check(world: Proxied) -> None:
        put = to_world("80", rules={"http": [{"method": "PUT"}]})
        with kept(world) as one:
            for told, status in ((FIRST, 200), (Told.of(put), 403), (Told.of(READ, to_world("80")), 200)):
                told.program(world)
                one.sendall(GET)
                assert read_reply(one).status == status
            one.sendall(DELETE)
            assert read_reply(one).status == 200
            Told.of(READ, egressDeny=[{"toCIDR": ["203.0.113.0/24"]}]).program(world)
            one.settimeout(0.5)
            one.sendall(GET)
            with pytest.raises(TimeoutError):
                one.recv(1)
        assert no_answer(world)

    run(check, *FIRST.redirects, rules=RULES)


def test_a_plain_allowance_makes_it_void() -> None:
    """C35, C36: such connections do not come to Envoy at all."""
    told = Told.of(READ, to_world("80"))

    def check(world: Proxied) -> None:
        told.program(world)
        world.supervisor.close()
        assert world.ask(DELETE).status == 200

    run(check, *FIRST.redirects, rules=RULES)


KUBE_PROXY = """
table ip kube_proxy {
    chain services {
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr 10.96.0.1 tcp dport 8000 dnat to 203.0.113.10:80
    }
}
"""


def test_connections_from_one_port() -> None:
    """To a backend and its service, whose port connection tracking changes; and behind one that Envoy has closed."""

    def check(world: Proxied) -> None:
        process.run(("nft", "-f", "-"), input=KUBE_PROXY)
        last = b"GET /v1/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        for address, port in ((OUT4, 80), (VIP, 8000), (OUT4, 80)):
            with world.connection(address, port, source=41000) as one:
                # Nor did its first packet have to be sent again.
                info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
                assert struct.unpack_from("I", info, 100) == (0,), (address, port)
                one.sendall(GET)
                assert read_reply(one).status == 200
                one.sendall(last)
                assert read_reply(one).status == 200
                # Whoever closes first keeps the rest of the connection (TIME_WAIT): Envoy.
                assert one.recv(1) == b""

    run(check, *FIRST.redirects, rules=RULES)


NODE = "192.168.5.1", "fd00:5::1"
TO_NODE = {**READ, "toEntities": ["host"]}


def test_the_own_node() -> None:
    """What it answers comes to Envoy, also that nobody listens; and it sees the pod."""
    told = Told.of(TO_NODE, {**TO_NODE, "toPorts": to_world("9999", rules={"http": [{}]})["toPorts"]})

    def check(world: Proxied) -> None:
        world.node_serves(f"{NODE[0]}/32", f"{NODE[1]}/128")
        process.run(("nft", "-f", "-"), input=KUBE_PROXY.replace("203.0.113.10", NODE[0]))
        for address, port, mine in ((NODE[0], 80, POD4), (NODE[1], 80, POD6), (VIP, 8000, POD4)):
            assert world.ask(GET, address, port).body.split()[:2] == [mine, "80"]
            assert world.ask(DELETE, address, port).status == 403
        assert no_answer(world, NODE[0], 8080)
        assert no_answer(world, OUT4, 80), "it is not the node"
        assert world.ask(GET, NODE[0], 9999).status == 503

    run(check, *told.redirects, rules=ruleset_text(compile_node(told.policies, "n1", OPTIONS).ruleset))


def test_the_own_node_from_any_port() -> None:
    """Envoy's connections to the node's servers do not stand in the way of the pod's, whichever port it takes.

    A server's socket is not transparent: where the pod's next connection had the same port, TPROXY found that socket
    and not the listener.
    """
    told = Told.of(TO_NODE)

    def check(world: Proxied) -> None:
        world.node_serves(f"{NODE[0]}/32", f"{NODE[1]}/128")
        for address in NODE:
            with kept(world, address, source=41000) as first:
                first.sendall(GET)
                assert int(read_reply(first).body.split()[3]) >= 61000
                (taken,) = _ports_of(address)
                assert taken < 61000, "the port that Envoy's own socket has"
                with world.connection(address, source=taken) as one:
                    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
                    assert struct.unpack_from("I", info, 100) == (0,), "its first packet was sent again"
                    one.sendall(DELETE)
                    assert read_reply(one).status == 403

    run(check, *told.redirects, rules=ruleset_text(compile_node(told.policies, "n1", OPTIONS).ruleset))


def _ports_of(address: str) -> list[int]:
    """The ports of Envoy's connections to an address of the node."""
    there = f"[{address}]" if ":" in address else address
    told = process.run(("ss", "-Htn", "state", "established", "dst", f"{there}:80")).stdout
    return [int(line.split()[2].rpartition(":")[2]) for line in told.splitlines()]


def test_what_was_direct_is_reset() -> None:
    """By the first rule about requests, and to a service as well."""
    plain = Told.of(to_world("80"))

    def check(world: Proxied) -> None:
        process.run(("nft", "-f", "-"), input=KUBE_PROXY)
        for address, port in ((OUT4, 80), ("2001:db8::10", 80), (VIP, 8000)):
            plain.program(world)
            with kept(world, address, port) as one:
                one.sendall(DELETE)
                assert read_reply(one).status == 200
                FIRST.program(world)
                one.sendall(GET)
                with pytest.raises(ConnectionResetError):
                    one.recv(1)
            assert world.ask(GET, address, port).status == 200

    run(check, *FIRST.redirects, rules=RULES)
