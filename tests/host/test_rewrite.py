"""A file is written anew as a whole, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from outgate.errors import InvalidInput
from outgate.host.rewrite import put, rewrite


def test_the_text_changes_and_the_permissions_do_not(tmp_path: Path) -> None:
    """A link stays one."""
    file, link = tmp_path / "a.yaml", tmp_path / "b.yaml"
    file.write_bytes(b"old")
    file.chmod(0o640)
    link.symlink_to(file)
    rewrite(str(link), b"old", b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["a.yaml", "b.yaml"]


def test_what_somebody_has_changed_meanwhile_is_theirs(tmp_path: Path) -> None:
    """Their text is not lost."""
    file = tmp_path / "a.yaml"
    file.write_bytes(b"theirs")
    with pytest.raises(InvalidInput, match="has changed since it was read"):
        rewrite(str(file), b"old", b"new")
    assert file.read_bytes() == b"theirs"


def test_what_cannot_be_written(tmp_path: Path) -> None:
    """With the reason of the system."""
    with pytest.raises(InvalidInput, match="cannot be written: no such file"):
        rewrite(str(tmp_path / "none.yaml"), b"", b"new")


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old text stands, and the half-written file is gone."""
    file = tmp_path / "a.yaml"
    file.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("outgate.host.rewrite.os.replace", full)
    with pytest.raises(InvalidInput, match="no space left"):
        rewrite(str(file), b"old", b"new")
    assert os.listdir(tmp_path) == ["a.yaml"]
    assert file.read_bytes() == b"old"


def test_a_file_of_ours_is_put_whole(tmp_path: Path) -> None:
    """Whether or not there was one; with its permissions, where they are given."""
    file = tmp_path / "status.json"
    for data in (b"first", b"second"):
        put(file, data, mode=0o640)
        assert file.read_bytes() == data
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["status.json"]


def test_what_cannot_be_put_leaves_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader never meets half a file, nor the writer's leavings."""
    file = tmp_path / "status.json"
    put(file, b"first")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        put(file, b"second")
    assert file.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["status.json"]
