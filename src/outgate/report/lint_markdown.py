"""A lint report as Markdown, for the comment on a pull request: the counts, and a table of what is found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.checks.finding import Finding
from outgate.checks.lint import LintReport
from outgate.errors import InputError
from outgate.report.diff_markdown import MOST_CHARACTERS, escape_markdown
from outgate.report.lint_words import count_words, finding_place

__all__ = ["lint_markdown"]


def lint_markdown(report: LintReport, errors: Iterable[InputError] = ()) -> str:
    """The comment; what a forge would not take any more is counted at the end."""
    problems = [f"- {escape_markdown(str(one))}" for one in errors]
    text = "\n".join([f"### Network policy: {escape_markdown(count_words(report))}", "", *problems]).rstrip("\n") + "\n"
    if report.findings:
        text += "\n| | where | what | rule |\n| --- | --- | --- | --- |\n"
    left = len(report.findings)
    for row in map(_row, (one.finding for one in report.findings)):
        if len(text) + len(row) > MOST_CHARACTERS:
            break
        text += row
        left -= 1
    return text + (f"\nand {left} more: see outgate lint\n" if left else "")


def _row(one: Finding) -> str:
    cells = (str(one.severity), escape_markdown(finding_place(one.place)), "<br>".join(_what(one)), f"`{one.rule}`")
    return f"| {' | '.join(cells)} |\n"


def _what(one: Finding) -> Iterator[str]:
    yield escape_markdown(one.message)
    if one.witness is not None:
        yield f"packet: {escape_markdown(str(one.witness))}"
    for other in one.related:
        yield f"also: {escape_markdown(f'{finding_place(other.place)}: {other.words}')}"
    if one.help:
        yield f"help: {escape_markdown(one.help)}"
