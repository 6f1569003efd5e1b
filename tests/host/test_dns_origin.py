"""Connection tracking tells whom a pod asked, also where the datagrams of one port went to two servers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from outgate.host import dns_origin
from outgate.host.dns_origin import Server, UdpOrigins, tcp_origin
from outgate.host.dns_sockets import Listeners
from tests.lab.dns.town import CLUSTER_IP, POD, RESOLVERS, WIRINGS, Town, in_town

pytestmark = pytest.mark.kernel


def listening(sock: socket.socket) -> Server:
    """Where a listener is, which waits from now on."""
    sock.settimeout(5)
    return Server(*sock.getsockname()[:2])


@pytest.mark.parametrize("wiring", WIRINGS)
def test_the_server_that_was_asked_is_found(wiring: str) -> None:
    """A Service before it is translated, two servers from one port, over UDP and TCP; answers find their way."""

    def play(town: Town) -> None:
        with Listeners() as listeners, UdpOrigins(lambda: 0.0) as origins:
            for family, udp, tcp in zip((4, 6), listeners.udp, listeners.tcp, strict=True):
                here = listening(udp)
                listening(tcp)
                servers = (CLUSTER_IP[family], *RESOLVERS[family])
                with town.socket(town.pod, family) as pod:
                    pod.bind(("", 5353))
                    for server in servers:
                        pod.sendto(server.encode(), (server, 53))
                        data, sender = udp.recvfrom(64)
                        assert sender[0] == POD[family]
                        assert data == server.encode()
                        assert origins.find(here, *sender[:2]) == Server(server, 53)
                        udp.sendto(data, sender)
                        assert pod.recvfrom(64)[1][:2] == (server, 53)
                with town.socket(town.pod, family, socket.SOCK_STREAM) as pod:
                    pod.connect((CLUSTER_IP[family], 53))
                    connection, _ = tcp.accept()
                    with connection:
                        assert tcp_origin(connection) == Server(CLUSTER_IP[family], 53)

    in_town(play, wiring)


def test_what_was_not_led_here_came_from_nobody() -> None:
    """A question straight to the proxy's own address is no pod's question to a server."""

    def play(town: Town) -> None:
        town.nft("flush chain inet outgate dns_input")
        with Listeners() as listeners, UdpOrigins(lambda: 0.0) as origins:
            udp, tcp = listeners.udp[0], listeners.tcp[0]
            here = listening(udp)
            listening(tcp)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"x", here)
                assert origins.find(here, *udp.recvfrom(9)[1]) is None
            assert origins.find(here, "203.0.113.9", 9) is None, "and of what nobody sent nothing is known"
            with socket.create_connection(here, timeout=5), tcp.accept()[0] as connection:
                assert tcp_origin(connection) is None

    in_town(play)


def test_what_was_found_is_kept_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver asks for A and AAAA from one port. Later it is asked anew, and the memory is bounded."""
    now = [0.0]
    asked: list[int] = []

    def ask(_: UdpOrigins, here: Server, address: str, port: int) -> Server:
        asked.append(port)
        return Server(address, here.port)

    monkeypatch.setattr(UdpOrigins, "_ask", ask)
    monkeypatch.setattr(dns_origin, "_kept_for", lambda: 5.0)
    monkeypatch.setattr(dns_origin, "_MOST_KEPT", 3)
    clock: Callable[[], float] = lambda: now[0]  # noqa: E731 -- it shows what the test sets
    with UdpOrigins(clock) as origins:
        here = Server("192.0.2.1", 53)
        for moment in (0.0, 3.0, 7.0):
            now[0] = moment
            origins.find(here, "10.1.0.1", 1)
        assert asked == [1], "each packet lengthens it"
        now[0] = 12.5
        origins.find(here, "10.1.0.1", 1)
        assert asked == [1, 1]
        for port in range(2, 9):
            origins.find(here, "10.1.0.1", port)
        assert len(origins._kept) == 3
        origins.forget({"10.1.0.2"})
        assert len(origins._kept) == 3
        origins.forget({"10.1.0.1"})
        assert not origins._kept


def test_a_short_memory_of_the_kernel_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept here must be over long before the kernel gives the port to another."""
    monkeypatch.setattr(dns_origin, "_TIMEOUT", Path("/nowhere"))
    assert dns_origin._kept_for() == 0.0
