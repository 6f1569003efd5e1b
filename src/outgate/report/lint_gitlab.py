"""A lint report as GitLab takes it for the code quality of a merge request."""

from __future__ import annotations

from typing import Any

from outgate.checks import Severity
from outgate.checks.lint import LintReport, Reported
from outgate.report.lint_words import file_of, line_of

__all__ = ["lint_gitlab"]

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.INFO: "info"}


def lint_gitlab(report: LintReport, base: str = "") -> list[dict[str, Any]]:
    """The issues. GitLab shows those whose path is relative to the repository, without ``./``."""
    return [_issue(one, base) for one in report.findings]


def _issue(reported: Reported, base: str) -> dict[str, Any]:
    one = reported.finding
    path = file_of(one.place)
    path = path.removeprefix(base) if base else path
    return {
        "description": one.message,
        "check_name": one.rule,
        "fingerprint": reported.fingerprint,
        "severity": _SEVERITIES[one.severity],
        "location": {"path": path.removeprefix("./"), "lines": {"begin": line_of(one.place) or 1}},
    }
