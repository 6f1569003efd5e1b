"""One change: which way it goes, and by which family."""

from __future__ import annotations

import pytest
from hypothesis import given

from outgate.analysis.changes import Kind, Shift
from outgate.packets import Protocol, TransportSet
from outgate.testing import transport_sets

NONE = TransportSet()
SQL, WEB = (TransportSet.ports(Protocol.TCP, port) for port in (5432, 443))


@pytest.mark.parametrize(
    ("before", "after", "kind", "widens", "narrows"),
    [
        (NONE, SQL, Kind.OPENED, True, False),
        (SQL, NONE, Kind.CLOSED, False, True),
        (SQL, SQL | WEB, Kind.CHANGED, True, False),
        (SQL | WEB, WEB, Kind.CHANGED, False, True),
        (SQL, WEB, Kind.CHANGED, False, False),
    ],
)
def test_which_way(before: TransportSet, after: TransportSet, kind: Kind, widens: bool, narrows: bool) -> None:
    """A change that swaps one port for another is neither: it must not hide among the narrowings."""
    shift = Shift(before, after)
    assert (shift.kind, shift.widens, shift.narrows) == (kind, widens, narrows)


def test_a_family_alone() -> None:
    """What the union of both families hides: IPv6 lost the database and IPv4 gained the web."""
    shift = Shift(SQL | WEB, SQL | WEB, ((4, SQL, SQL | WEB), (6, SQL | WEB, WEB)))
    assert (shift.opened, shift.closed) == (WEB, SQL)
    assert (shift.kind, shift.widens, shift.narrows) == (Kind.CHANGED, False, False)


@given(transport_sets(), transport_sets())
def test_what_opened_and_closed_is_the_difference(before: TransportSet, after: TransportSet) -> None:
    """Taking away what closed and adding what opened gives what passes now, and says nothing twice."""
    shift = Shift(before, after)
    assert (before - shift.closed) | shift.opened == after
    assert not shift.opened & before
    assert not shift.closed & after
