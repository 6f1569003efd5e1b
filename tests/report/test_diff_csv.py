"""A diff as a table."""

from __future__ import annotations

import csv
import io

from outgate.model import Direction
from outgate.report.diff_csv import COLUMNS, diff_csv
from tests.report.diffs import ASKED, CONDITIONS, EVERYTHING, NOTHING, WILD, reported


def rows(text: str) -> list[dict[str, str]]:
    """The table as a program reads it."""
    return list(csv.DictReader(io.StringIO(text)))


def test_a_line_for_each_change() -> None:
    """The head names the columns; nothing else stands around the table."""
    found = rows(diff_csv(*reported(EVERYTHING)))
    isolated = ["isolated" if one.isolated else "no longer isolated" for one in EVERYTHING.isolation]
    assert [one["change"] for one in found] == [*(one.kind.value for one in EVERYTHING), *isolated]
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
    assert len(found) == len(WILD.changes) + len(WILD.isolation)
    assert any("\n" in one["source"] for one in found)


def test_conditions_have_lines() -> None:
    """An exit code of 1 beside an empty table would be a riddle."""
    found = rows(diff_csv(*reported(CONDITIONS)))
    assert {one["change"] for one in found} == {"conditions"}
    assert len(found) == len(CONDITIONS.conditions) == 3
    block = next(one for one in found if one["destination"] == "192.0.2.0/24")
    assert (block["widens"], block["narrows"], block["before"], block["after"]) == ("true", "false", "TCP 80", "TCP 80")
    assert block["only_if_before"] == "only for requests of HTTP GET /v1|<b> with X-A"
    assert block["only_if_after"] == ""
    assert block["policy"] == "shop/p egress[1]"


def test_what_is_asked_of_a_change() -> None:
    """Of what closed what had been asked, of what opened what is asked now."""
    closed, opened, block = rows(diff_csv(*reported(ASKED)))
    assert (closed["only_if_before"], closed["only_if_after"]) == ("only for requests of HTTP GET *", "")
    assert opened["only_if_after"] == ("TCP 80 only for requests of HTTP GET *; TCP 81 only for requests of HTTP PUT *")
    assert block["destination"] == "192.0.2.0/24"
    assert block["only_if_after"] == "with 192.0.2.0/25, only for requests of HTTP GET *"


def test_isolation_has_lines() -> None:
    """At the end that it is about."""
    found = [one for one in rows(diff_csv(*reported(EVERYTHING))) if "isolated" in one["change"]]
    for one, change in zip(found, EVERYTHING.isolation, strict=True):
        ends = (str(change.group), "") if change.direction is Direction.EGRESS else ("", str(change.group))
        assert (one["source"], one["destination"]) == ends
        assert one["policy"]
