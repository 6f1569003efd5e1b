"""Writing a lint report: on standard output in one format, and in files in others. Not a verb."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from outgate.errors import InputError, InvalidInput, UsageError, unusable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgate.checks.lint import LintReport

__all__ = ["FORMATS", "files_to_write", "write_file", "written"]

FORMATS = ("text", "json", "sarif", "junit", "github", "gitlab", "markdown")


def files_to_write(texts: Sequence[str]) -> list[tuple[str, str]]:
    """``FORMAT=FILE`` as pairs. Raises UsageError."""
    found = []
    for text in texts:
        form, equals, file = text.partition("=")
        if form not in FORMATS or not equals or not file:
            raise UsageError(f"--write {text}: write it FORMAT=FILE, with one of {', '.join(FORMATS)}")
        found.append((form, file))
    return found


def written(report: LintReport, errors: Sequence[InputError], form: str) -> str:
    """The report in a format, with a last newline."""
    match form:
        case "text":
            from outgate.report.lint_text import lint_text

            return "\n".join(lint_text(report)) + "\n"
        case "json":
            from outgate.report.lint_json import lint_json

            return _json(lint_json(report, errors))
        case "sarif":
            from outgate.report.sarif import sarif

            return _json(sarif(report, errors, _here()))
        case "junit":
            from outgate.report.lint_junit import lint_junit

            return lint_junit(report, errors)
        case "github":
            from outgate.report.lint_github import lint_github

            return "".join(f"{line}\n" for line in lint_github(report, errors))
        case "gitlab":
            from outgate.report.lint_gitlab import lint_gitlab

            return _json(lint_gitlab(report, _here()))
    from outgate.report.lint_markdown import lint_markdown

    return lint_markdown(report, errors)


def write_file(file: str, text: str) -> None:
    """A report in a file. Raises InvalidInput where it cannot be written."""
    try:
        with open(file, "w", encoding="utf-8") as opened:
            # Colours are for terminals.
            opened.write(click.unstyle(text))
    except OSError as error:
        raise InvalidInput([unusable(file, "written", error)]) from error


def _json(value: Any) -> str:
    """As `json.dumps` writes it; a report of many findings is written in a tenth of the time."""
    import msgspec

    try:
        return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
    except UnicodeEncodeError:
        # The name of a file that is not UTF-8 is no text for it.
        import json

        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _here() -> str:
    return os.getcwd().rstrip("/") + "/"
