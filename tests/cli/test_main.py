"""The command itself: what it imports, how it ends, and what it says when something is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from outgate import __version__
from outgate.cli.main import VERBS, Verb, main, outgate
from outgate.cli.options import CONTEXT_SETTINGS

WITH_TEST_VERBS = """
import sys
from outgate.cli.main import VERBS, Verb, main
for name in ("fail", "answer", "echo_options", "wait"):
    VERBS[name] = Verb("tests.cli.verbs:" + name, "")
sys.exit(main())
"""


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verbs of tests/cli/verbs.py, in the table of the real ones."""
    for name in ("fail", "answer", "echo_options"):
        monkeypatch.setitem(VERBS, name, Verb(f"tests.cli.verbs:{name}", f"A test's {name}."))


def python(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user's shell would, with Outgate on its path."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment(repository),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def environment(repository: Path) -> dict[str, str]:
    """The environment of a process that can import Outgate and the tests."""
    return {**os.environ, "PYTHONPATH": f"{repository / 'src'}{os.pathsep}{repository}"}


def test_help_imports_click_and_nothing_else(repository: Path) -> None:
    """If help loaded YAML or the model, `outgate --help` could not answer at once."""
    program = """
import sys
before = set(sys.modules)
from outgate.cli.main import main
assert main(["--help"]) == 0
print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""
    loaded = set(python(repository, "-c", program).stderr.split())
    ours = {name for name in loaded if name.startswith("outgate")}
    assert ours == {
        "outgate",
        "outgate.cli",
        "outgate.cli.lazy",
        "outgate.cli.main",
        "outgate.cli.options",
        "outgate.errors",
        "outgate.version",
    }
    assert "click" in loaded
    assert loaded.isdisjoint({"yaml", "msgspec", "asyncio", "socket", "subprocess", "ipaddress", "json", "difflib"})


def test_lint_of_a_small_file_leaves_out_what_it_does_not_need(repository: Path) -> None:
    """On every save of a file Python would otherwise read modules for longer than the checks take."""
    program = """
import sys
from outgate.cli.main import main
assert main(["lint", "-f", sys.argv[1]]) == 1
print(*sys.modules, file=sys.stderr)
"""
    file = str(repository / "examples" / "lint" / "policies.yaml")
    loaded = set(python(repository, "-c", program, file).stderr.split())
    assert "outgate.checks.dns_egress_missing" in loaded
    assert loaded.isdisjoint({"yaml", "hashlib", "base64", "asyncio", "socket", "subprocess"})
    assert loaded.isdisjoint(
        {
            "outgate.analysis.connections",
            "outgate.analysis.lookup",
            "outgate.checks.documentation",
            "outgate.cluster.client",
            "outgate.cluster.edits",
            "outgate.lab",
            "outgate.nft",
            "outgate.recipes",
        }
    )


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """A verb that help does not name is one that nobody finds."""
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert [name for name, verb in VERBS.items() if f"  {name}" not in text or verb.summary not in text] == []


@pytest.mark.parametrize("name", VERBS)
def test_verb_can_be_loaded_and_explains_itself(name: str) -> None:
    """A target that does not exist, or an option without help, is found by a user at night."""
    with click.Context(outgate, info_name="outgate", **CONTEXT_SETTINGS) as context:
        command = outgate.get_command(context, name)
    assert isinstance(command, click.Command)
    assert command.help
    assert [each.name for each in command.params if isinstance(each, click.Option) and not each.help] == []


@pytest.mark.parametrize("name", VERBS)
def test_summary_fits_its_line(name: str) -> None:
    """A summary that wraps breaks the table of verbs on a terminal of 80 columns."""
    assert len(VERBS[name].summary) <= 80 - len("  completion  ")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """A bug report starts with the version."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"outgate {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["0"], 0), (["1"], 1), (["--exit", "1"], 1), (["--exit", "0"], 0), (["--", "-1"], 0)],
)
@pytest.mark.usefixtures("verbs")
def test_verb_decides_the_exit_code(arguments: Sequence[str], code: int) -> None:
    """An answer of no that exits 0 lets a broken pull request through."""
    assert main(["answer", *arguments]) == code


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("input", 2, "error: a.yaml:3: spec.egress[0]: first\nerror: b.yaml: second\nhint: fix them\n"),
        ("sentence", 2, "error: no such pod\n"),
        ("complex", 2, "error: more than 10 000 ports\n"),
        ("cluster", 3, "error: connection refused\n"),
        ("kernel", 3, "error: nft said no\nhint: look at dmesg\n"),
        ("base", 2, "error: something\n"),
        ("abort", 130, "interrupted\n"),
        ("interrupt", 130, "interrupted\n"),
        ("os", 3, "error: x.yaml: No such file or directory\n"),
    ],
)
@pytest.mark.usefixtures("verbs")
def test_error_becomes_sentences_and_a_code(
    name: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that is cut to its first line, or leaves with the code of an answer, misleads people and scripts."""
    assert main(["fail", name]) == code
    captured = capsys.readouterr()
    assert captured.err == said
    assert captured.out == ""


@pytest.mark.parametrize("name", ["usage", "file"])
@pytest.mark.usefixtures("verbs")
def test_every_error_of_click_is_bad_usage(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Some of click's errors carry exit code 1, which here would read as an answer."""
    assert main(["fail", name]) == 2
    assert "Error:" in capsys.readouterr().err


@pytest.mark.usefixtures("verbs")
def test_a_bug_never_looks_like_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """Python leaves with 1 after a traceback, and 1 means no."""
    assert main(["fail", "bug"]) == 70
    said = capsys.readouterr().err
    assert "ZeroDivisionError: one too many" in said
    assert "bug in Outgate" in said


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("compil", "Did you mean compile"),
        ("canreach", "Did you mean can-reach?"),
        ("xyzzy", "The verbs are: validate,"),
    ],
)
def test_mistyped_verb_is_answered_with_the_nearest(
    typed: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without advice, a slip of the finger costs a look at the help."""
    assert main([typed]) == 2
    assert advice in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--no-such-option"], ["completion"], ["completion", "tcsh"]])
def test_bad_usage_is_2_and_keeps_standard_output_clean(
    arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Usage printed on standard output would be read as data by the next program in the pipe."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Usage: outgate" in captured.err


def test_module_runs_as_the_command(repository: Path) -> None:
    """`python -m outgate` is what remains where the scripts are not on the path."""
    assert python(repository, "-m", "outgate", "--version").stdout == f"outgate {__version__}\n"
    assert python(repository, "-m", "outgate", "nonsense").returncode == 2


def test_kubectl_plugin_speaks_of_kubectl(repository: Path, tmp_path: Path) -> None:
    """Usage that names `outgate` is no help to somebody who has only the plugin."""
    plugin = tmp_path / "kubectl-outgate"
    plugin.write_text("import sys\nfrom outgate.cli.main import main\nsys.exit(main())\n")
    assert python(repository, str(plugin), "--help").stdout.startswith("Usage: kubectl outgate [OPTIONS] VERB")


def test_closed_pipe_is_quiet_and_is_no_answer(repository: Path) -> None:
    """`outgate ... | head` must not print a traceback, nor leave with 0 or 1 although nobody read the answer."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "outgate", "--help"],
            env=environment(repository),
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_full_disk_is_an_error(repository: Path) -> None:
    """An answer that could not be written and exits 0 is an answer that a script believes."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "outgate", "--help"],
            env=environment(repository),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert (ended.returncode, ended.stderr) == (3, b"error: No space left on device\n")


def test_a_closed_standard_output_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell's `>&-` leaves Python without a stream; neither a traceback nor silence is an answer."""
    monkeypatch.setattr("sys.stdout", None)
    assert main(["--version"]) == 3
    assert capsys.readouterr().err == "error: standard output is closed\n"


def test_a_folder_without_its_option_is_answered_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The commonest slip of whoever comes from other tools: the folder as an argument."""
    assert main(["validate", "manifests/"]) == 2
    assert "Manifests are given with -f." in capsys.readouterr().err


def test_interrupt_ends_with_130(repository: Path) -> None:
    """Control-C must end the command without a traceback, with the code that shells give it."""
    with subprocess.Popen(
        [sys.executable, "-c", WITH_TEST_VERBS, "wait"],
        env=environment(repository),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "interrupted\n")
