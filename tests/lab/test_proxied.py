"""Connections through a real Envoy: whose they are, where they lead, and what becomes of them without it."""

from __future__ import annotations

import ipaddress
import os
import select
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from outgate.host import envoy, process
from outgate.host.namespaces import write_sysctls
from outgate.proxy.envoy_log import Refusal, read_refusal
from tests.lab.proxied import OTHER4, OUT4, OUT6, POD4, POD6, VIP, Proxied, needs_envoy, read_reply, redirect, run
from tests.policy.asks import asks

pytestmark = [pytest.mark.kernel, needs_envoy]

GET = b"GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n"
DELETE = b"DELETE /v1/x HTTP/1.1\r\nHost: a\r\n\r\n"
READ = asks("GET", "/v1/.*")


def until(true: Callable[[], bool]) -> None:
    """Waits for what the kernel or Envoy tells nobody by itself; the test's own time limit is the bound."""
    while not true():
        time.sleep(0.005)


def started(world: Proxied, address: str, port: int) -> socket.socket:
    """A connection that has begun, and that nobody waits for."""
    with world.pod.enter():
        one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    one.setblocking(False)
    one.connect_ex((address, port))
    return one


@pytest.mark.parametrize(("address", "pod"), [(OUT4, POD4), (OUT6, POD6)])
def test_the_pod_is_seen(address: str, pod: str) -> None:
    """The destination sees the pod's address, so its own policies are about the pod."""

    def check(world: Proxied) -> None:
        assert world.ask(GET, address).body.split()[:2] == [pod, "80"]
        assert world.ask(DELETE, address).status == 403
        assert world.ask(DELETE, address).body == "Access denied\r\n"

    run(check)


def test_services_are_judged_after_translation() -> None:
    """The pod calls a service on another port; rules and Envoy know its backend alone."""

    def check(world: Proxied) -> None:
        reply = world.ask(GET, VIP, 8000)
        assert reply.body.split()[:2] == [POD4, "80"]
        assert world.ask(DELETE, VIP, 8000).status == 403

    run(check)


def test_behind_a_masquerade() -> None:
    """What leaves the cluster under the node's address still finds its way back to Envoy."""

    def check(world: Proxied) -> None:
        process.run(("nft", "add", "rule", "inet", "outgate_http", "outward", "oifname", "up0", "masquerade"))
        assert world.ask(GET).body.split()[:2] == ["203.0.113.1", "80"]
        assert world.ask(GET, VIP, 8000).body.split()[:2] == ["203.0.113.1", "80"]

    run(check)


def test_where_it_leads() -> None:
    """Nothing that a request says leads to another place than the connection does."""

    def check(world: Proxied) -> None:
        elsewhere = "203.0.113.11:8080"
        for request in (
            f"GET http://{elsewhere}/v1/x HTTP/1.1\r\nHost: a\r\n\r\n",
            f"GET /v1/x HTTP/1.1\r\nHost: {elsewhere}\r\n\r\n",
            f"GET /v1/x HTTP/1.1\r\nHost: a\r\nx-envoy-original-dst-host: {elsewhere}\r\n\r\n",
            f"GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: {elsewhere}\r\nX-Forwarded-For: 10.1.0.12\r\n\r\n",
        ):
            assert world.ask(request).body.split()[:2] == [POD4, "80"], request
        with world.connection() as one:
            one.sendall(f"CONNECT {elsewhere} HTTP/1.1\r\nHost: {elsewhere}\r\n\r\n".encode())
            assert read_reply(one).status == 200
            one.sendall(b"echoed by port 80")
            assert one.recv(100) == b"echoed by port 80"

    run(check, redirect(READ, asks("CONNECT")))


def test_the_kernel_judges_what_envoy_sends() -> None:
    """Were Envoy made to look into a connection that L3/L4 rules do not allow, it would not get there either."""

    def check(world: Proxied) -> None:
        assert world.ask(GET, port=99).status == 503
        assert world.counter("misjudged") > 0

    run(check, redirect(READ, ports=((1, 65535),)))


def test_rules_change_on_the_run() -> None:
    """The next request of a connection that is there meets the new rules."""

    def check(world: Proxied) -> None:
        with world.connection() as one:
            for rules, status in (((READ,), 200), ((asks("PUT"),), 403), ((READ,), 200), ((), 403)):
                world.tell(redirect(*rules, names=["a.example"]))
                one.sendall(GET)
                assert read_reply(one).status == status

    run(check)


def test_rules_that_envoy_refuses() -> None:
    """It says so, and those before stay in force."""

    def check(world: Proxied) -> None:
        broken = {**world.rules.files, "outgate_requests.json": b'{"resources": [{}]}'}
        answer = world.envoy.tell(type(world.rules)("1", broken, {}))
        assert (answer.accepted, "refused" in answer.reason) == (False, True)
        assert [world.ask(request).status for request in (GET, DELETE)] == [200, 403]
        world.tell(redirect(asks("DELETE")))
        assert [world.ask(request).status for request in (GET, DELETE)] == [403, 200]

    run(check)


def test_before_the_first_rules() -> None:
    """Nothing passes, not even the beginning of a connection."""

    def check(world: Proxied) -> None:
        world.tell()
        assert world.ask(GET).status == 0

    run(check)


def test_other_pods_go_their_own_way() -> None:
    """They are not redirected, and cannot come to Envoy by its own port."""

    def check(world: Proxied) -> None:
        with world.connection(box=world.other) as one:
            one.sendall(DELETE)
            assert read_reply(one).body.split()[0] == "10.1.0.12"
        with started(world, "203.0.113.1", 15001):
            until(lambda: world.counter("direct") > 0)

    run(check)


def test_the_port_of_a_pod_is_taken_twice() -> None:
    """Envoy may choose the very port that the pod has: the two connections are in two zones of connection tracking."""

    def check(world: Proxied) -> None:
        write_sysctls({"net/ipv4/ip_local_port_range": "40000 40000"})
        with world.connection(source=40000) as one:
            for _ in range(3):
                one.sendall(GET)
                # In one zone the two would be one entry, and leave with one port.
                assert read_reply(one).body.split()[3] != "40000"

    run(check)


def test_a_service_and_its_backend_from_one_port() -> None:
    """Connection tracking gives one of the two another port, behind the hook in which the connection is caught."""

    def check(world: Proxied) -> None:
        for address, port in ((OUT4, 80), (VIP, 8000), (OUT4, 80)):
            with world.connection(address, port, source=41000) as one:
                for _ in range(3):
                    one.sendall(GET)
                    assert read_reply(one).status == 200, (address, port)

    run(check)


def test_pods_share_no_connection() -> None:
    """A connection that is kept for one pod is not used for another, nor are its rules."""

    def check(world: Proxied) -> None:
        element = f"{{ {OTHER4} . 203.0.113.0/24 . 80 }}"
        process.run(("nft", "add", "element", "inet", "outgate_http", "seen4", element))
        other = replace(redirect(asks("DELETE")), sources=(ipaddress.ip_address(OTHER4),))
        world.tell(redirect(READ), other)
        for _ in range(5):
            for box, address, good, bad in ((world.pod, POD4, GET, DELETE), (world.other, OTHER4, DELETE, GET)):
                with world.connection(box=box) as one:
                    one.sendall(good)
                    assert read_reply(one).body.split()[0] == address
                    one.sendall(bad)
                    assert read_reply(one).status == 403

    run(check)


def test_many_connections_one_after_the_other() -> None:
    """The kernel draws the ports of the pod and of Envoy by one hash of the same addresses, so they often meet."""

    def check(world: Proxied) -> None:
        for address, port in ((OUT4, 80), (OUT6, 80), (VIP, 8000)):
            assert {world.ask(GET, address, port).status for _ in range(400)} == {200}, address

    run(check)


def asked_for(world: Proxied, name: str | None, port: int = 443) -> str | None:
    """The name that the world outside saw a TLS client ask for; None where the client did not get through."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with world.connection(port=port) as one, context.wrap_socket(one, server_hostname=name) as secure:
            return secure.recv(300).decode()
    except OSError:
        return None


def test_server_names() -> None:
    """By the name that is asked for, without a look into the connection: the client ends its TLS with the world."""

    def check(world: Proxied) -> None:
        names = ["a.example.com", "A.Example.COM", "b.a.example.com", "example.com", "x.deep.org", "org", None]
        assert [asked_for(world, name) for name in names] == [
            *("a.example.com", "A.Example.COM"),
            *(None, None),
            "x.deep.org",
            *(None, None),
        ]
        # Not TLS, and a rule about names alone: no answer, not even a refusal.
        assert world.ask(GET, port=443).status == 0

    run(check, redirect(names=["*.example.com", "**.org"]))


def test_tls_where_only_http_is_allowed() -> None:
    """A rule about requests says nothing of what cannot be read."""

    def check(world: Proxied) -> None:
        assert asked_for(world, "a.example.com") is None

    run(check, redirect(asks()))


def refusals(world: Proxied, count: int) -> list[Refusal]:
    """So many lines of the log."""
    found: list[Refusal] = []
    text = b""
    while len(found) < count:
        select.select([world.refusals], [], [])
        text += world.refusals.read(65536) or b""
        *lines, text = text.split(b"\n")
        found += [one for line in lines if (one := read_refusal(line, world.rules.concerned)) is not None]
    return found


def test_refusals_are_logged() -> None:
    """With the rules that concern the connection, and what was asked; text of the pod's makes no line of its own."""

    def check(world: Proxied) -> None:
        path = '/v1/x?"%0a","rule":"'
        world.ask(f"DELETE {path} HTTP/1.1\r\nHost: a\r\n\r\n")
        (one,) = refusals(world, 1)
        assert one.rules == ("CiliumNetworkPolicy/shop/api egress[0]", "CiliumNetworkPolicy/shop/tls egress[1]")
        assert (one.pod.rpartition(":")[0], one.destination) == (POD4, f"{OUT4}:80")
        assert (one.method, one.path) == ("DELETE", path)
        assert "rbac_access_denied" in one.details
        asked_for(world, "evil.org")
        (one,) = refusals(world, 1)
        assert (one.server_name, one.destination, len(one.rules)) == ("evil.org", f"{OUT4}:443", 2)
        # What is allowed is in no log, and counted.
        counts = world.envoy.counts(5)
        assert counts is not None
        assert (counts.requests, counts.connections) == (0, 0)
        assert world.ask(GET).status == 200
        counts = world.envoy.counts(5)
        assert counts is not None
        assert (counts.requests, counts.connections) == (1, 0)

    run(check, redirect(READ, names=["*.example.com"]))


def frames(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2 (RFC 9113, 4.1)."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def literal(name: str, value: str) -> bytes:
    """A header without an index (RFC 7541, 6.2.2)."""
    return b"\0" + b"".join(bytes((len(text),)) + text.encode() for text in (name, value))


def first_of_answer(one: socket.socket, method: str, path: str, *more: tuple[str, str]) -> int:
    """The first octet of the answer's header block: 0x88 is status 200 (RFC 7541, A); 0 where the stream is reset."""
    pairs = [(":method", method), (":scheme", "http"), (":authority", "203.0.113.11:8080"), (":path", path), *more]
    one.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames(4, 0, 0, b""))
    one.sendall(frames(1, 5, 1, b"".join(literal(*pair) for pair in pairs)))
    with one.makefile("rb") as reading:
        while head := reading.read(9):
            payload = reading.read(int.from_bytes(head[:3], "big"))
            if head[3] == 1:
                return payload[0]
            if head[3] in (3, 7):
                return 0
    return 0


def test_http2() -> None:
    """With prior knowledge: judged like any other, and handed on as HTTP/2."""

    def check(world: Proxied) -> None:
        for method, path, good in (
            ("GET", "/v1/x", True),
            ("DELETE", "/v1/x", False),
            ("GET", "/v1/../secret", False),
            ("GET", "/v1/x#/../secret", False),
        ):
            with world.connection(port=83) as one:
                assert (first_of_answer(one, method, path) == 0x88) is good, (method, path)
        # RFC 9113, 8.2.2: fields of a connection, and a length that lies, make a request malformed.
        for pair in (("connection", "close"), ("transfer-encoding", "chunked"), ("x", "a\r\nb: c"), ("X-A", "b")):
            with world.connection(port=83) as one:
                assert first_of_answer(one, "GET", "/v1/x", pair) != 0x88, pair

    run(check)


def test_without_envoy() -> None:
    """What was redirected stops in the kernel, and nothing else does; with Envoy again, the last rules are there."""

    def check(world: Proxied) -> None:
        world.supervisor.close()
        for number, address in enumerate((OUT4, OUT6, VIP)):
            with started(world, address, 8000 if address == VIP else 80):
                until(lambda: world.counter("unproxied") > number)  # noqa: B023 -- called before the next turn
        with world.connection(box=world.other) as one:
            one.sendall(GET)
            assert read_reply(one).status == 200
        world.supervisor = envoy.Supervisor(world.envoy, output=world.noise)
        world.supervisor.await_ready()
        assert [world.ask(request).status for request in (GET, DELETE)] == [200, 403]

    run(check)


def test_killed_under_load() -> None:
    """Nothing that is refused gets through, before, while and after; and it is started again."""

    def check(world: Proxied) -> None:
        stop, seen = threading.Event(), set()

        def load(request: bytes) -> None:
            while not stop.is_set():
                try:
                    with world.connection() as one:
                        one.settimeout(1)
                        one.sendall(request)
                        seen.add((request, read_reply(one).status))
                except OSError:
                    seen.add((request, 0))

        threads = [threading.Thread(target=load, args=(request,)) for request in (GET, DELETE, DELETE)]
        for one in threads:
            one.start()
        until(lambda: {(GET, 200), (DELETE, 403)} <= seen)
        assert world.supervisor.running is not None
        os.kill(world.supervisor.running.pid, signal.SIGKILL)
        until(lambda: world.supervisor.restarts == 1 and world.envoy.is_ready())
        stop.set()
        for one in threads:
            one.join()
        assert (DELETE, 200) not in seen
        assert [world.ask(request).status for request in (GET, DELETE)] == [200, 403]

    run(check)
