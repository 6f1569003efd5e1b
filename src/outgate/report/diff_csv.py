"""A diff as a table with a line for each change, for spreadsheets and for `cut`.

What differs where no port does has lines of its own: `conditions` of what is asked of ports that pass before and after,
and `isolated` or `no longer isolated` of a workload, which stands where it would send or receive.
"""

from __future__ import annotations

import csv
import io

from outgate.analysis.asking import Movements
from outgate.analysis.causes import Causes
from outgate.analysis.changes import Change, IsolationChange, Shift
from outgate.analysis.condition_changes import ConditionChange
from outgate.analysis.connections import External, Party
from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.matching import Presence
from outgate.model import Direction
from outgate.policy import Origin
from outgate.report.conditions import asked_words
from outgate.report.diff_words import blames, one_of_words, ports_words
from outgate.report.terms import place_text

__all__ = ["COLUMNS", "diff_csv"]

COLUMNS = (
    *("change", "widens", "narrows", "source", "destination", "before", "after", "opens", "closes"),
    *("source_change", "destination_change", "policy", "place"),
    *("only_if_before", "only_if_after"),
)


def diff_csv(found: ConnectionDiff, why: Causes) -> str:
    """The table, with its head and a last newline."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    rows = _Rows(why, Movements(found.before, found.after, found.pieces))
    for one in found:
        table.writerow(rows.of(one))
    for condition in found.conditions:
        table.writerow(rows.condition(condition))
    for isolation in found.isolation:
        table.writerow(rows.isolation(isolation))
    return text.getvalue()


class _Rows:
    """What many changes share is written once. It lives as long as the diff, so nothing else can have its identity."""

    def __init__(self, why: Causes, asked: Movements) -> None:
        self._why = why
        self._asked = asked
        self._parties: dict[int, str] = {}
        self._shifts: dict[int, tuple[str, ...]] = {}
        self._places: dict[int, tuple[Origin, str]] = {}

    def of(self, change: Change) -> tuple[str, ...]:
        """The row of one change."""
        shift = self._shifts.get(id(change.shift))
        if shift is None:
            shift = self._shifts[id(change.shift)] = _shift(change.shift)
        origin = next((blame.origin for blame in blames(change, self._why) if blame.origin is not None), None)
        return (
            change.kind.value,
            *shift[:2],
            self._party(change.source),
            self._party(change.destination),
            *shift[2:],
            _presence(change.source_presence),
            _presence(change.destination_presence),
            str(origin) if origin is not None else "",
            self._place(origin),
            "; ".join(asked_words(self._asked.closes(change), change.shift.before)),
            "; ".join(asked_words(self._asked.opens(change), change.shift.after)),
        )

    def condition(self, one: ConditionChange) -> tuple[str, ...]:
        """The row of ports that pass before and after, and of which something else is asked."""
        ports = ports_words(one.transports, every=True)
        origin = next((rule.origin for rule in (*one.after, *one.before)), None)
        asked = (f"only for {one_of_words(some)}" if some else "" for some in (one.before, one.after))
        return (
            "conditions",
            str(one.widens).lower(),
            str(one.narrows).lower(),
            self._party(one.source),
            self._party(one.destination),
            *(ports, ports, "", "", "", ""),
            str(origin) if origin is not None else "",
            self._place(origin),
            *asked,
        )

    def isolation(self, one: IsolationChange) -> tuple[str, ...]:
        """The row of a workload that is isolated now and was not, or the other way round: an end without another."""
        ends = (str(one.group), "") if one.direction is Direction.EGRESS else ("", str(one.group))
        origin = next(iter(self._why.isolates(one)), None)
        return (
            "isolated" if one.isolated else "no longer isolated",
            *("", "", *ends, "", "", "", "", "", ""),
            str(origin) if origin is not None else "",
            self._place(origin),
            *("", ""),
        )

    def _party(self, party: Party) -> str:
        """As in text, but every block is written out: a table is read by programs."""
        found = self._parties.get(id(party))
        if found is None:
            found = " ".join(party.addresses.cidrs()) if isinstance(party, External) else str(party)
            self._parties[id(party)] = found
        return found

    def _place(self, origin: Origin | None) -> str:
        if origin is None:
            return ""
        found = self._places.get(id(origin))
        if found is None:
            found = self._places[id(origin)] = origin, place_text(origin)
        return found[1]


def _shift(shift: Shift) -> tuple[str, ...]:
    sets = (shift.before, shift.after, shift.opened, shift.closed)
    return (
        str(shift.widens).lower(),
        str(shift.narrows).lower(),
        *(ports_words(one, every=True) if one else "" for one in sets),
    )


def _presence(presence: Presence | None) -> str:
    return presence.value if presence is not None else ""
