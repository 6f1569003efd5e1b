"""A lint report as workflow commands of GitHub Actions, which become annotations of the lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.checks import Severity
from outgate.checks.finding import Finding
from outgate.checks.lint import LintReport
from outgate.errors import InputError
from outgate.report.lint_words import file_of, line_of

__all__ = ["lint_github"]

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def lint_github(report: LintReport, errors: Iterable[InputError] = ()) -> Iterator[str]:
    """The lines, each an annotation."""
    for one in errors:
        words = f"{one.path}: {one.message}" if one.path else one.message
        yield _command("error", one.file, one.line, "outgate", words)
    for reported in report.findings:
        finding = reported.finding
        yield _command(
            _COMMANDS[finding.severity], file_of(finding.place), line_of(finding.place), finding.rule, _words(finding)
        )


def _words(one: Finding) -> str:
    lines = [one.message]
    lines += [f"packet: {one.witness}"] if one.witness is not None else []
    lines += [f"help: {one.help}"] if one.help else []
    return "\n".join(lines)


def _command(name: str, file: str, line: int, title: str, words: str) -> str:
    place = f"file={_property(file)}" + (f",line={line}" if line else "")
    return f"::{name} {place},title={_property(title)}::{_data(words)}"


def _data(text: str) -> str:
    """What the runner takes back: percent signs and line ends are written as their numbers."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
