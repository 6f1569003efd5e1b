"""`outgate explain` as a user runs it."""

from __future__ import annotations

import json

import pytest

from outgate.checks import NAMES
from outgate.cli.main import main
from tests.report.schema import complaints


def test_one_check(capsys: pytest.CaptureFixture[str]) -> None:
    """Offline, with an example."""
    assert main(["explain", "dns-egress-missing"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("dns-egress-missing (error, can be fixed)\nWorkloads that are cut off from DNS\n")
    assert "Fixed example\n" in text


def test_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    """A line each."""
    assert main(["explain"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in NAMES)


def test_other_formats(capsys: pytest.CaptureFixture[str]) -> None:
    """A page, the list of pages, data."""
    assert main(["explain", "empty-block", "rule-redundant", "-o", "markdown"]) == 0
    assert capsys.readouterr().out.count("\n# ") == 1
    assert main(["explain", "-o", "markdown"]) == 0
    assert "[empty-block](empty-block.md)" in capsys.readouterr().out
    assert main(["explain", "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert complaints(document) == []
    assert len(document["checks"]) == len(NAMES)


def test_no_such_check(capsys: pytest.CaptureFixture[str]) -> None:
    """With the nearest."""
    assert main(["explain", "dns-egress-mising"]) == 2
    assert "did you mean dns-egress-missing?" in capsys.readouterr().err
