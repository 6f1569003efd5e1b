"""The properties of the agent: each has tests that bear its number, and the table in the documents says where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.sources import ROOT

TABLE = ROOT / "docs" / "agent-properties.md"
TESTS = ROOT / "tests" / "lab" / "agent"
NUMBERS = range(1, 33)


def rows() -> dict[int, set[str]]:
    """The files that the table names for each property."""
    found = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    return {int(number): set(re.findall(r"`([^`]+)`", files)) for number, files in found}


def numbered(path: Path) -> set[int]:
    """The properties of which a file has tests."""
    return {int(one) for one in re.findall(r"^def test_(\d\d)_", path.read_text(encoding="utf-8"), re.MULTILINE)}


def test_the_table_has_every_property() -> None:
    """Once, and in order."""
    assert list(rows()) == list(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_property_has_its_tests_where_the_table_says(number: int) -> None:
    """All files with tests of the number, and no other."""
    having = {path.name for path in TESTS.glob("test_*.py") if number in numbered(path)}
    assert having == rows()[number] != set()
