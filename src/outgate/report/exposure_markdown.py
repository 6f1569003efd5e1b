"""The exposure report as Markdown, for a pull request or a wiki: the sentences, then the table.

Names come from strangers, so whatever Markdown or HTML would take for its own is escaped (GitHub Flavored Markdown,
2.4 "Backslash escapes": any punctuation may be).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.analysis.exposure import ExposureReport, Standing
from outgate.errors import one_line
from outgate.model import Direction
from outgate.report.exposure_words import (
    asked_bracket,
    blame_words,
    isolation_words,
    legend,
    ports_words,
    summary,
    table,
)

__all__ = ["exposure_markdown"]

_SPECIAL = frozenset("\\`*_{}[]<>()#+!|~&@")


def exposure_markdown(report: ExposureReport) -> str:
    """A section that can be pasted anywhere."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: ExposureReport) -> Iterator[str]:
    total = len(report.workloads)
    yield f"### Exposure of {total} workload{'s' if total != 1 else ''}"
    yield ""
    found = list(summary(report))
    yield from (f"- {_escaped(sentence)}" for sentence in found or ["nothing that this report asks about is reached"])
    if not total:
        return
    yield ""
    heads, *rows = table(report)
    yield _row((*heads, "because"))
    yield "|" + " --- |" * (len(heads) + 1)
    for row, one in zip(rows, report.workloads, strict=True):
        yield _row((*row, _why(one.standing)))
    yield ""
    yield _escaped(legend(report))


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(text: str) -> str:
    return "".join(f"\\{one}" if one in _SPECIAL else one for one in one_line(text))


def _why(standing: Standing) -> str:
    """The rules behind the worst that is reached outside, and what they ask; the isolation where there is none."""
    worst = [(one.origins, one.asked, one.transports) for one in standing.metadata()]
    worst += [(one.origins, one.asked, one.transports) for one in standing.outside.internet]
    nodes = standing.outside.nodes
    worst.append((nodes.origins, nodes.asked, nodes.transports))
    for origins, asked, transports in worst:
        if origins:
            on = f" on {ports_words(transports)}{asked_bracket(asked, transports)}" if asked else ""
            return blame_words(standing, origins) + on
    return isolation_words(standing, Direction.EGRESS)
