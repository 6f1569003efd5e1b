"""Whoever waits for a folder is woken by what happens in it, also by what happened between two calls."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from outgate.errors import KernelError
from outgate.host.inotify import FolderWatch

CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda folder: (folder / "there").write_bytes(b"x"),
    "created": lambda folder: (folder / "new").touch(),
    "replaced": lambda folder: (folder.parent / "outside").replace(folder / "there"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_happens_is_heard(tmp_path: Path, change: str) -> None:
    """Before the call or during it; and once."""
    folder = tmp_path / "watched"
    folder.mkdir()
    (folder / "there").touch()
    (tmp_path / "outside").touch()
    with FolderWatch(folder) as watch:
        assert not watch.wait(0)
        CHANGES[change](folder)
        assert watch.wait(30)
        assert not watch.wait(0)
        (folder / "there").write_bytes(b"z")
        assert select.select([watch], [], [], 30)[0], "also as one of many"
        assert watch.wait(0)
        waiting = threading.Thread(target=lambda: (folder / "there").write_bytes(b"y"))
        waiting.start()
        assert watch.wait(None)
        waiting.join()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """Cannot be waited for."""
    with pytest.raises(KernelError, match="gone cannot be watched: no such file or directory"):
        FolderWatch(tmp_path / "gone")
