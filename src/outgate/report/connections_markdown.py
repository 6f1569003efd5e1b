"""The list of connections as a table of Markdown, for a document or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from outgate.analysis.connections import Connection
from outgate.report.connections_text import passing_words
from outgate.report.parties import party_words

__all__ = ["cell", "connections_markdown"]

# GitHub Flavored Markdown: a backslash takes any of these literally, and a pipe would end the cell.
_SYNTAX = re.compile(r"([\\`*_{}\[\]<>#|~])")


def connections_markdown(connections: Iterable[Connection]) -> Iterator[str]:
    """The lines of the table."""
    yield "| source | destination | allowed |\n|---|---|---|\n"
    for one in connections:
        cells = party_words(one.source), party_words(one.destination), passing_words(one)
        yield f"| {' | '.join(map(cell, cells))} |\n"


def cell(text: str) -> str:
    """Text in which nothing is syntax, on one line."""
    return _SYNTAX.sub(r"\\\1", " ".join(text.split()))
