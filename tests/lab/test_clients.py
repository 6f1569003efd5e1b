"""Clients that wait, beside a loop that answers them."""

from __future__ import annotations

import socket
from functools import partial

import pytest

from outgate.lab.clients import beside
from outgate.lab.sockets import Loop


def test_each_is_answered_by_the_loop_and_they_come_in_their_order() -> None:
    """More clients than threads, each of which waits for the loop."""
    loop, pairs = Loop(), [socket.socketpair() for _ in range(40)]

    def echo(server: socket.socket, _: int) -> None:
        server.send(server.recv(10)[::-1])

    def ask(number: int, client: socket.socket) -> bytes:
        client.settimeout(30)
        client.send(b"%02d" % number)
        return client.recv(10)

    for server, _ in pairs:
        loop.watch(server, partial(echo, server))
    said = beside(loop, [partial(ask, number, client) for number, (_, client) in enumerate(pairs)])
    assert said == [f"{number:02}"[::-1].encode() for number in range(40)]
    for server, client in pairs:
        loop.forget(server)
        client.close()


def test_what_a_client_raises_comes_out() -> None:
    """And the loop is as it was."""
    loop = Loop()
    with pytest.raises(ZeroDivisionError):
        beside(loop, [lambda: 1, lambda: 1 // 0])
    assert beside(loop, [lambda: 2]) == [2]
    assert beside(loop, []) == []
