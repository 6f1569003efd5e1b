"""What the documents show is what the command prints: each `$ outgate …` in them is run, and compared line by line."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from outgate.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_HERE = {
    "can-reach",
    "list",
    "diff",
    "exposure",
    "graph",
    "compile",
    "test",
    "validate",
    "lint",
    "explain",
    "doctor",
    "new",
}


def shown() -> list[tuple[str, str, str]]:
    """(document, command, what it is said to print)."""
    found = []
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in FENCE.findall(path.read_text(encoding="utf-8")):
            for part in re.split(r"^(?=\$ )", block, flags=re.MULTILINE):
                command, _, output = part.partition("\n")
                if command.startswith("$ outgate ") and command.split()[2] in RUN_HERE:
                    found.append((path.name, command.removeprefix("$ outgate "), output))
    return found


def expected(output: str) -> str:
    """A pattern for what is shown: a line of dots stands for any lines."""
    lines = ["(?:.*\n)*?" if line.strip() == "..." else re.escape(line) + "\n" for line in output.splitlines()]
    return "".join(lines)


@pytest.mark.parametrize(("document", "command", "output"), shown())
def test_the_command_prints_what_is_shown(
    document: str,
    command: str,
    output: str,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A reader who types the command and sees another thing trusts neither the document nor the answer."""
    monkeypatch.chdir(repository)
    assert main(shlex.split(command)) in {0, 1}, document
    assert re.match(expected(output), capsys.readouterr().out), document


def test_there_are_examples() -> None:
    """If no command were found, the test above would pass on nothing."""
    assert len(shown()) >= 6


def test_the_picture_of_the_document_is_drawn_by_the_command(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A picture that nobody draws again shows what the policies said last year."""
    monkeypatch.chdir(repository)
    main(["graph", "-f", "examples/recipes", "production/web-api"])
    picture = capsys.readouterr().out
    assert f"```mermaid\n{picture}```\n" in (repository / "docs" / "graph.md").read_text(encoding="utf-8")
