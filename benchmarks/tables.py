"""Figures as rows, and rows as a table for a terminal or for a Markdown document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["Row", "markdown", "print_table", "spread"]

Row = dict[str, object]
"""A cell for each heading; rows of one table may lack some."""


def print_table(rows: Sequence[Row]) -> None:
    """In columns, on standard output."""
    cells = _cells(rows)
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))] if rows else []
    for line in cells if rows else ():
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def markdown(rows: Sequence[Row]) -> str:
    """As a table of a document."""
    heads, *lines = _cells(rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *lines)) + "\n"


def spread(many: Iterable[float], digits: int = 2) -> str:
    """The lowest and the highest: how much of a difference is the machine's unrest."""
    ordered = sorted(many)
    return f"{ordered[0]:.{digits}f}–{ordered[-1]:.{digits}f}"


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    heads = list(dict.fromkeys(head for row in rows for head in row))
    return [heads, *([_text(row.get(head, "")) for head in heads] for row in rows)]


def _text(value: object) -> str:
    """Thousands apart, as a person reads them; everything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000:
        return f"{value:,}".replace(",", " ")
    return str(value)
