"""`outgate graph` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from outgate.cli.main import main
from tests.cli.test_can_reach import WEB, files
from tests.report.schema import complaints


def test_mermaid_is_the_default_and_stable(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture in a repository that changes without reason is a diff without meaning."""
    arguments = ["graph", *files(shared / "recipes", "01 02"), WEB]
    assert main(arguments) == 0
    first = capsys.readouterr()
    assert main([*arguments, "-o", "mermaid"]) == 0
    assert capsys.readouterr().out == first.out
    assert first.err == ""
    lines = first.out.splitlines()
    assert lines[0] == "flowchart LR"
    node = next(line.split("[")[0].strip() for line in lines if '"production/postgres"' in line)
    assert f'    subject -->|"TCP 5432"| {node}' in lines
    batch = next(line.split("[")[0].strip() for line in lines if '"production/batch"' in line)
    assert f'    subject -. "denied at egress" .-> {batch}' in lines


def test_dot_and_json(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same edges for other tools."""
    arguments = ["graph", *files(shared / "recipes", "01 02"), WEB]
    assert main([*arguments, "-o", "dot"]) == 0
    assert capsys.readouterr().out.startswith("digraph egress {\n")
    assert main([*arguments, "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert complaints(document) == []
    assert [edge["verdict"] for edge in document["edges"]] == ["Allow"] * 3 + ["Deny"] * 4


@pytest.mark.parametrize(
    "subject", ["10.0.0.1", "svc/production/postgres", "production/nobody", "a/b/c/d", WEB + ":80"]
)
def test_what_cannot_be_drawn_is_2(shared: Path, subject: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Only pods have egress; anything else is refused before something is drawn."""
    assert main(["graph", *files(shared / "recipes", "01"), subject]) == 2
    words = capsys.readouterr()
    assert words.out == ""
    assert words.err.startswith("error: ")
