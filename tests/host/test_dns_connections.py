"""Connections to servers: which the kernel has let through, whatever was between the same ports before."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import time

import pytest

from outgate.host import dns_connections, links
from outgate.host.dns_connections import Connections
from outgate.host.dns_origin import Server
from outgate.host.namespaces import write_sysctls
from tests.lab.alone import alone
from tests.lab.dns.judged import DENIALS, OTHER, WEB, judge
from tests.lab.dns.resolver import Resolver
from tests.lab.dns.town import POD, RESOLVERS, Town, in_town

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("denial", DENIALS)
def test_a_connection_whose_first_packet_a_rule_denies_is_told(denial: str, family: int) -> None:
    """connect(2) says nothing of it, and would try for minutes.

    A server that refuses is another thing, also one on this node, whose reset is here before connect(2) returns; only
    where rules answer with a reset, too, one may be theirs.
    """

    def play(town: Town) -> None:
        here, pod = {4: "192.0.2.1", 6: "2001:db8:2::1"}[family], POD[family]
        allowed, denied = (Server(one, 53) for one in RESOLVERS[family])
        judge(town, denial, (here, pod, allowed.address))
        resets = denial == "reject"
        Resolver(town, allowed.address, lambda *_: ())
        with Connections(time.monotonic) as connections:
            for door in (0, WEB):
                assert outcome(connections.begin(allowed, door)) == 0
            for server, door in ((denied, WEB), (allowed, OTHER)):
                with pytest.raises(PermissionError):
                    connections.begin(server, door, resets=resets)
            for address in (here, pod):
                try:
                    assert outcome(connections.begin(Server(address, 53), WEB)) == errno.ECONNREFUSED
                except ConnectionRefusedError:
                    continue
            nowhere = {4: "198.51.100.1", 6: "2001:db8:9::1"}[family]
            links.batch([f"route add unreachable {nowhere}"])
            with pytest.raises(OSError, match="cannot be connected"):
                connections.begin(Server(nowhere, 53), WEB)
            left = list(connections._open)
        assert left
        assert all(one.fileno() < 0 for one in left)

    in_town(play)


def outcome(made: socket.socket) -> int:
    """What has become of a connection: 0 where it stands, or the error."""
    assert select.select([], [made], [], 20)[1]
    return made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def test_what_is_left_of_an_older_connection_does_not_deceive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's reset closes it, and a new SYN from that port goes into the old entry, also one that is dropped."""

    def play(town: Town) -> None:
        judge(town)
        write_sysctls({"net/ipv4/ip_local_port_range": "40000 40007"})
        server = Server(RESOLVERS[4][0], 53)
        with town.socket(town.outside, 4, socket.SOCK_STREAM) as listener:
            listener.bind(server)
            listener.listen()
            with Connections(time.monotonic) as connections:

                def reset() -> int:
                    """Makes a connection that the server resets; its port."""
                    made = connections.begin(server, WEB)
                    assert outcome(made) == 0
                    port: int = made.getsockname()[1]
                    while (accepted := listener.accept())[1][1] != port:
                        accepted[0].close()
                    taken = accepted[0]
                    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    taken.close()
                    assert select.select([made], [], [], 20)[0]
                    connections.end(made)
                    return port

                ports = {reset()}
                for _ in range(16):
                    with pytest.raises(PermissionError):
                        connections.begin(server, OTHER)
                    assert set(connections._open) == set()
                made = connections.begin(server, WEB)
                assert outcome(made) == 0
                assert made.getsockname()[1] not in ports
                # Where all that are tried have been reset it cannot be told; the kernel drops it all the same. Of one
                # more place, for the last may have been made at the first, and ended in order: nothing is left there.
                ports.add(reset())
                monkeypatch.setattr(dns_connections, "_TRIES", 1)
                doubtful: list[socket.socket] = []
                for _ in range(400):  # the kernel draws one of eight ports
                    with contextlib.suppress(PermissionError):
                        doubtful.append(connections.begin(server, OTHER))
                    if doubtful:
                        break
                assert {one.getsockname()[1] for one in doubtful} <= ports
                assert doubtful

    in_town(play)


def test_places_are_remembered_where_something_stands_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what ended in order a new SYN makes a new entry. All are forgotten when no entry can stand any more.

    When there are too many, the oldest go first.
    """
    monkeypatch.setattr(dns_connections, "_MOST", 3)
    monkeypatch.setattr(dns_connections, "departed", lambda _: True)
    now = 0.0

    def play() -> None:
        nonlocal now
        links.batch(["link set lo up"])
        with socket.create_server(("127.0.0.1", 0)) as listener, Connections(lambda: now) as connections:
            server = Server(*listener.getsockname())

            def once(*, reset: bool = True) -> int:
                made = connections.begin(server)
                assert outcome(made) == 0
                port: int = made.getsockname()[1]
                taken, _ = listener.accept()
                if reset:
                    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                taken.close()
                connections.end(made)
                return port

            once(reset=False)
            assert not connections._past
            ports = [once() for _ in range(5)]
            assert [place[1] for place in connections._past] == ports[2:]
            now = 131.0
            ports = [once()]
            assert [place[1] for place in connections._past] == ports
            # A server whose queue is full says nothing.
            with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
                server = Server(*silent.getsockname())
                for _ in range(3):
                    waiting = connections.begin(server)
                connections.end(waiting)
            assert len(connections._past) == 2

    alone(play)
