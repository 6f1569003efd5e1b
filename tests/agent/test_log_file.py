"""A bounded file of lines, on disks that are full and after agents that have died."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from outgate.agent.log_file import Limit, LogFile


def test_a_full_file_is_rotated_once(tmp_path: Path) -> None:
    """Two files of about the limit, whatever was logged."""
    file = LogFile(tmp_path / "log", limit=100)
    for number in range(101):
        assert file.add([b"%03d" % number + b"x" * 20]) == 0
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1"]
    assert all(path.stat().st_size < 150 for path in tmp_path.iterdir())
    before = (tmp_path / "log.1").read_bytes().splitlines()
    after = (tmp_path / "log").read_bytes().splitlines() if (tmp_path / "log").exists() else []
    numbers = [int(line[:3]) for line in before + after]
    assert numbers == list(range(101 - len(numbers), 101))


def test_a_file_that_is_there_is_gone_on_with(tmp_path: Path) -> None:
    """An agent that starts again does not take away what explains why."""
    (tmp_path / "log").write_bytes(b"old\n")
    file = LogFile(tmp_path / "log", limit=12)
    file.add([b"new"])
    file.add([b"newer"])
    assert (tmp_path / "log.1").read_bytes() == b"old\nnew\nnewer\n"


def test_a_disk_that_is_full_costs_the_lines_that_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no other: the next line begins a line of its own."""
    file = LogFile(tmp_path / "log")
    genuine = os.write
    room = [10]

    def write(handle: int, data: bytes) -> int:
        return genuine(handle, data[: room[0]])

    monkeypatch.setattr(os, "write", write)
    assert file.add([b"first", b"second", b"third"]) == 2
    assert file.trouble == f"{tmp_path / 'log'}: no room"
    room[0] = 8
    assert file.add([b"fourth", b"fifth"]) == 1
    room[0] = 100
    assert file.add([b"sixth"]) == 0
    file.close()
    assert (tmp_path / "log").read_bytes() == b"first\nseco\nfourth\n\nsixth\n"


def test_nothing_is_written_for_nothing(tmp_path: Path) -> None:
    """A node where nothing is denied has no log."""
    assert LogFile(tmp_path / "log").add([]) == 0
    assert list(tmp_path.iterdir()) == []


def test_so_many_in_a_second() -> None:
    """And as many in the next, whatever was left or refused."""
    now = [5.9]
    limit = Limit(lambda: now[0], 2)
    assert [limit.lets() for _ in range(4)] == [True, True, False, False]
    now[0] = 6.0
    assert [limit.lets() for _ in range(3)] == [True, True, False]
