"""The line from the DNS proxy to the agent: said, answered, and never waited for too long."""

from __future__ import annotations

import ipaddress
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


def test_who_does_not_answer_is_not_waited_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a while; afterwards, or when another agent has come, it is told again."""
    monkeypatch.setattr(learned_line, "PATIENCE", 0.01)
    heard: list[Heard] = []
    free = threading.Event()

    def slow(some: Sequence[Heard]) -> None:
        heard.extend(some)
        free.wait()

    with LearnedLine(tmp_path / "ear") as line:
        with LearnedEar(tmp_path / "ear", slow):
            line.tell([MINE])
            line.tell([MINE])
            free.set()
        assert len(heard) <= 1
        monkeypatch.setattr(line, "_not_before", 0.0)
        with LearnedEar(tmp_path / "ear", heard.extend):
            monkeypatch.setattr(learned_line, "PATIENCE", 10.0)
            line.tell([MINE])
            assert heard[-1] == SAID


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
