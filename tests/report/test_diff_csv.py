"""A diff as a table."""

from __future__ import annotations

import csv
import io

from outgate.report.diff_csv import COLUMNS, diff_csv
from tests.report.diffs import EVERYTHING, NOTHING, WILD, reported


def rows(text: str) -> list[dict[str, str]]:
    """The table as a program reads it."""
    return list(csv.DictReader(io.StringIO(text)))


def test_a_line_for_each_change() -> None:
    """The head names the columns; nothing else stands around the table."""
    found = rows(diff_csv(*reported(EVERYTHING)))
    assert [one["change"] for one in found] == [one.kind.value for one in EVERYTHING]
    assert tuple(found[0]) == COLUMNS
    (both,) = [one for one in found if (one["widens"], one["narrows"]) == ("false", "false")]
    assert (both["before"], both["after"], both["opens"], both["closes"]) == ("TCP 80", "TCP 443", "TCP 443", "TCP 80")
    assert (both["policy"], both["place"]) == ("shop/out egress[0]", "new.yaml")


def test_nothing_is_a_head() -> None:
    """An empty table is one still."""
    assert diff_csv(*reported(NOTHING)) == ",".join(COLUMNS) + "\n"


def test_a_name_cannot_break_it() -> None:
    """Quotes and line ends stay in their field."""
    found = rows(diff_csv(*reported(WILD)))
    assert len(found) == len(WILD.changes)
    assert any("\n" in one["source"] for one in found)
