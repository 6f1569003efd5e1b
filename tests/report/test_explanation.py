"""The documentation of checks, in every form; docs/checks is what it would be made again."""

from __future__ import annotations

import re

import pytest

from outgate.checks import NAMES
from outgate.report.explanation import (
    explanation_json,
    explanation_markdown,
    explanation_text,
    index_markdown,
    index_text,
)
from tests.house.sources import ROOT
from tests.report.schema import complaints

PAGES = ROOT / "docs" / "checks"


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_a_check_is_what_its_module_says(name: str) -> None:
    """`make docs` writes them anew."""
    assert (PAGES / f"{name}.md").read_text(encoding="utf-8") == explanation_markdown(name)


def test_the_index_and_no_page_of_a_check_that_is_gone() -> None:
    """Every page is one of these."""
    assert (PAGES / "index.md").read_text(encoding="utf-8") == index_markdown()
    assert {path.stem for path in PAGES.glob("*.md")} == {*NAMES, "index"}


def test_for_a_terminal() -> None:
    """The name, the sections, the example as it is."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", explanation_text("empty-block"))
    assert text.startswith("empty-block (warning)\nAn address block of which nothing is left\n\nWhat it does\n  Finds ")
    assert "\n  kind: NetworkPolicy\n" in text
    assert all(name in index_text() for name in NAMES)


def test_as_data() -> None:
    """All or some."""
    document = explanation_json(NAMES)
    assert complaints(document) == []
    assert [one["name"] for one in document["checks"]] == list(NAMES)
