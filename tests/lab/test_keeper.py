"""A lab that stays: found again, refused twice, ended once, and never mistaken for another process."""

from __future__ import annotations

import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from outgate.errors import KernelError, NotPermitted, UsageError
from outgate.host import process
from outgate.lab import addressing, keeper
from outgate.model import Node, Pod, Snapshot
from tests.lab.test_session import DRIVER, ended, left_behind, watched

ROOT = DRIVER.parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for state files that is this test's alone."""
    own = tmp_path / "outgate"
    monkeypatch.setattr(keeper, "_folders", lambda: iter([own]))
    return own


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any lab."""
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield child
    child.kill()
    child.wait()


def drive(*words: str) -> subprocess.CompletedProcess[str]:
    """The driver, run to its end. It returns only when nobody holds its output open any more."""
    return subprocess.run(
        [sys.executable, "-B", str(DRIVER), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )


def description(pid: int) -> keeper.Description:
    """A description of a lab whose first process is that one."""
    return keeper.Description(pid, {"n1": "node0"}, {"a/one": "pod0"}, ("10.96.0.10",), "0" * 64)


@pytest.mark.kernel
def test_a_kept_lab_stands_until_it_is_taken_down() -> None:
    """The command returns with its code and its output closed; the lab stands, once; `down` ends all of it."""
    name = f"test-{os.getpid()}-stands"
    kept = drive("keep", name)
    try:
        assert (kept.returncode, kept.stderr) == (1, "")
        lab = keeper.find(name)
        assert lab is not None
        assert set(lab.description.pods) == {"a/one", "a/two", "b/two"}
        assert set(lab.description.nodes) == {"n1", "n2"}
        assert lab.user == os.getuid()
        assert os.getsid(lab.pid) == lab.pid
        assert [os.readlink(f"/proc/{lab.pid}/fd/{number}") for number in (0, 1, 2)] == ["/dev/null"] * 3

        again = drive("keep", name)
        assert again.returncode == 2
        assert f"a kept lab named {name} stands already" in again.stderr

        with watched((lab.pid,)) as handles, left_behind(lab.pid) as inhabited:
            assert drive("down", name).stdout == f"down {lab.pid}\n"
            assert ended(handles)
            assert inhabited() == set()
    finally:
        drive("down", name)
    assert keeper.find(name) is None
    assert drive("down", name).stdout == "down nothing\n"


@pytest.mark.kernel
def test_a_killed_lab_leaves_a_file_that_the_next_start_removes() -> None:
    """After a kill -9 the file is a lie; it must neither block the name nor end somebody else."""
    name = f"test-{os.getpid()}-killed"
    drive("keep", name)
    try:
        first = keeper.find(name)
        assert first is not None
        handle = os.pidfd_open(first.pid)
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        assert ended([handle])
        os.close(handle)
        assert drive("keep", name).returncode == 1
        second = keeper.find(name)
        assert second is not None
        assert second.pid != first.pid
    finally:
        drive("down", name)


def test_a_number_that_means_another_process_is_never_ended(folder: Path, bystander: subprocess.Popen[bytes]) -> None:
    """Pids are used again: a file that names one must be believed only with the start time of the process."""
    keeper.record("x", description(bystander.pid))
    file = folder / "x.json"
    stored = json.loads(file.read_text())
    for field, lie in (("started", stored["started"] - 1), ("boot", "0000")):
        file.write_text(json.dumps({**stored, field: lie}))
        assert keeper.down("x") is None
        assert bystander.poll() is None
        assert not file.exists()


@pytest.mark.usefixtures("folder")
def test_a_zombie_is_no_lab(bystander: subprocess.Popen[bytes]) -> None:
    """In a container whose first process takes in nobody, an ended lab would block its name for ever."""
    keeper.record("x", description(bystander.pid))
    assert keeper.find("x") is not None
    handle = os.pidfd_open(bystander.pid)
    bystander.kill()
    assert ended([handle])
    os.close(handle)
    assert keeper.find("x") is None


def test_down_asks_before_it_kills(folder: Path, bystander: subprocess.Popen[bytes]) -> None:
    """A lab ends itself at SIGTERM, and its file goes with it."""
    keeper.record("x", description(bystander.pid))
    found = keeper.down("x")
    assert found is not None
    assert found.description == description(bystander.pid)
    assert bystander.wait(10) == -signal.SIGTERM
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("folder")
def test_down_kills_what_does_not_hear(bystander: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab that hangs must still go."""
    monkeypatch.setattr(keeper, "_PATIENCE", 0.0)
    bystander.send_signal(signal.SIGSTOP)
    keeper.record("x", description(bystander.pid))
    assert keeper.down("x") is not None
    assert bystander.wait(10) == -signal.SIGKILL


def test_two_labs_of_one_name_cannot_be_recorded(folder: Path) -> None:
    """Two starts at once: the second must fail and not overwrite the first, which nobody could find then."""
    keeper.record("x", description(os.getpid()))
    before = (folder / "x.json").read_text()
    with pytest.raises(UsageError, match="stands already"):
        keeper.record("x", description(1))
    with pytest.raises(UsageError, match="stands already"):
        keeper.refuse_if_standing("x")
    assert (folder / "x.json").read_text() == before
    assert [file.name for file in folder.iterdir()] == ["x.json"]


def test_what_is_written_is_read_back(folder: Path) -> None:
    """`shell` and `down` know the lab from its file alone."""
    keeper.record("x", description(os.getpid()))
    lab = keeper.find("x")
    assert lab is not None
    assert lab.description == description(os.getpid())
    assert (folder.stat().st_mode & 0o777, lab.name, lab.user) == (0o700, "x", os.getuid())


WRONG_TYPES = json.dumps(
    {
        **dict.fromkeys(("started", "user"), 1),
        **dict.fromkeys(("name", "boot", "created"), "x"),
        "description": {"pid": "1", "nodes": 0, "pods": 0, "nameservers": [], "digest": ""},
    }
)


@pytest.mark.parametrize(
    "text", [WRONG_TYPES, "", "{", "[]", "{}", '{"description": 3}', '{"description": {}}', "null", "\xff\xfe"]
)
def test_a_damaged_file_means_nothing(folder: Path, text: str) -> None:
    """A file cut short by a full disk must not stop every later run with a traceback."""
    assert keeper.find("x") is None
    (folder / "x.json").write_text(text, encoding="latin-1")
    assert keeper.find("x") is None
    assert not (folder / "x.json").exists()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", ".hidden", "a b", "x" * 64, "é", "x\n"])
def test_a_name_is_a_file_name_and_nothing_more(name: str) -> None:
    """A name goes into a path: it must not lead out of the folder."""
    with pytest.raises(UsageError, match="cannot be the name"):
        keeper.find(name)


def test_a_folder_that_others_can_write_is_refused(folder: Path) -> None:
    """In /tmp somebody else may have made the folder first, to have us end a process of their choice."""
    folder.mkdir(mode=0o700)
    folder.chmod(0o770)
    with pytest.raises(NotPermitted, match="this user alone"):
        keeper.find("x")
    folder.rmdir()
    folder.symlink_to("/")
    with pytest.raises(NotPermitted, match="this user alone"):
        keeper.find("x")
    folder.unlink()
    folder.write_text("")
    with pytest.raises(KernelError, match="cannot be used"):
        keeper.find("x")


def test_the_digest_is_of_what_is_said_and_the_same_everywhere() -> None:
    """A digest that changed with the hash seed would call every kept lab outdated."""
    code = (
        "from outgate.lab import keeper\nfrom outgate.model import *\n"
        "policy = NetworkPolicy('a', 'p', types=frozenset(Direction))\n"
        "print(keeper.digest(Snapshot.of(pods=[Pod('a', 'b', {'x': '1', 'y': '2'})], policies=[policy])))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1
    pods = [Pod("a", "b", {"x": "1"}), Pod("a", "c")]
    one = addressing.address(Snapshot.of(pods=pods, nodes=[Node("n")]))
    assert keeper.digest(one) == keeper.digest(dataclasses.replace(one))
    assert keeper.digest(one) != keeper.digest(one.with_pods(one.pods[:1]))


def test_waiting_takes_in_orphans_and_ends_at_the_signal() -> None:
    """The first process of a lab inherits every orphan: unreaped, they would fill the process table."""
    heard, told = os.pipe()

    def waiting() -> int:
        os.write(told, b"%d" % process.fork(lambda: 0))
        keeper.wait_for_the_end()
        return 42

    first = process.fork(waiting)
    child = int(os.read(heard, 20))
    with watched((first,)) as (handle,):
        while Path(f"/proc/{child}").exists():
            # Every signal is a moment to take in what has ended; one of them comes after this child has.
            signal.pidfd_send_signal(handle, signal.SIGCHLD)
        assert not select.select([handle], [], [], 0)[0]
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) == 42
    os.close(heard)
    os.close(told)
