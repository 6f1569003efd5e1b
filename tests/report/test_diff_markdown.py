"""A diff as the comment on a pull request: short, whole, and deaf to what names would make of it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.diff import diff
from outgate.model import NetworkPolicy, Pod, Snapshot
from outgate.report.diff_markdown import MOST_CHARACTERS, MOST_ROWS, diff_markdown, escape_markdown
from tests.analysis.two_sides import CLUSTER, allow, pods, two
from tests.report.diffs import CONDITIONS, EVERYTHING, NOTHING, WILD, reported


def test_the_sentence_comes_first() -> None:
    """In a list of comments only the first line is seen."""
    assert diff_markdown(*reported(NOTHING)).count("\n") == 1
    lines = diff_markdown(*reported(EVERYTHING)).splitlines()
    assert lines[0].startswith("### Network policy: 4 connections open, 1 closes, ")
    assert lines.index("**Opens** (5)") < lines.index("**Closes** (4)")
    assert diff_markdown(*reported(EVERYTHING)) == diff_markdown(*reported(EVERYTHING))


def test_tables_are_tables() -> None:
    """Each row has as many cells as its head, whatever the names hold."""
    for found in (CONDITIONS, EVERYTHING, WILD):
        rows = [line for line in diff_markdown(*reported(found)).splitlines() if line.startswith("|")]
        assert rows
        assert {line.count("|") for line in rows} == ({7} if found is CONDITIONS else {5})


def test_folded_parts_are_closed() -> None:
    """An open element would swallow the rest of the page; a list needs an empty line before it to be one."""
    text = diff_markdown(*reported(EVERYTHING))
    assert text.count("<details>") == text.count("</details>") == 4
    assert len(re.findall(r"</summary>\n\n- ", text)) == 4
    assert len(re.findall(r"\n\n</details>\n", text)) == 4


def test_what_is_long_is_cut_and_counted() -> None:
    """A forge refuses a comment that is too long, and then there is none."""
    many = [one for number in range(300) for one in pods(f"app-{number:03}", 1, first=number % 250)]
    found = two([*CLUSTER, *many], [*CLUSTER, *many, allow("web", {"policyTypes": ["Egress"]}, app="web")])
    text = diff_markdown(*reported(found))
    assert sum(line.startswith("| shop") for line in text.splitlines()) == MOST_ROWS
    assert f"and {302 - MOST_ROWS} more" in text
    assert len(text) <= MOST_CHARACTERS


def test_rows_that_are_long_are_fewer() -> None:
    """The bound holds for the whole comment, however long its rows are."""
    old = Snapshot.of(pods=[Pod("shop", f"{number:02}" + "n" * 3000) for number in range(40)])
    found = diff(old, old.with_policies([NetworkPolicy("shop", "p")]))
    text = diff_markdown(*reported(found))
    assert len(text) <= MOST_CHARACTERS
    assert re.search(r"^and [\d,]+ more$", text, re.MULTILINE)


@given(st.text())
def test_nothing_in_a_text_is_syntax(text: str) -> None:
    """Neither Markdown nor a table nor HTML sees a character of a name that means something to it."""
    escaped = escape_markdown(text)
    plain = re.sub(r"&#\d+;", "", escaped)
    assert not set(plain) & set("|`<>*_[]\\#&!~\n\r@")
    assert re.sub(r"&#(\d+);", lambda match: chr(int(match[1])), escaped) == text
