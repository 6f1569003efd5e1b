"""Completion: the script for each shell is valid, and pressing the tab key finds verbs without loading them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from outgate.cli.main import COMPLETE_VARIABLE, VERBS, main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_asks_outgate_back(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A script that sets another variable than the one `main` reads completes nothing, and says nothing either."""
    assert main(["completion", shell]) == 0
    assert f"{COMPLETE_VARIABLE}={shell}_complete" in capsys.readouterr().out


def test_bash_accepts_its_script(capsys: pytest.CaptureFixture[str]) -> None:
    """A syntax error in the script would greet the user in every new shell."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert subprocess.run([bash, "-n"], input=script, text=True, check=False, timeout=60).returncode == 0


def complete(repository: Path, words: str, position: int) -> subprocess.CompletedProcess[str]:
    """What bash's script asks when the tab key is pressed, and which modules of Outgate the answer needed."""
    program = """
import sys
from outgate.cli.main import main
code = main([])
print(*sorted(name for name in sys.modules if name.startswith("outgate.")), file=sys.stderr)
sys.exit(code)
"""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "PYTHONPATH": str(repository / "src"),
            COMPLETE_VARIABLE: "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(position),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_tab_completes_verbs_without_loading_them(repository: Path) -> None:
    """Click completes by loading every command, which would make each press of the key cost seconds."""
    answer = complete(repository, "outgate ", 1)
    assert answer.stdout.split() == [f"plain,{name}" for name in VERBS]
    assert set(answer.stderr.split()) == {
        "outgate.cli",
        "outgate.cli.lazy",
        "outgate.cli.main",
        "outgate.cli.options",
        "outgate.errors",
        "outgate.version",
    }


def test_tab_completes_the_beginning_of_a_verb(repository: Path) -> None:
    """Offering verbs that do not begin with what was typed would replace it."""
    assert complete(repository, "outgate comp", 1).stdout.split() == ["plain,compile", "plain,completion"]


def test_tab_completes_options_and_arguments(repository: Path) -> None:
    """Options of the command and values of a verb are completed too."""
    assert "plain,--version" in complete(repository, "outgate --v", 1).stdout.split()
    assert complete(repository, "outgate completion z", 2).stdout.split() == ["plain,zsh"]
