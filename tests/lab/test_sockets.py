"""Sockets of the lab: the loop calls back, and datagrams leave from the address that was asked."""

from __future__ import annotations

import ipaddress
import os
import select
import socket

import pytest

from outgate.errors import KernelError
from outgate.host import links
from outgate.lab import sockets
from outgate.lab.sockets import Loop
from outgate.packets import Address, Protocol
from tests.lab.alone import alone

LOOPBACKS = ("127.0.0.1", "127.0.0.2", "::1", "fd00::2")


def prepare() -> None:
    """Raises the loopback of this namespace, with a second address of each family."""
    links.batch(["link set lo up", "addr add fd00::2/128 dev lo nodad"])


def wait(one: socket.socket) -> None:
    """Until it can be read."""
    assert select.select([one], [], [], 30)[0] == [one]


def test_the_loop_calls_back_and_forgets() -> None:
    """A callback for a socket that was forgotten would act on a descriptor that is somebody else's by now."""
    loop, heard = Loop(), []
    ours, theirs = socket.socketpair()
    loop.watch(ours, lambda events: heard.append((events, ours.recv(9))))
    assert loop.turn(0) == 0
    theirs.send(b"one")
    assert loop.turn(5) == 1
    loop.change(ours, lambda _: heard.append((0, b"changed")), select.EPOLLOUT)
    assert loop.turn(5) == 1
    loop.forget(ours)
    assert loop.turn(0) == 0
    assert heard == [(select.EPOLLIN, b"one"), (0, b"changed")]
    assert ours.fileno() == -1
    loop.close()
    theirs.close()


def test_a_socket_that_is_closed_by_an_earlier_callback_is_left_alone() -> None:
    """Two events of one turn: the first callback ends the second socket."""
    loop, heard = Loop(), []
    pairs = [socket.socketpair() for _ in range(2)]

    def end_both(number: int) -> None:
        heard.append(number)
        for ours, _ in pairs:
            loop.forget(ours)

    for number, (ours, theirs) in enumerate(pairs):
        loop.watch(ours, lambda _, number=number: end_both(number))  # type: ignore[misc] # mypy and defaults of lambdas
        theirs.send(b"x")
    loop.turn(5)
    assert len(heard) == 1
    loop.close()
    for _, theirs in pairs:
        theirs.close()


@pytest.mark.kernel
@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP])
def test_one_listener_answers_both_families(protocol: Protocol) -> None:
    """Two sockets for each port would double what a run needs."""

    def inside() -> list[str]:
        prepare()
        server = sockets.listener(protocol, 4000)
        seen = []
        for text in ("127.0.0.1", "::1"):
            address = ipaddress.ip_address(text)
            client = sockets.stream(address) if protocol is Protocol.TCP else sockets.datagram(address)
            client.setblocking(True)
            client.connect((text, 4000))
            client.send(b"hello")
            wait(server)
            if protocol is Protocol.TCP:
                peer, (sender, *_) = server.accept()
                peer.close()
                seen.append(str(sockets.address_of(sender)))
            else:
                got = sockets.receive(server)
                assert got is not None
                seen.append(str(got[1]))
            client.close()
        return seen

    assert alone(inside) == ["127.0.0.1", "::1"]


@pytest.mark.kernel
@pytest.mark.parametrize("asked", LOOPBACKS)
def test_a_datagram_is_answered_from_the_address_that_was_asked(asked: str) -> None:
    """The kernel would choose a source by route, and a connected client would never see the answer."""

    def inside() -> tuple[str, str]:
        prepare()
        server = sockets.listener(Protocol.UDP, 4000)
        source = "127.0.0.1" if "." in asked else "::1"
        client = sockets.datagram(ipaddress.ip_address(source))
        client.connect((asked, 4000))
        client.send(b"who?")
        wait(server)
        got = sockets.receive(server)
        assert got is not None
        data, sender, port, to = got
        sockets.reply_from(server, data.upper(), to, sender, port)
        wait(client)
        return str(to), client.recv(99).decode()

    assert alone(inside) == (asked, "WHO?")


@pytest.mark.kernel
@pytest.mark.parametrize("version", [4, 6])
def test_a_raw_socket_gives_the_payload_and_the_addresses(version: int) -> None:
    """IPv4 raw sockets give the IP header too; with it in front no SCTP packet can be read."""

    def inside() -> tuple[bytes, str, str]:
        prepare()
        server = sockets.sctp_socket(version)
        source, target = ("127.0.0.1", "127.0.0.2") if version == 4 else ("::1", "fd00::2")
        ends: list[Address] = [ipaddress.ip_address(one) for one in (source, target)]
        sockets.send_from(server, b"0123456789ab", ends[0], ends[1], 0)
        wait(server)
        got = sockets.receive(server)
        assert got is not None
        return got[0], str(got[1]), str(got[3])

    expected = ("127.0.0.1", "127.0.0.2") if version == 4 else ("::1", "fd00::2")
    assert alone(inside) == (b"0123456789ab", *expected)


@pytest.mark.kernel
def test_nothing_to_read_is_none() -> None:
    """A loop that reads until there is nothing must be told so."""

    def inside() -> object:
        prepare()
        return sockets.receive(sockets.listener(Protocol.UDP, 4000))

    assert alone(inside) is None


@pytest.mark.kernel
def test_a_port_that_is_taken_is_a_typed_error() -> None:
    """The caller says whose port it was; a traceback says nothing."""

    def inside() -> str:
        prepare()
        first = sockets.listener(Protocol.TCP, 4000)
        try:
            sockets.listener(Protocol.TCP, 4000)
        except KernelError as error:
            return error.message
        finally:
            first.close()
        return ""

    assert "TCP port 4000 cannot be listened on" in alone(inside)


def test_descriptors_are_counted_as_the_kernel_counts() -> None:
    """The engine sizes itself by this number."""
    from outgate.lab.probe import _descriptors

    before = _descriptors()
    one = os.open(os.devnull, os.O_RDONLY)
    assert _descriptors() == before + 1
    os.close(one)
