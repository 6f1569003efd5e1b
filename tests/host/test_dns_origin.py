"""Connection tracking tells whom a pod asked, also where the datagrams of one port went to two servers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from outgate.host import dns_origin
from outgate.host.dns_origin import Server, UdpOrigins, tcp_origin
from outgate.host.dns_sockets import Listeners
from outgate.host.netlink import NETFILTER, NetlinkSocket
from outgate.host.netlink_format import NESTED, attribute
from outgate.nft.asking import ZONE
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

    def ask(_: UdpOrigins, here: Server, address: str, port: int) -> tuple[Server, int]:
        asked.append(port)
        return Server(address, here.port), port

    monkeypatch.setattr(UdpOrigins, "_ask", ask)
    monkeypatch.setattr(dns_origin, "_kept_for", lambda: 5.0)
    monkeypatch.setattr(dns_origin, "_MOST_KEPT", 3)
    clock: Callable[[], float] = lambda: now[0]  # noqa: E731 -- it shows what the test sets
    with UdpOrigins(clock) as origins:
        here = Server("192.0.2.1", 53)
        for moment in (0.0, 3.0, 4.9):
            now[0] = moment
            assert origins.find(here, "10.1.0.1", 1) == Server("10.1.0.1", 53)
        assert asked == [1]
        now[0] = 5.0
        origins.find(here, "10.1.0.1", 1)
        assert asked == [1, 1], "however many packets come: it may be another's entry by now"
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


def deleted(address: str, port: int, server: Server) -> None:
    """Takes the entry of a question out of connection tracking, as kube-proxy does (IPCTNL_MSG_CT_DELETE)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    its, asked = (socket.inet_pton(family, one) for one in (address, server.address))
    tuple_ = dns_origin._tuple(its, port, asked, server.port)
    zoned = attribute(1 | NESTED, tuple_ + attribute(3, ZONE.to_bytes(2, "big")))
    body = dns_origin._GENMSG.pack(family, 0, 0) + zoned
    with NetlinkSocket(NETFILTER) as door:
        door.ask(1 << 8 | 2, body, "delete an entry")


@pytest.mark.parametrize("wiring", WIRINGS)
def test_an_entry_that_was_deleted_is_put_back(wiring: str) -> None:
    """The answer then comes from whom the pod asked, and so does the next; without it, none can be sent."""

    def play(town: Town) -> None:
        with Listeners() as listeners, UdpOrigins(lambda: 0.0) as origins:
            for family, udp in zip((4, 6), listeners.udp, strict=True):
                here, server = listening(udp), Server(CLUSTER_IP[family], 53)
                with town.socket(town.pod, family) as pod:
                    pod.connect(server)
                    for number in range(4):
                        pod.send(b"asked %d" % number)
                        data, sender = udp.recvfrom(64)
                        address, port = sender[:2]
                        assert origins.find(here, address, port) == server
                        assert not origins.restore(here, address, port, server), "it is there"
                        if number % 2:
                            deleted(address, port, server)
                        if number == 3:
                            break
                        assert origins.restore(here, address, port, server) is bool(number % 2)
                        udp.sendto(data, sender)
                        assert pod.recv(64) == data
                    with pytest.raises(PermissionError):
                        udp.sendto(data, sender)

    in_town(play, wiring)


def test_what_is_not_the_pods_own_port_is_not_put_back() -> None:
    """Two servers that are asked from one port: the proxy sees another for the second, and would make a wrong entry."""

    def play(town: Town) -> None:
        with Listeners() as listeners, UdpOrigins(lambda: 0.0) as origins, town.socket(town.pod, 4) as pod:
            udp = listeners.udp[0]
            here = listening(udp)
            pod.bind(("", 5353))
            ports = []
            for server in RESOLVERS[4]:
                pod.sendto(b"x", (server, 53))
                address, port = udp.recvfrom(9)[1]
                assert origins.find(here, address, port) == Server(server, 53)
                ports.append(port)
            assert ports[0] == 5353 != ports[1]
            for server, port in zip(RESOLVERS[4], ports, strict=True):
                deleted(POD[4], 5353, Server(server, 53))
                assert origins.restore(here, POD[4], port, Server(server, 53)) is (port == 5353)

    in_town(play)
