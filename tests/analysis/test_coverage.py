"""Which rules the assertions exercise: exactly those of which a packet was spoken of."""

from __future__ import annotations

import pytest

from outgate.analysis.coverage import Coverage, coverage
from outgate.policy import Judge
from outgate.testing import Manifest, policy
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, judge_of
from tests.analysis.suites import outcomes

JUDGE = judge_of(EGRESS_TO_DB, INGRESS_OF_DB)
EGRESS, TO_DB, OUTSIDE = "shop/to-db", "shop/to-db egress[0]", "shop/to-db egress[1]"
INGRESS, FROM_WEB = "data/db-in", "data/db-in ingress[0]"
EVERYTHING = {EGRESS, TO_DB, OUTSIDE, INGRESS, FROM_WEB}


def exercised(*written: str, judge: Judge = JUDGE) -> set[str]:
    """What is struck out."""
    found = coverage(judge, outcomes(judge, *written))
    assert found.total == len(EVERYTHING)
    return EVERYTHING - {str(one) for one in found.missing}


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("{from: shop/web, allow: {to: data/db, port: 5432}}", {TO_DB, FROM_WEB}),
        # The port is that of the rule on one end alone; at the other the packet is stopped by the isolation.
        ("{from: shop/web, deny: {to: data/db, port: 8000}}", {TO_DB, INGRESS}),
        ("{from: shop/web, deny: {to: data/db, port: 80}}", {EGRESS, INGRESS}),
        ("{from: shop/web, deny: {to: data/lone, port: 80}}", {EGRESS}),
        ("{from: shop/web, allow: {to: 203.0.113.0/25, port: 443}}", {OUTSIDE}),
        ("{from: shop/web, deny: {to: 203.0.113.128/25, port: 443}}", {EGRESS}),
        ("{from: shop/web, allow: {to: svc/data/db}}", {TO_DB, FROM_WEB}),
        ("{from: data/lone, allow: 198.51.100.7}", set()),
        ("{from: data/lone, deny: data/db}", {INGRESS}),
        ("{from: shop/web, only: [data/*, 203.0.113.0/24]}", EVERYTHING),
        ("{from: shop/web, only: data/*, ignore: [data/db, {to: 203.0.113.0/24}]}", EVERYTHING),
        ("{from: shop/web, port: 443, only: 203.0.113.0/24}", {EGRESS, OUTSIDE, INGRESS}),
        ("{to: data/db, only: {from: shop/web}}", {EGRESS, TO_DB, INGRESS, FROM_WEB}),
    ],
)
def test_what_is_exercised(written: str, found: set[str]) -> None:
    """A rule by a packet that matches it, an isolation by one that is denied; neither by standing nearby."""
    assert exercised(written) == (found if "ignore" not in written else found - {FROM_WEB, INGRESS, OUTSIDE})


def test_assertions_add_up() -> None:
    """And everything is a hundred."""
    found = coverage(JUDGE, outcomes(JUDGE, "{from: shop/web, only: anywhere}", "{from: data/lone, deny: data/db}"))
    assert (found.total, found.exercised, found.percent, found.missing) == (5, 5, 100.0, ())
    assert found.reaches(100)


def test_a_rule_behind_another_is_exercised_by_what_it_matches() -> None:
    """Two rules for the same packet are both exercised by it: which of them is named is of no account."""
    twin: Manifest = EGRESS_TO_DB | {"metadata": {"name": "twin", "namespace": "shop"}}
    judge = judge_of(EGRESS_TO_DB, twin)
    found = coverage(judge, outcomes(judge, "{from: shop/web, allow: {to: data/db, port: 5432}}"))
    assert {str(one) for one in found.missing} == {EGRESS, OUTSIDE, "shop/twin", "shop/twin egress[1]"}


def test_what_selects_nobody_is_never_exercised() -> None:
    """A policy without pods does nothing, and is listed with its place."""
    judge = judge_of(policy("shop/idle", {"podSelector": {"matchLabels": {"app": "gone"}}, "egress": [{}]}))
    found = coverage(judge, outcomes(judge, "{from: every pod, only: anywhere}"))
    # It would isolate for ingress by default; its egress rule allows everything, so that isolates from nothing.
    assert [str(one) for one in found.missing] == ["shop/idle egress[0]", "shop/idle"]
    assert {one.direction.value for one in found.missing} == {"Egress", "Ingress"}
    assert {one.file for one in found.missing} == {"test.yaml"}


def test_percent_is_rounded_down() -> None:
    """A hundred must mean all of it, and the threshold is held exactly."""
    origins = coverage(JUDGE, ()).missing
    nearly = Coverage(3000, origins[:1])
    assert nearly.percent == 99.9
    assert not nearly.reaches(100)
    assert nearly.reaches(99.9)
    assert Coverage(3, origins[:1]).reaches(66.6)
    assert not Coverage(3, origins[:1]).reaches(66.7)
    assert Coverage(0, ()).percent == 100.0
    assert Coverage(0, ()).reaches(100)
