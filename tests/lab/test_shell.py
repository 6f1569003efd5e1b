"""A shell in a pod of a kept lab: the right pod, its network and resolver, its exit code, and its end."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from outgate.errors import InvalidInput, UnknownName
from outgate.lab import keeper
from outgate.lab.shell import resolve, shell
from tests.lab.test_keeper import drive
from tests.lab.test_session import DRIVER, ended

DESCRIPTION = keeper.Description(
    1, {"n1": "node0"}, {"a/one": "pod0", "a/two": "pod1", "b/two": "pod2"}, ("10.96.0.10",), ""
)


@pytest.fixture(scope="module")
def lab() -> Iterator[str]:
    """A kept lab for all tests of this file."""
    name = f"test-{os.getpid()}-shell"
    assert drive("keep", name).returncode == 1
    yield name
    drive("down", name)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a/one", ("a/one", "pod0")),
        ("one", ("a/one", "pod0")),
        ("b/two", ("b/two", "pod2")),
        ("node/n1", ("node/n1", "node0")),
    ],
)
def test_a_pod_is_named_in_full_or_by_its_own_name(text: str, found: tuple[str, str]) -> None:
    """A person in a hurry types the pod's name alone."""
    assert resolve(DESCRIPTION, text) == found


@pytest.mark.parametrize(
    ("text", "hint"),
    [("two", "a/two, b/two"), ("a/onne", "a/one"), ("zzz", "a/one"), ("node/n2", "node/n1"), ("", "a/one")],
)
def test_a_name_that_is_none_or_several_is_refused_with_what_there_is(text: str, hint: str) -> None:
    """A guess would open a shell in somebody else's pod."""
    with pytest.raises(UnknownName) as caught:
        resolve(DESCRIPTION, text)
    assert hint in caught.value.hint


def test_without_a_lab_there_is_no_shell() -> None:
    """The answer to the commonest mistake is how to get a lab."""
    with pytest.raises(InvalidInput, match="no kept lab") as caught:
        shell("a/one", name=f"test-{os.getpid()}-none")
    assert "--keep" in caught.value.hint


@pytest.mark.kernel
def test_a_command_runs_in_the_pod_it_was_told(lab: str) -> None:
    """Each pod has its own network, and the node is another place again."""
    seen = {
        pod: drive("shell", lab, pod, "ip", "-o", "-4", "addr", "show", "scope", "global").stdout
        for pod in ("a/one", "a/two", "b/two", "node/n1")
    }
    assert all(text.count("inet ") == 1 for text in seen.values())
    assert len({text.split("inet ")[1] for text in seen.values()}) == 4
    assert "up0" in seen["node/n1"]


@pytest.mark.kernel
def test_the_exit_code_is_the_commands(lab: str) -> None:
    """Scripts run commands in pods and look at how they ended."""
    for code in (0, 1, 42):
        assert drive("shell", lab, "a/one", "sh", "-c", f"exit {code}").returncode == code
    assert drive("shell", lab, "a/one", "sh", "-c", "kill -KILL $$").returncode == 128 + 9


@pytest.mark.kernel
def test_a_command_that_is_not_there_is_a_message(lab: str) -> None:
    """A traceback from behind two forks helps nobody."""
    done = drive("shell", lab, "a/one", "nonesuch-command")
    assert done.returncode == 3
    assert "nonesuch-command is not installed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.kernel
def test_the_folder_is_the_callers_and_the_resolver_the_clusters(lab: str) -> None:
    """Files are at hand as before; names are asked of the cluster, from the pod's own namespace."""
    before = Path("/etc/resolv.conf").read_bytes() if Path("/etc/resolv.conf").exists() else None
    done = drive("shell", lab, "b/two", "sh", "-c", "pwd; cat /etc/resolv.conf")
    assert done.stdout.splitlines()[0] == str(Path.cwd())
    if before is not None:
        assert "search b.svc.cluster.local svc.cluster.local cluster.local" in done.stdout
        found = keeper.find(lab)
        assert found is not None
        assert [f"nameserver {one}" in done.stdout for one in found.description.nameservers] == [True, True]
        assert Path("/etc/resolv.conf").read_bytes() == before


@pytest.mark.kernel
def test_a_folder_that_is_gone_is_no_reason_to_fail(lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller may stand in a folder that somebody else has removed."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert drive("shell", lab, "a/one", "pwd").stdout == "/\n"
    monkeypatch.chdir(tmp_path)


def interactive(lab: str, *words: str) -> tuple[subprocess.Popen[bytes], int]:
    """The driver with a terminal of its own, as its session's leader."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-B", str(DRIVER), "shell", lab, *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  one system call, no lock
        env={
            **os.environ,
            "SHELL": "/bin/bash",
            "HOME": "/nonexistent",
            "TERM": "dumb",
            "PYTHONPATH": f"{DRIVER.parents[2] / 'src'}:{DRIVER.parents[2]}",
        },
    )
    os.close(theirs)
    return child, ours


def until(terminal: int, text: bytes) -> bytes:
    """Read the terminal until it shows the text."""
    seen = b""
    while text not in seen:
        assert select.select([terminal], [], [], 20)[0], seen
        seen += os.read(terminal, 4096)
    return seen


@pytest.mark.kernel
def test_a_person_gets_a_prompt_that_names_the_pod_and_ctrl_c_is_the_commands(lab: str) -> None:
    """Without job control and its own signals, the shell would end at the first Ctrl-C."""
    child, terminal = interactive(lab, "a/one")
    first = until(terminal, b"# ")
    assert b"[a/one]" in first
    assert b"job control" not in first
    # Said by the job itself: it has the terminal by then, which a command of the shell's own would not tell.
    os.write(terminal, b"sh -c 'echo begun; exec sleep 1000'\n")
    until(terminal, b"\nbegun")
    os.write(terminal, b"\x03")
    until(terminal, b"[a/one]")
    os.write(terminal, b"exit 9\n")
    assert child.wait(20) == 9
    os.close(terminal)


@pytest.mark.kernel
def test_the_end_of_the_lab_is_the_end_of_its_shells() -> None:
    """A forgotten shell would hold the namespaces, and the lab would go on without anybody knowing."""
    name = f"test-{os.getpid()}-ending"
    drive("keep", name)
    try:
        child, terminal = interactive(name, "a/one", "sh", "-c", "echo begun; setsid sleep 1000 & exec sleep 1000")
        until(terminal, b"begun")
        found = keeper.find(name)
        assert found is not None
        space = os.readlink(f"/proc/{found.pid}/ns/pid")
        inside = [
            os.pidfd_open(int(entry.name))
            for entry in Path("/proc").glob("[0-9]*")
            if (entry / "ns").exists() and _space(entry) == space
        ]
        assert len(inside) >= 2
    finally:
        drive("down", name)
    assert ended(inside)
    assert child.wait(20) == 128 + 9
    for handle in (*inside, terminal):
        os.close(handle)


def _space(entry: Path) -> str:
    try:
        return os.readlink(entry / "ns" / "pid")
    except OSError:
        return ""
