"""The table of what policies mean: each of its rules names tests, and there they are."""

from __future__ import annotations

import re

import pytest

from tests.house.sources import ROOT

TABLE = ROOT / "docs" / "semantics.md"
_ROW = re.compile(r"^\| (?!rule|-)(.*?) \| (.*) \|$", re.MULTILINE)
_TEST = re.compile(r"`([^`:]*)::(test_\w*)(?:\[(.*?)\])?`")


def rows() -> dict[str, list[tuple[str, str, str]]]:
    """The tests of each rule: file, function (or how its name begins), and the case of its table."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for rule, tests in _ROW.findall(TABLE.read_text(encoding="utf-8")):
        file = ""
        for named, function, case in _TEST.findall(tests):
            file = named or file
            found.setdefault(rule, []).append((file, function, case))
        assert found.get(rule), f"no test of: {rule}"
    return found


def test_the_table_is_there() -> None:
    """Of both APIs."""
    assert len(rows()) > 35


@pytest.mark.parametrize("rule", rows())
def test_a_rule_has_its_tests_where_the_table_says(rule: str) -> None:
    """By file, by function, and by case."""
    for file, function, case in rows()[rule]:
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"^ *def {function}", text, re.MULTILINE), f"{file}::{function}"
        assert f'"{case}"' in text or not case, f"{file}::{function}[{case}]"
