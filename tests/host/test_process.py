"""The one place that starts a process: no shell, bounded, in the C locale, and typed in its failures."""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path

import pytest

from outgate.errors import KernelError, NotPermitted
from outgate.host import process


def python(code: str) -> tuple[str, ...]:
    """A command that runs Python code."""
    return sys.executable, "-c", code


def test_what_a_command_said_comes_back() -> None:
    """Both outputs and the code belong to the answer."""
    done = process.run(python("import sys; print('out'); print('err', file=sys.stderr)"))
    assert (done.code, done.stdout, done.stderr) == (0, "out\n", "err\n")


def test_words_are_words() -> None:
    """Text from a manifest may look like a command of a shell; nothing here may read it as one."""
    nasty = ["$(echo x)", "; echo y", "`id`", "a b", "*", "", "'", '"']
    assert process.run((*python("import sys; print(sys.argv[1:])"), *nasty)).stdout == f"{nasty}\n"


def test_input_and_output_of_any_size_pass_at_once() -> None:
    """A command that answers while it reads would wait for us while we wait for it."""
    text = "0123456789abcde\n" * 200_000
    assert process.run(("cat",), input=text).stdout == text


def test_a_command_without_input_reads_none() -> None:
    """It must not wait at the caller's terminal."""
    assert process.run(("cat",)).stdout == ""


def test_a_reader_that_goes_early_is_no_failure() -> None:
    """`nft` stops reading at the first error; its own words tell why, not a broken pipe."""
    assert process.run(("true",), input="x" * 10_000_000).code == 0


def test_a_failure_names_the_command_and_what_it_said() -> None:
    """Whoever reads the error has only this sentence."""
    with pytest.raises(KernelError, match=r"failed with code 3: it broke") as caught:
        process.run(
            python("import sys; sys.exit('it broke') if 0 else (print('it broke', file=sys.stderr), sys.exit(3))")
        )
    assert not isinstance(caught.value, NotPermitted)
    assert process.run(python("import sys; sys.exit(3)"), check=False).code == 3


def test_a_lack_of_rights_is_told_apart() -> None:
    """It is the one failure that the reader can mend by running as somebody else."""
    with pytest.raises(NotPermitted, match="Operation not permitted"):
        process.run(python("import os, sys; sys.exit(os.strerror(1))"))


def test_a_signal_is_named() -> None:
    """A killed command says nothing itself."""
    with pytest.raises(KernelError, match="was ended by signal 9: it said nothing"):
        process.run(python("import os; os.kill(os.getpid(), 9)"))


@pytest.mark.parametrize(("name", "package"), [("ip", "iproute2"), ("nft", "nftables")])
def test_a_missing_command_names_its_package(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newcomer knows neither the command nor where it comes from."""
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(process, "_SYSTEM_PATH", ())
    with pytest.raises(KernelError, match=f"the command {name} is not installed") as caught:
        process.run((name,))
    assert f"apt install {package}" in caught.value.hint


def test_commands_of_the_system_are_found_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user's PATH on Debian has no /usr/sbin, and nft is there."""
    monkeypatch.setenv("PATH", "/nonexistent")
    assert process.run(("sh", "-c", "echo $PATH")).stdout.startswith("/nonexistent:/usr/local/sbin:/usr/sbin")


def test_the_locale_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are read here, and not in the user's language."""
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert process.run(("sh", "-c", "echo $LC_ALL")).stdout == "C\n"


@pytest.mark.parametrize(
    "code",
    [
        "import signal; signal.pause()",
        "import os, signal; os.close(1); os.close(2); signal.pause()",
        "while True: print('x', flush=True)",
    ],
)
def test_a_command_that_does_not_end_is_ended(code: str) -> None:
    """Whether it is silent, deaf or talking, nothing may hang for ever."""
    with pytest.raises(KernelError, match=r"did not end within 0\.5 s"):
        process.run(python(code), timeout=0.5)


def test_output_is_bounded() -> None:
    """A command that never stops talking must not fill the memory first."""
    with pytest.raises(KernelError, match="more than 100000 bytes"):
        process.run(python("while True: print('x' * 1000)"), limit=100_000)


def test_bytes_that_are_no_text_do_not_break_the_answer() -> None:
    """A command may print anything."""
    assert process.run(python("import os; os.write(1, bytes([255, 65]))")).stdout == "\ufffdA"


def test_a_fork_ends_with_its_own_code_and_never_returns(capfd: pytest.CaptureFixture[str]) -> None:
    """A child that came back would run the rest of the caller's program a second time."""
    here = os.getpid()
    assert [os.waitstatus_to_exitcode(os.waitpid(process.fork(lambda: 7), 0)[1]) for _ in range(2)] == [7, 7]

    def failing() -> int:
        raise ZeroDivisionError("in the child")

    assert os.waitstatus_to_exitcode(os.waitpid(process.fork(failing), 0)[1]) == 70
    assert "ZeroDivisionError: in the child" in capfd.readouterr().err

    def leaving() -> int:
        sys.exit(0)

    assert os.waitstatus_to_exitcode(os.waitpid(process.fork(leaving), 0)[1]) == 70
    assert os.getpid() == here


def test_what_was_printed_before_a_fork_is_printed_once(tmp_path: Path) -> None:
    """Both copies of a buffer would be written, and a report would show its first half twice."""
    code = (
        "import os, sys\nfrom outgate.host import process\nsys.stdout.write('before ')\n"
        "def child():\n    sys.stdout.write('child ')\n    return 0\n"
        "os.waitpid(process.fork(child), 0)\nsys.stdout.write('after')"
    )
    source = Path(process.__file__).parents[2]
    file = tmp_path / "run.py"
    file.write_text(f"import sys; sys.path.insert(0, {str(source)!r})\n{code}")
    assert process.run((sys.executable, str(file))).stdout == "before child after"


def test_replacing_gives_the_process_away() -> None:
    """After it, the command is all there is; a command that is not there is an error that one can say."""
    child = process.fork(lambda: process.replace(("sh", "-c", "exit $CODE"), {"CODE": "42"}))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
    with pytest.raises(KernelError, match="not installed"):
        process.replace(("nonesuch-command",), {})
    with pytest.raises(KernelError, match="not installed"):
        process.run(("nonesuch-command",))


def test_bytes_are_kept_where_bytes_are_asked_for() -> None:
    """A manifest in UTF-16 must not be taken for broken text on its way."""
    done = process.read(
        python("import os; os.write(1, os.read(0, 9)); os.write(2, b'\\xff'); os._exit(4)"), input=b"\xff\0"
    )
    assert (done.code, done.stdout, done.stderr) == (4, b"\xff\0", b"\xff")


def test_an_environment_is_added_to_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential plugin needs both: what its configuration says, and where the home folder is."""
    monkeypatch.setenv("OURS", "1")
    done = process.read(("sh", "-c", "echo $OURS $THEIRS"), environment={"THEIRS": "2"})
    assert done.stdout == b"1 2\n"


def test_a_command_that_goes_on(tmp_path: Path) -> None:
    """Its end can be waited for, it can be ended, and its code is told."""
    with (tmp_path / "said").open("wb") as output:
        one = process.start(("sh", "-c", "echo here; exit 3"), output=output)
        select.select([one.ended], [], [])
        assert one.stop() == 3
        other = process.start(("sleep", "1000"), output=output)
        assert other.code is None
        assert other.stop() == -signal.SIGTERM
        assert other.stop() == -signal.SIGTERM
    assert (tmp_path / "said").read_text() == "here\n"


def test_a_command_that_cannot_go_on(tmp_path: Path) -> None:
    """It is not there."""
    assert process.found("no-such-command") is None
    with (tmp_path / "said").open("wb") as output, pytest.raises(KernelError, match="not installed"):
        process.start(("no-such-command",), output=output)
