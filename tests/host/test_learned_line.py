"""The line from the DNS proxy to the agent: said, answered, and never waited for too long."""

from __future__ import annotations

import functools
import ipaddress
import select
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from outgate.errors import KernelError
from outgate.host import learned_line
from outgate.host.learned_line import Heard, LearnedEar, LearnedLine
from outgate.proxy.orders import Element

MINE = Element("a", ipaddress.ip_address("10.1.0.10").packed, ipaddress.ip_address("203.0.113.1").packed)
SAID = ("a", ipaddress.ip_address("10.1.0.10"), ipaddress.ip_address("203.0.113.1"))


def test_the_answer_comes_when_it_is_known(tmp_path: Path) -> None:
    """Not before: what was said has been heard when `tell` returns. And so many that they are said in parts."""
    heard: list[Heard] = []
    with LearnedEar(tmp_path / "ear", heard.extend), LearnedLine(tmp_path / "ear") as line:
        line.tell([MINE])
        assert heard == [SAID]
        line.tell([MINE] * 1000)
        assert len(heard) == 1001


def test_nobody_listens(tmp_path: Path) -> None:
    """Then nothing is said; and whoever begins to listen later is told."""
    heard: list[Heard] = []
    with LearnedLine(tmp_path / "ear") as line:
        line.tell([MINE])
        with LearnedEar(tmp_path / "ear", heard.extend):
            line.tell([MINE])
            assert heard == [SAID]


def test_who_does_not_answer_is_told_all_the_same(tmp_path: Path) -> None:
    """And not waited for until it has caught up: at once then, whatever was said meanwhile."""
    heard: list[Heard] = []
    calls: list[int] = []
    free, came = threading.Event(), threading.Event()

    def slow(some: Sequence[Heard]) -> None:
        came.set()
        free.wait()
        heard.extend(some)
        calls.append(len(some))

    with LearnedEar(tmp_path / "ear", slow), LearnedLine(tmp_path / "ear", 0.01) as line:
        line.tell([MINE])
        assert came.wait(10)
        line._patience = 10.0
        for _ in range(5):
            line.tell([MINE])  # would take 50 seconds if it waited
        assert heard == []
        free.set()
        line._not_before = 0.0
        line.tell([MINE])
        assert heard == [SAID] * 7
        assert calls[:2] in ([1, 5], [1, 6]), "what has come meanwhile is heard at once"


def test_who_has_caught_up_is_waited_for_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever time is left of that for which nobody is waited for."""
    monkeypatch.setattr(learned_line, "_SULKING", 1000.0)
    heard: list[Heard] = []
    free = threading.Event()

    def slow(some: Sequence[Heard]) -> None:
        free.wait()
        heard.extend(some)

    with LearnedEar(tmp_path / "ear", slow), LearnedLine(tmp_path / "ear", 0.01) as line:
        line.tell([MINE])
        assert (heard, line._unanswered) == ([], 1)
        free.set()
        assert line._socket is not None
        select.select([line._socket], [], [])
        line._patience = 10.0
        while line._not_before:
            line.tell([MINE])
        count = len(heard)
        line.tell([MINE])
        assert len(heard) == count + 1


def test_another_agent_is_told_at_once(tmp_path: Path) -> None:
    """The line to the one before is dead; and whoever listens knows that somebody has called."""
    heard: list[Heard] = []
    calls: list[str] = []
    with LearnedLine(tmp_path / "ear") as line:
        for at in ("first", "second"):
            with LearnedEar(tmp_path / "ear", heard.extend, functools.partial(calls.append, at)):
                line.tell([MINE])
                line.tell([MINE])
    assert heard == [SAID] * 4
    assert calls == ["first", "second"]


def test_who_never_reads_keeps_nobody(tmp_path: Path) -> None:
    """When no more can be said the line is dropped; whoever accepts the next reads the kernel."""
    calls: list[None] = []
    free = threading.Event()
    with (
        LearnedEar(tmp_path / "ear", lambda _: free.wait(), lambda: calls.append(None)),
        LearnedLine(tmp_path / "ear", 0.01) as line,
    ):
        while True:
            line.tell([MINE] * 400)
            if line._socket is None:
                break
        free.set()
        line._patience, line._not_before = 10.0, 0.0
        line.tell([MINE])
        assert len(calls) == 2


@pytest.mark.usefixtures("_many_descriptors")
def test_both_ends_with_many_descriptors(tmp_path: Path) -> None:
    """A proxy that has thousands of questions open says it as well, and an agent that has as many files hears it."""
    heard: list[Heard] = []
    with LearnedEar(tmp_path / "ear", heard.extend), LearnedLine(tmp_path / "ear", 30.0) as line:
        line.tell([MINE])
        assert line._socket is not None
        assert line._socket.fileno() > 1023
        assert heard == [SAID]


def test_nonsense_ends_the_call_and_nothing_else(tmp_path: Path) -> None:
    """Whoever says it is hung up on."""
    heard: list[Heard] = []
    with LearnedEar(tmp_path / "ear", heard.extend), LearnedLine(tmp_path / "ear") as line:
        line.tell([Element("a", b"no address", b"")])
        assert heard == []
        with LearnedLine(tmp_path / "ear") as other:
            other.tell([MINE])
        assert heard == [SAID]


def test_a_path_that_cannot_be(tmp_path: Path) -> None:
    """It is said which."""
    (tmp_path / "file").touch()
    with pytest.raises(KernelError, match="file"):
        LearnedEar(tmp_path / "file" / "ear", lambda _: None)
