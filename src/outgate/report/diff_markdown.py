"""A diff as Markdown, for the comment on a pull request.

First a sentence that says all there is to know if nothing is amiss; then a table of what opens and one of what closes;
the rest is folded. Names come from manifests, so everything in them that Markdown, a table or HTML could read as
syntax is written as an entity (CommonMark, "Entity and numeric character references": they are never structure).
A forge refuses a comment that is too long (GitHub: 65 536 characters), so tables are cut, and say by how much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from outgate.analysis.asking import Movements
from outgate.analysis.causes import Causes
from outgate.analysis.changes import Change
from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.matching import Presence
from outgate.report.diff_words import (
    Sections,
    blames,
    change_words,
    condition_kind,
    condition_lines,
    condition_ports,
    headline,
    isolation_words,
    plural,
    policies_around,
    with_workload,
)
from outgate.report.parties import party_words
from outgate.report.terms import place_text

__all__ = ["MOST_CHARACTERS", "diff_markdown", "escape_markdown"]

MOST_CHARACTERS = 60_000
"""What one comment may have, with room for what a workflow writes around it."""
MOST_ROWS = 50
"""Rows of one table, and at most; fewer where they are long."""

_SYNTAX = re.compile(r"[^\w ./,:;=→←()-]|_", re.ASCII)
_HEAD = ("| from | to | ports | brought by |", "| --- | --- | --- | --- |")


def diff_markdown(found: ConnectionDiff, why: Causes) -> str:
    """The comment, with a last newline; never more than `MOST_CHARACTERS`."""
    rows = MOST_ROWS
    while True:
        text = "\n".join(_lines(found, why, rows)) + "\n"
        if len(text) <= MOST_CHARACTERS or rows == 0:
            # Without rows there are only counts left, which always fit.
            return text
        rows //= 2


def _lines(found: ConnectionDiff, why: Causes, rows: int) -> Iterator[str]:
    yield f"### Network policy: {escape_markdown(headline(found))}"
    if not found:
        return
    parts = Sections.of(found)
    asked = Movements(found.before, found.after, found.pieces)
    yield from _table("Opens", [*parts.wider, *parts.both], why, asked, rows)
    yield from _table("Closes", parts.narrower, why, asked, rows)
    yield from _conditions(found, rows)
    yield from _workloads("New workloads", parts.added, Presence.ADDED, asked, rows)
    yield from _workloads("Workloads that are gone", parts.removed, Presence.REMOVED, asked, rows)
    yield from _folded("Isolation", [*_isolation(found, why)], rows)
    lines = [
        f"{one.presence.value if one.presence is not None else 'changed'} {one.policy} {one.policy.place}".rstrip()
        for one in policies_around(found, why)
    ]
    yield from _folded("Policies that differ", lines, rows)


def _table(title: str, changes: Sequence[Change], why: Causes, asked: Movements, rows: int) -> Iterator[str]:
    if not changes:
        return
    yield from ("", f"**{title}** ({len(changes):,})", "")
    shown = changes[:rows]
    if shown:
        yield from _HEAD
    for one in shown:
        because = "; ".join(
            " ".join(part for part in (blame.words, place_text(blame.origin)) if part) for blame in blames(one, why)
        )
        cells = (party_words(one.source), party_words(one.destination), change_words(one, asked), because)
        yield f"| {' | '.join(map(escape_markdown, cells))} |"
    yield from _more(len(changes) - len(shown), paragraph=True)


def _conditions(found: ConnectionDiff, rows: int) -> Iterator[str]:
    """Not folded: what lets more requests through on the same port is what a reviewer must not miss."""
    if not found.conditions:
        return
    yield from ("", f"**Conditions** ({len(found.conditions):,})", "")
    shown = found.conditions[:rows]
    if shown:
        yield from ("| | from | to | ports | was | now |", "| --- | --- | --- | --- | --- | --- |")
    for one in shown:
        asked = (
            " or ".join(" ".join(filter(None, each)) for each in condition_lines(some))
            for some in (one.before, one.after)
        )
        ends = party_words(one.source), party_words(one.destination)
        cells = (condition_kind(one), *ends, condition_ports(one), *asked)
        yield f"| {' | '.join(map(escape_markdown, cells))} |"
    yield from _more(len(found.conditions) - len(shown), paragraph=True)


def _workloads(title: str, changes: Sequence[Change], presence: Presence, asked: Movements, rows: int) -> Iterator[str]:
    lines = []
    for group, mine in with_workload(changes, presence).items():
        lines.append(f"{group}: {plural(len(mine), 'connection')}")
        for one in mine:
            arrow, other = ("→", one.destination) if one.source is group else ("←", one.source)
            lines.append(f"{group} {arrow} {party_words(other)} {change_words(one, asked)}")
    yield from _folded(title, lines, rows)


def _isolation(found: ConnectionDiff, why: Causes) -> Iterator[str]:
    for one in found.isolation:
        origins = why.isolates(one)
        by = f", {'by' if one.isolated else 'as it was by'} {origins[0]} {place_text(origins[0])}" if origins else ""
        yield f"{one.group} {isolation_words(one)}{by}"


def _folded(title: str, lines: Sequence[str], rows: int) -> Iterator[str]:
    if not lines:
        return
    yield from ("", f"<details><summary>{title} ({len(lines):,})</summary>", "")
    yield from (f"- {escape_markdown(one)}" for one in lines[:rows])
    yield from _more(len(lines) - rows, paragraph=False)
    yield from ("", "</details>")


def _more(count: int, *, paragraph: bool) -> Iterable[str]:
    if count <= 0:
        return ()
    return ("", f"and {count:,} more") if paragraph else (f"- and {count:,} more",)


def escape_markdown(text: str) -> str:
    """A text in which nothing is syntax, on one line."""
    return _SYNTAX.sub(lambda match: f"&#{ord(match[0])};", text)
