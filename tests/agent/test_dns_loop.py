"""Whoever is ready is called, and nobody who has been forgotten."""

from __future__ import annotations

import os
import socket

from outgate.agent.dns_loop import Loop


def test_who_can_be_read_is_called_until_it_is_read() -> None:
    """And not when there is nothing."""
    called: list[bytes] = []
    near, far = socket.socketpair()
    with Loop() as loop, near, far:
        loop.watch(near, lambda: called.append(near.recv(1)))
        loop.wait(0)
        far.send(b"ab")
        loop.wait(5)
        loop.wait(5)
        loop.wait(0)
        assert called == [b"a", b"b"]
        loop.want_write(near, True, reading=False)
        loop.forget(near)
        loop.forget(near)
        far.send(b"c")
        loop.wait(0)
        assert called == [b"a", b"b"]


def test_one_that_another_has_ended_is_not_called() -> None:
    """Both were ready; its descriptor may be somebody else's by now."""
    called: list[str] = []
    pairs = [socket.socketpair() for _ in range(2)]
    with Loop() as loop:

        def ready(name: str, other: socket.socket) -> None:
            called.append(name)
            loop.forget(other)

        loop.watch(pairs[0][0], lambda: ready("first", pairs[1][0]))
        loop.watch(pairs[1][0], lambda: ready("second", pairs[0][0]))
        for _, far in pairs:
            far.send(b"x")
        loop.wait(5)
    assert len(called) == 1
    for one in (*pairs[0], *pairs[1]):
        one.close()


def test_a_broken_connection_is_told_though_nobody_reads() -> None:
    """Or the loop would turn without end."""
    called: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
        with Loop() as loop, near:
            loop.watch(near, lambda: called.append("ready"), lambda: called.append("broken"))
            loop.want_write(near, False, reading=False)
            near.shutdown(socket.SHUT_WR)
            far.close()
            loop.wait(5)
    assert called == ["broken"]


def test_one_that_has_the_descriptor_of_another_is_not_called_for_it() -> None:
    """What was ready has ended in the same turn, and what was opened then is not ready, nor broken."""
    called: list[str] = []
    pairs = [socket.socketpair() for _ in range(2)]
    fresh = socket.socketpair()
    with Loop() as loop:

        def ready(name: str, own: socket.socket, other: socket.socket) -> None:
            called.append(name)
            loop.forget(own)
            loop.forget(other)
            os.dup2(fresh[0].fileno(), other.fileno())
            loop.watch(other, lambda: called.append("fresh"))

        loop.watch(pairs[0][0], lambda: ready("first", pairs[0][0], pairs[1][0]))
        loop.watch(pairs[1][0], lambda: ready("second", pairs[1][0], pairs[0][0]))
        for _, far in pairs:
            far.send(b"x")
        loop.wait(5)
        assert called in (["first"], ["second"])
        fresh[1].send(b"x")
        loop.wait(5)
    assert called[1:] == ["fresh"]
    for one in (*pairs[0], *pairs[1], *fresh):
        one.close()
