"""`outgate agent dns`: one a node, ended by a signal."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from pathlib import Path

import pytest

from outgate.cli.main import main
from outgate.host import links
from tests.lab.alone import alone


def test_a_second_proxy_of_a_node_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two would learn half each."""
    held = os.open(tmp_path / "dns.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert main(["agent", "dns", "--run-dir", str(tmp_path), "--state-dir", str(tmp_path)]) == 3
    assert "another DNS proxy of this node runs already" in capsys.readouterr().err
    os.close(held)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its name."""
    (tmp_path / "run").write_bytes(b"")
    assert main(["agent", "dns", "--run-dir", str(tmp_path / "run" / "x"), "--state-dir", str(tmp_path)]) == 3
    assert "cannot be made" in capsys.readouterr().err


@pytest.mark.kernel
def test_it_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    """With a lock of its own or one that it was given; what it counted is on the disk."""

    def play() -> list[int]:
        links.batch(["link set lo up"])
        words = ["agent", "dns", "--run-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state")]
        codes = []
        for more in (0, 1):
            options: list[str] = []
            if more:
                lock = os.open(tmp_path / "run" / "dns.lock", os.O_RDWR)
                options = ["--while-down", "forward", "--lock-fd", str(lock)]
            timer = threading.Thread(target=_end_when, args=(tmp_path / "run" / "dns-status.json",))
            timer.start()
            codes.append(main(words + options))
            timer.join()
            (tmp_path / "run" / "dns-status.json").unlink()
        return codes

    assert alone(play) == [0, 0]


def _end_when(file: Path) -> None:
    while not file.exists():
        threading.Event().wait(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
