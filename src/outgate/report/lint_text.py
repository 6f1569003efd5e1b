"""Findings for people: the place, what is wrong, the line itself with a caret below it, the proof and the way out.

policies.yaml:8: error: shop/default-deny isolates shop/Deployment/web … [dns-egress-missing]
    8 |   podSelector: {}
      |   ^^^^^^^^^^^^^^^
  packet  shop/Deployment/web -> kube-system/coredns-1:53/UDP is dropped
  also    others.yaml:3: shop/web has no rule for it either
  help    allow UDP and TCP to the cluster's resolvers (--fix does it)
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks import Finding, Severity
from outgate.checks.lint import LintReport
from outgate.errors import one_line
from outgate.model import Place
from outgate.report.lint_words import count_words, finding_place

__all__ = ["lint_text"]

_WIDEST_LINE = 160
_PLAIN, _BOLD, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_COLOURS = {Severity.ERROR: "\x1b[31m", Severity.WARNING: "\x1b[33m", Severity.INFO: "\x1b[36m"}


def lint_text(report: LintReport) -> Iterator[str]:
    """The findings, an empty line between two, and one line that sums up."""
    for one in report.findings:
        yield from _finding(one.finding)
        yield ""
    yield _BOLD + count_words(report) + _PLAIN


def _finding(one: Finding) -> Iterator[str]:
    severity = f"{_COLOURS[one.severity]}{one.severity}{_PLAIN}"
    yield f"{finding_place(one.place)}: {severity}: {_BOLD}{one_line(one.message)}{_PLAIN} {_DIM}[{one.rule}]{_PLAIN}"
    yield from _excerpt(one.place)
    if one.witness is not None:
        yield f"  packet  {one_line(str(one.witness))}"
    for other in one.related:
        yield f"  also    {finding_place(other.place)}: {one_line(other.words)}"
    if one.help or one.fixable:
        how = " (--fix does it)" if one.fixable else ""
        yield f"  help    {one_line(one.help)}{how}"


def _excerpt(place: Place) -> Iterator[str]:
    """The line, and what of it is meant: the key, or all behind the dash of an item."""
    first, text = place.document.text(place.at)
    line = text.split("\n", 1)[0]
    if not first or not line.strip() or len(line) > _WIDEST_LINE:
        return
    shown = one_line(line.expandtabs(2))
    begin, end = _meant(shown, place.at[-1] if place.at else "")
    margin = f"{first:>5}"
    yield f"{_DIM}{margin} |{_PLAIN} {shown}"
    yield f"{_DIM}{' ' * len(margin)} |{_PLAIN} {' ' * begin}{'^' * max(end - begin, 1)}"


def _meant(line: str, step: str | int) -> tuple[int, int]:
    bare = line.split(" #", 1)[0].rstrip()
    begin = len(bare) - len(bare.lstrip(" -"))
    if isinstance(step, str) and step:
        found = next((at for at in (bare.find(f"{quote}{step}{quote}:") for quote in ("", '"', "'")) if at >= 0), -1)
        begin = found if found >= 0 else begin
    return (begin, len(bare)) if begin < len(bare) else (0, len(bare))
