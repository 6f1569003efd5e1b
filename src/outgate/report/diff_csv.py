"""A diff as a table with a line for each change, for spreadsheets and for `cut`."""

from __future__ import annotations

import csv
import io

from outgate.analysis.causes import Causes
from outgate.analysis.changes import Change
from outgate.analysis.connections import External, Party
from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.matching import Presence
from outgate.report.diff_words import blames, ports_words
from outgate.report.terms import place_text

__all__ = ["COLUMNS", "diff_csv"]

COLUMNS = (
    *("change", "widens", "narrows", "source", "destination", "before", "after", "opens", "closes"),
    *("source_change", "destination_change", "policy", "place"),
)


def diff_csv(found: ConnectionDiff, why: Causes) -> str:
    """The table, with its head and a last newline."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for one in found:
        table.writerow(_row(one, why))
    return text.getvalue()


def _row(change: Change, why: Causes) -> tuple[str, ...]:
    shift = change.shift
    origin = next((blame.origin for blame in blames(change, why) if blame.origin is not None), None)
    return (
        change.kind.value,
        str(shift.widens).lower(),
        str(shift.narrows).lower(),
        _party(change.source),
        _party(change.destination),
        *(ports_words(one, every=True) if one else "" for one in (shift.before, shift.after)),
        *(ports_words(one, every=True) if one else "" for one in (shift.opened, shift.closed)),
        _presence(change.source_presence),
        _presence(change.destination_presence),
        str(origin) if origin is not None else "",
        place_text(origin),
    )


def _party(party: Party) -> str:
    """As in text, but every block is written out: a table is read by programs."""
    return " ".join(party.addresses.cidrs()) if isinstance(party, External) else str(party)


def _presence(presence: Presence | None) -> str:
    return presence.value if presence is not None else ""
