"""The comment on a pull request."""

from __future__ import annotations

from outgate.report.diff_markdown import MOST_CHARACTERS
from outgate.report.lint_markdown import lint_markdown
from tests.report.findings import CLUSTER, ERRORS, empty, report


def test_a_table_of_what_is_found() -> None:
    """A row each, four cells, whatever the names."""
    text = lint_markdown(report(), ERRORS)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(report().findings)
    assert {row.count("|") for row in rows} == {5}
    assert text.startswith("### Network policy: 2 errors")
    assert "- a b&#46;yaml:3" in text or "- a b.yaml:3" in text


def test_nothing_found_is_a_sentence() -> None:
    """And no table."""
    text = lint_markdown(empty())
    assert text.startswith("### Network policy: nothing found by ")
    assert "|" not in text


def test_a_comment_that_is_too_long_is_cut() -> None:
    """And says by how much."""
    policy = CLUSTER.split("---\n")[1]
    pod = CLUSTER.split("---\n")[-1]
    text = lint_markdown(report("---\n".join([*(policy.replace("block-metadata", f"p{n}") for n in range(200)), pod])))
    assert len(text) <= MOST_CHARACTERS + 100
    assert text.rstrip().endswith("more: see outgate lint")
