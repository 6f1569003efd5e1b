"""`outgate agent dns`: one a node, ended by a signal."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import threading
from pathlib import Path

import pytest

from outgate.cli.main import main
from outgate.host import links, process
from tests.agent.test_dns_supervisor import sleeps_in_flock
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
    """With a lock of its own or one that it was given; what it counted is on the disk. It may open what it needs."""

    def play() -> list[int]:
        links.batch(["link set lo up"])
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
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
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
        return codes

    assert alone(play) == [0, 0]


def _end_when(file: Path, pid: int = 0) -> None:
    while not file.exists():
        threading.Event().wait(0.01)
    os.kill(pid or os.getpid(), signal.SIGTERM)


@pytest.mark.kernel
@pytest.mark.parametrize("freed", [True, False])
def test_on_standby_it_waits_for_the_other_to_end(tmp_path: Path, freed: bool) -> None:
    """Then it serves; and while it waits it hears the signal that ends it, also as the first process of a container."""

    def play() -> int:
        links.batch(["link set lo up"])
        held = os.open(tmp_path / "dns.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        fcntl.flock(held, fcntl.LOCK_EX)

        def stand_by() -> int:
            os.close(held)
            return main(["agent", "dns", "--standby", "--run-dir", str(tmp_path), "--state-dir", str(tmp_path)])

        pid = process.fork(stand_by)
        while not sleeps_in_flock(Path("/proc", str(pid))):
            os.sched_yield()
        assert not (tmp_path / "dns-status.json").exists()
        if freed:
            os.close(held)
            _end_when(tmp_path / "dns-status.json", pid)
        else:
            os.kill(pid, signal.SIGTERM)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert alone(play) == 0
