"""The life of a lab: what comes out of it, what ends it, and that nothing is left."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from outgate.errors import InputError, InvalidInput, KernelError
from outgate.host import process
from outgate.lab import addressing, keeper
from outgate.lab.build import Stage, build
from outgate.lab.session import INTERRUPTED, Outcome, run_in_lab
from outgate.lab.topology import Topology
from outgate.model import Snapshot

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).resolve().parents[2]
DRIVER = ROOT / "tests" / "lab" / "driver.py"
NOBODY = 65534


RUNNING: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def nobody_left() -> Iterator[None]:
    """Ends what a failed test has started."""
    yield
    while RUNNING:
        with RUNNING.pop() as child:
            child.kill()


def started(*words: str, user: int | None = None, python: str = sys.executable) -> subprocess.Popen[str]:
    """The driver, started in a session of its own, as somebody."""
    child = subprocess.Popen(
        [python, "-B", str(DRIVER), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "HOME": "/"},
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    RUNNING.append(child)
    return child


@cache
def python_of_everybody() -> str:
    """A Python that an ordinary user may run; empty where there is none."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        code = "import sys; from outgate.lab import session; sys.exit(sys.version_info < (3, 11))"
        with contextlib.suppress(OSError):
            tried = subprocess.run(
                [candidate, "-B", "-c", code],
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src")},
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
                capture_output=True,
                check=False,
            )
            if tried.returncode == 0:
                return candidate
    return ""


def as_user(*words: str) -> subprocess.Popen[str]:
    """The driver as an ordinary user: as who runs the tests, or as nobody where that is root."""
    if os.geteuid() != 0:
        return started(*words)
    python = python_of_everybody()
    if not python:
        pytest.skip("no Python here that an ordinary user may run")
    return started(*words, user=NOBODY, python=python)


def ready(child: subprocess.Popen[str]) -> tuple[int, ...]:
    """Wait until the driver says who its processes are: the first of the lab, the warden, a child of the first."""
    assert child.stdout is not None
    word, *numbers = child.stdout.readline().split()
    assert word == "ready"
    return tuple(map(int, numbers))


@contextlib.contextmanager
def watched(numbers: tuple[int, ...]) -> Iterator[list[int]]:
    """Handles on processes, which cannot come to mean others."""
    handles = [os.pidfd_open(number) for number in numbers]
    try:
        yield handles
    finally:
        for handle in handles:
            os.close(handle)


def ended(handles: list[int]) -> bool:
    """Wait until all of the processes have ended; False where one still runs after a minute."""
    return all(select.select([handle], [], [], 60)[0] for handle in handles)


KINDS = ("mnt", "net", "pid")


def worlds(pid: int) -> set[str]:
    """The namespaces of a process."""
    return {os.readlink(f"/proc/{pid}/ns/{kind}") for kind in KINDS}


@contextlib.contextmanager
def left_behind(pid: int) -> Iterator[Callable[[], set[str]]]:
    """Asks later in which of a lab's namespaces there still is a process.

    They are held open meanwhile: the number of a namespace that is gone is given to the next one made.
    """
    own = worlds(pid) - worlds(os.getpid())
    assert len(own) == len(KINDS)
    held = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in KINDS]

    def inhabited() -> set[str]:
        found: set[str] = set()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                found |= worlds(int(folder.name)) & own
        return found

    assert inhabited() == own
    yield inhabited
    for handle in held:
        os.close(handle)


def test_the_code_and_the_words_come_out(capfd: pytest.CaptureFixture[str]) -> None:
    """What runs inside prints to the caller's output and ends with its own code."""

    def inside() -> int:
        sys.stdout.write("said inside\n")
        return 7

    assert run_in_lab(inside) == 7
    assert capfd.readouterr().out == "said inside\n"
    assert run_in_lab(lambda: Outcome(3)) == 3


def test_an_error_comes_out_as_itself() -> None:
    """The edge prints errors and owns the exit codes: an error must arrive there whole."""
    wrong = InputError("a.yaml", 3, "spec.x", "is wrong")

    def inside() -> int:
        raise InvalidInput([wrong], hint="mend it")

    with pytest.raises(InvalidInput) as caught:
        run_in_lab(inside)
    assert (caught.value.errors, caught.value.hint) == ((wrong,), "mend it")
    assert not hasattr(caught.value, "__notes__")


def test_a_bug_comes_out_with_its_traceback() -> None:
    """A traceback from behind a fork is lost unless it is carried over."""

    def inside() -> int:
        raise ZeroDivisionError("deep")

    with pytest.raises(ZeroDivisionError, match="deep") as caught:
        run_in_lab(inside)
    assert "in inside" in "".join(caught.value.__notes__)


class Unspeakable(Exception):
    """An exception that cannot be made again from its pickle."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def test_an_exception_that_cannot_travel_comes_out_as_text() -> None:
    """An exception that breaks on the way must not turn into silence."""
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(Unspeakable("a", "b")))

    def inside() -> int:
        raise Unspeakable("half", "lost")

    with pytest.raises(RuntimeError, match="Unspeakable: halflost"):
        run_in_lab(inside)


def test_the_machine_is_not_touched() -> None:
    """Links, named namespaces, mounts and tables of the machine are none of the lab's business."""

    def machine() -> tuple[str, ...]:
        tables = process.run(("nft", "list", "tables"), check=False)
        links = process.run(("ip", "-o", "link"))
        mounts = Path("/proc/self/mountinfo").read_text()
        named = Path("/run/netns")
        return tables.stdout, links.stdout, mounts, str(sorted(named.iterdir()) if named.exists() else None)

    before = machine()
    child = started("talk")
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert out.endswith("table inet lab_services\n")
    assert machine() == before


def test_it_works_for_an_ordinary_user() -> None:
    """The first user of this has no root: in a user namespace everything must work the same."""
    out, err = (child := as_user("talk")).communicate(timeout=60)
    assert child.returncode == 0, err
    lines = out.splitlines()
    assert [line.split()[1] for line in lines[:4]] == ["hello"] * 4
    assert lines[4] == "table inet lab_services"


def test_a_refusal_names_the_setting_that_forbids() -> None:
    """Whoever may not make namespaces is told which knob it is, and what to do."""
    child = as_user("forbidden")
    out, err = child.communicate(timeout=60)
    assert child.returncode == 3, out + err
    assert "NotPermitted" in err
    assert "user.max_user_namespaces is 0" in err
    assert "run as root" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_ends_everything(number: signal.Signals) -> None:
    """An interrupted command says 130, and neither a process nor a namespace outlives it."""
    child = started("wait")
    numbers = ready(child)
    with watched(numbers) as handles, left_behind(numbers[0]) as inhabited:
        child.send_signal(number)
        out, err = child.communicate(timeout=30)
        assert child.returncode == INTERRUPTED, err
        assert ended(handles)
        assert inhabited() == set()
    assert (out, err) == ("", "")


def test_a_whole_group_may_be_interrupted_at_once() -> None:
    """Ctrl-C reaches every process of the terminal's group; counting it twice would kill instead of end."""
    child = started("stubborn")
    numbers = ready(child)
    assert child.stdout is not None
    with watched(numbers) as handles:
        os.killpg(child.pid, signal.SIGINT)
        assert child.stdout.readline() == "no\n"
        assert child.poll() is None
        child.send_signal(signal.SIGINT)
        assert child.wait(30) != 0
        assert ended(handles)
    child.communicate()


@pytest.mark.parametrize("victim", ["caller", "warden", "first"])
@pytest.mark.parametrize("who", ["root", "user"])
def test_nothing_outlives_a_kill(victim: str, who: str) -> None:
    """Whichever process is killed -9, all others go, daemons of the lab included, and with them the namespaces."""
    child = started("wait") if who == "root" else as_user("wait")
    first, warden, grandchild = ready(child)
    with watched((first, warden, grandchild)) as handles, left_behind(first) as inhabited:
        os.kill({"caller": child.pid, "warden": warden, "first": first}[victim], signal.SIGKILL)
        assert ended(handles)
        child.communicate(timeout=30)
        assert inhabited() == set()
    assert child.returncode != 0


def test_a_lab_whose_file_cannot_be_written_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab that nobody can find again would stand for ever."""
    handles = []

    def failing(name: str, description: keeper.Description) -> None:
        handles.append(os.pidfd_open(description.pid))
        raise KernelError(f"no room for {name}")

    monkeypatch.setattr(keeper, "record", failing)
    with pytest.raises(KernelError, match="no room"):
        run_in_lab(lambda: Outcome(0, empty_stage()), keep=True, name=f"unwritten-{os.getpid()}")
    assert len(handles) == 1
    assert ended(handles)
    os.close(handles[0])


def empty_stage() -> Stage:
    """A stage of nothing."""
    snapshot = addressing.address(Snapshot.of())
    assert Topology.of(snapshot).pods == {}
    return build(snapshot)
