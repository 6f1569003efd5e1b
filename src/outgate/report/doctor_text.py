"""A doctor's report for people: a mark and an answer a line, what it rests on, and what to do next.

wrong      enforcement   NetworkPolicy: no, nothing enforces it here, as far as objects tell; only a probe is sure
                         - Flannel: kube-network-policies does not run in it
                         next: outgate doctor --context prod --probe --yes
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.doctor import DoctorReport
from outgate.analysis.doctor_facts import Line, Mark
from outgate.errors import one_line

__all__ = ["doctor_text"]

_PLAIN, _BOLD, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_COLOURS = {
    Mark.OK: "\x1b[32m",
    Mark.ATTENTION: "\x1b[33m",
    Mark.WRONG: "\x1b[31m",
    Mark.UNKNOWN: "\x1b[36m",
}
_MARK_WIDTH = max(len(one.value) for one in Mark)
_TOPIC_WIDTH = 14
_INDENT = " " * (_MARK_WIDTH + _TOPIC_WIDTH + 4)


def doctor_text(report: DoctorReport, *, in_full: bool = False) -> Iterator[str]:
    """The lines, and one that counts them. `in_full`: with what lines rest on that are well."""
    for line in report.lines:
        yield from _line(line, in_full)
    counts = ", ".join(f"{report.having(mark)} {mark.value}" for mark in Mark if report.having(mark))
    yield f"{_BOLD}{counts}{_PLAIN}"


def _line(line: Line, in_full: bool) -> Iterator[str]:
    mark = f"{_COLOURS[line.mark]}{line.mark.value:<{_MARK_WIDTH}}{_PLAIN}"
    yield f"{mark}  {line.topic:<{_TOPIC_WIDTH}}  {one_line(line.words)}"
    if line.mark is Mark.OK and not in_full:
        return
    for detail in line.details:
        yield f"{_INDENT}{_DIM}- {one_line(detail)}{_PLAIN}"
    for step in line.next_steps:
        yield f"{_INDENT}next: {one_line(step)}"
