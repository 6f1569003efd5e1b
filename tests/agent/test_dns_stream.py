"""Messages come out as they went in, in whatever pieces the socket takes and gives them."""

from __future__ import annotations

import socket
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.agent.dns_loop import Loop, Watched
from outgate.agent.dns_stream import Stream


@given(st.lists(st.binary(max_size=300), max_size=20), st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_messages_out_of_pieces(messages: list[bytes], pieces: list[int]) -> None:
    """Each is whole when its last octet has come and not before; what follows it is kept."""
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        stream = Stream(near)
        data = b"".join(len(one).to_bytes(2, "big") + one for one in messages)
        ends = list(accumulate(2 + len(one) for one in messages))
        sent, found = 0, list[bytes]()
        while sent < len(data):
            size = pieces[sent % len(pieces)]
            far.sendall(data[sent : sent + size])
            assert stream.read() == len(data[sent : sent + size])
            sent = min(sent + size, len(data))
            while stream.whole:
                found.append(stream.first)
                stream.drop()
            assert len(found) == sum(one <= sent for one in ends)
        assert found == messages
        assert stream.read() is None
        far.close()
        assert stream.read() == 0


def test_what_is_not_taken_is_kept() -> None:
    """Until the other side reads: nothing is lost or sent twice. A connection that is broken is an error."""
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        stream = Stream(near)
        assert not stream.flush()
        messages = [bytes((number,)) * 60000 for number in range(40)]
        for one in messages:
            stream.put(one)
        assert stream.flush()
        while stream.flush():
            pass
        assert stream.unsent
        heard = b""
        while len(heard) < 40 * 60002:
            heard += far.recv(1 << 20)
            stream.flush()
        assert heard == b"".join(b"\xea\x60" + one for one in messages)
        assert not stream.unsent
        stream.put(b"x")
        far.close()
        with pytest.raises(OSError, match="pipe"):
            stream.flush()


def test_what_is_wanted_is_said_once() -> None:
    """What has not changed is not told to epoll again; at first a stream is read and not written."""
    told: list[tuple[bool, bool]] = []

    class Told(Loop):
        def want_write(self, what: Watched, wanted: bool, *, reading: bool = True) -> None:
            told.append((wanted, reading))
            super().want_write(what, wanted, reading=reading)

    near, far = socket.socketpair()
    with near, far, Told() as loop:
        loop.watch(near, lambda: None)
        stream = Stream(near)
        for writing, reading in ((False, True), (True, True), (True, True), (True, False), (False, True)):
            stream.want(loop, writing=writing, reading=reading)
    assert told == [(True, True), (True, False), (False, True)]
