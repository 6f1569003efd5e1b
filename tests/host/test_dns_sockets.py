"""Where questions come in and from where they go on: addresses, ports, and how long a channel is used."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from outgate.errors import KernelError
from outgate.host import dns_sockets, links
from outgate.host.dns_origin import Server
from outgate.host.dns_sockets import Channels, Listeners, stand_in_lines
from outgate.nft.asking import PORT, STAND_INS
from tests.lab.alone import alone

pytestmark = pytest.mark.kernel


def up(play: Callable[[], object]) -> Callable[[], object]:
    """With the loopback interface up."""

    def whole() -> object:
        links.batch(["link set lo up"])
        return play()

    return whole


def test_listeners_are_on_addresses_of_their_own() -> None:
    """UDP and TCP, both families; a second one is refused, and making the addresses twice is no error."""

    def play() -> list[tuple[str, int]]:
        links.batch(stand_in_lines())
        with Listeners() as listeners:
            with pytest.raises(KernelError, match="cannot listen on port 10053: address already in use"):
                Listeners()
            found = [one.getsockname()[:2] for one in (*listeners.udp, *listeners.tcp)]
        with Listeners():
            pass
        return found

    assert alone(up(play)) == [(STAND_INS[4], PORT), (STAND_INS[6], PORT)] * 2


def test_a_node_without_ipv6_has_listeners_of_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switched off, or not in the kernel at all: no pod of it asks over IPv6. Any other trouble with it is told."""
    listener = dns_sockets._listener

    def none_of_ipv6(family: socket.AddressFamily, kind: socket.SocketKind, address: str) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return listener(family, kind, address)

    def play() -> int:
        Path("/proc/sys/net/ipv6/conf/lo/disable_ipv6").write_text("1")
        with Listeners():
            pass
        monkeypatch.setattr(dns_sockets, "_listener", none_of_ipv6)
        with Listeners() as listeners:
            count = len(listeners.udp)
        monkeypatch.setattr(dns_sockets, "_has_ipv6", lambda: True)
        with pytest.raises(KernelError, match="not supported"):
            Listeners()
        return count

    assert alone(up(play)) == 1


def test_channels_take_turns_and_end() -> None:
    """A few a server, each from its own port; an old one hears for as long as somebody may wait for its answer."""

    def play() -> None:
        server = Server("127.0.0.1", 53)
        with Channels(6.0) as channels:
            first = [channels.next(server, 0.0) for _ in range(8)]
            assert all(new for _, new in first)
            again = [channels.next(server, 1.0) for _ in range(8)]
            assert {id(one) for one, new in again if not new} == {id(one) for one, _ in first}
            ports = {one.socket.getsockname()[1] for one, _ in first}
            assert len(ports) == 8
            fresh, new = channels.next(server, 25.0)
            assert new
            assert fresh.socket.getsockname()[1] not in ports
            assert list(channels.over(26.0)) == []
            assert {id(one) for one in channels.over(40.0)} == {id(one) for one, _ in first}
            channels.retire(fresh, 41.0)
            assert channels.next(server, 41.0)[1]
            assert list(channels.over(47.0)) == [fresh]

    alone(up(play))


def test_a_busy_channel_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers are used up long before all of them are taken."""
    monkeypatch.setattr(dns_sockets, "_USES", 3)

    def play() -> int:
        with Channels(6.0) as channels:
            return sum(channels.next(Server("127.0.0.1", 53), 0.0)[1] for _ in range(8 * 9))

    assert alone(up(play)) == 24


def test_servers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that asks every address there is has the oldest closed."""
    monkeypatch.setattr(dns_sockets, "_SERVERS", 4)

    def play() -> tuple[int, int]:
        with Channels(6.0) as channels:
            for last in range(1, 30):
                channels.next(Server(f"127.0.0.{last}", 53), 0.0)
            return len(channels._servers), len(list(channels.over(7.0)))

    assert alone(up(play)) == (4, 25)


def test_a_server_to_which_there_is_no_way_is_an_error() -> None:
    """And leaves no socket behind."""

    def play() -> None:
        with Channels(6.0) as channels:
            for last in range(1, 9):
                with pytest.raises(OSError, match="unreachable"):
                    channels.next(Server(f"203.0.113.{last}", 53), 0.0)
            assert not channels._servers, "a pod may ask every address that there is"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
                server.bind(("127.0.0.1", 53))
                channel, _ = channels.next(Server("127.0.0.1", 53), 0.0)
                channel.socket.send(b"x")
                assert server.recv(9) == b"x"

    alone(up(play))
