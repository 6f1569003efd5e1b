"""The policies: as written, every line with its number."""

from __future__ import annotations

import pytest

from outgate.report.page_markup import visible
from outgate.report.page_policies import policy_list
from tests.report.document import parse
from tests.report.pages import DB_POLICY, comparison, empty, hostile, page_of, policy, small


@pytest.mark.parametrize("page", [small(), comparison(), hostile()], ids=["small", "comparison", "hostile"])
def test_every_policy_is_there_as_written(page: object) -> None:
    """Nothing is reformatted: a reader compares it with the file."""
    from outgate.report.page_data import Page

    assert isinstance(page, Page)
    found = list(parse(policy_list(page)).every("details"))
    assert [one.attributes["id"] for one in found] == [f"p{index}" for index in range(len(page.policies))]
    for one, shown in zip(page.policies, found, strict=True):
        lines = [line.text() for line in shown.every("li")]
        assert "\n".join(lines) == visible(one.text.replace("\r\n", "\n").removesuffix("\n"))


def test_lines_are_numbered_as_in_the_file() -> None:
    """The third document of a file does not begin at line 1."""
    shown = parse(policy_list(page_of((), (), policies=(policy("db", text=DB_POLICY, first_line=30),))))
    assert shown.one("ol").attributes["start"] == "30"
    numbers = [line.attributes["id"] for line in shown.every("li")]
    assert numbers == [f"p0l{30 + index}" for index in range(DB_POLICY.count("\n"))]
    assert "manifests/policy.yaml:30" in shown.one("summary").text()


def test_no_policy_is_said() -> None:
    """An empty section would look like a mistake."""
    assert "no policy" in parse(policy_list(empty())).text()
