"""Waiting for descriptors: those that are ready and no others, and whatever their numbers."""

from __future__ import annotations

import errno
import os
import socket
import time

import pytest

from outgate.host.waiting import readable


@pytest.mark.usefixtures("_many_descriptors")
def test_high_numbers() -> None:
    """What is given is what is returned: a number or something that has one."""
    one, other = socket.socketpair()
    bell = os.eventfd(0)
    try:
        assert min(one.fileno(), other.fileno(), bell) > 1023
        assert readable(bell, one, other, within=0) == []
        one.send(b"x")
        assert readable(bell, one, other, within=None) == [other]
        os.eventfd_write(bell, 1)
        assert readable(other, bell, one, within=30) == [other, bell]
    finally:
        one.close()
        other.close()
        os.close(bell)


def test_nothing_comes() -> None:
    """Then it is over when the time is, which is in seconds."""
    one, other = socket.socketpair()
    with one, other:
        before = time.monotonic()
        assert readable(one, within=0.05) == []
        assert time.monotonic() - before >= 0.05


def test_the_end() -> None:
    """Whoever has hung up can be read: it is the end that is read."""
    one, other = socket.socketpair()
    reading, writing = os.pipe()
    with one:
        other.close()
        os.close(writing)
        assert readable(one, within=30) == [one]
        assert readable(reading, within=30) == [reading]
        os.close(reading)


def test_a_closed_one() -> None:
    """It is refused: a loop that is told "ready" for ever would turn for ever."""
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        readable(reading, within=30)
