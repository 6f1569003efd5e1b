"""Outcomes of assertions about the shop, for the tests of what is made of them."""

from __future__ import annotations

from outgate.analysis.coverage import Coverage, coverage
from outgate.analysis.verdicts import Outcome
from tests.analysis import suites
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, judge_of

__all__ = ["HOSTILE", "JUDGE", "covered", "some"]

JUDGE = judge_of(EGRESS_TO_DB, INGRESS_OF_DB)
HOSTILE = "]]> <b>&amp;\x1b[31m\x00\u202e\ud800 é 名"
"""What a name may hold: markup, colours, what XML has no way to write, half a character, and letters."""

WRITTEN = (
    "{from: shop/web, allow: {to: svc/data/db}}",
    "{name: no database, because: it is secret, from: shop/web, deny: [data/db, data/lone]}",
    "{from: shop/web, only: [data/*]}",
    "{from: shop/web, exactly: {to: data/db, port: 5432}}",
    "{from: shop/planned, allow: {to: data/db, port: ICMP}}",
)


def some(*numbers: int) -> tuple[Outcome, ...]:
    """Some of the outcomes, by number; all of them without."""
    found = suites.outcomes(JUDGE, *WRITTEN)
    return tuple(found[one] for one in numbers) if numbers else found


def covered() -> Coverage:
    """What the first assertion exercises."""
    return coverage(JUDGE, some(0))
