"""What a lint report says, in words that its formats share.

Of what ``helm template`` has rendered the place is the template that a comment names, for that is the file to mend; the
line is one of the rendered text, so it is not given as if it were the template's.
"""

from __future__ import annotations

from outgate.checks import Severity
from outgate.checks.lint import LintReport
from outgate.model import Place

__all__ = ["count_words", "file_of", "finding_place", "line_of"]


def file_of(place: Place) -> str:
    """The file to mend."""
    return place.document.template or place.file


def line_of(place: Place) -> int:
    """The line in that file; 0 where it is not known."""
    return 0 if place.document.template else place.line


def finding_place(place: Place) -> str:
    """``file:line``, or ``template (rendered line 12)``."""
    if place.document.template:
        return f"{place.document.template} (rendered line {place.line})"
    return str(place) or "(no file)"


def count_words(report: LintReport) -> str:
    """One line that sums up."""
    words = [
        _many(report.count(severity), name)
        for severity, name in (
            (Severity.ERROR, "error"),
            (Severity.WARNING, "warning"),
            (Severity.INFO, "note"),
        )
        if report.count(severity)
    ]
    found = ", ".join(words) or f"nothing found by {_many(len(report.rules), 'check')}"
    fixable = sum(one.finding.fixable for one in report.findings)
    if fixable:
        found += f"; --fix mends {fixable}"
    put_away = []
    if report.annotated:
        put_away.append(f"{len(report.annotated)} by annotation")
    if report.baselined:
        put_away.append(f"{len(report.baselined)} by the baseline")
    return found + (f" (put away: {', '.join(put_away)})" if put_away else "")


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
