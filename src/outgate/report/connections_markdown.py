"""The list of connections as a table of Markdown, for a document or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from outgate.analysis.conditional import Conditionals
from outgate.analysis.connections import Connection
from outgate.report.connections_text import allowed_words, nothing_asked
from outgate.report.parties import party_words

__all__ = ["cell", "connections_markdown"]

# GitHub Flavored Markdown: a backslash takes any of these literally, and a pipe would end the cell.
_SYNTAX = re.compile(r"([\\`*_{}\[\]<>#|~])")


def connections_markdown(connections: Iterable[Connection], only: Conditionals = nothing_asked) -> Iterator[str]:
    """The lines of the table. `only` tells what of a connection passes on a condition alone."""
    yield "| source | destination | allowed |\n|---|---|---|\n"
    for one in connections:
        cells = party_words(one.source), party_words(one.destination), allowed_words(one, only(one))
        yield f"| {' | '.join(map(cell, cells))} |\n"


def cell(text: str) -> str:
    """Text in which nothing is syntax, on one line."""
    return _SYNTAX.sub(r"\\\1", " ".join(text.split()))
