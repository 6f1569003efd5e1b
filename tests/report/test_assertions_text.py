"""What came of assertions, in words for people."""

from __future__ import annotations

import dataclasses

from outgate.analysis.coverage import coverage
from outgate.report.assertions_text import coverage_text, failure_text, outcome_text, plain, rule_text, summary_text
from tests.report.outcomes import HOSTILE, JUDGE, covered, some


def test_what_holds_is_one_line() -> None:
    """Nobody reads reasons for what is as it should be."""
    (found,) = some(0)
    assert outcome_text(found) == "OK     from shop/web: allow to svc/data/db   tests.yaml:4"
    assert failure_text(found) == ""


def test_what_fails_shows_a_packet_and_who_decided() -> None:
    """The reason, the witness with its addresses, the rule on both ends, all that is wrong, and the others."""
    (found,) = some(1)
    assert outcome_text(found).splitlines() == [
        "FAIL   no database   tests.yaml:5",
        "  because  it is secret",
        "  found    shop/web-1 (10.1.0.11) → data/db (10.1.1.20) TCP 5432 is allowed, and must not be",
        "  egress   allowed by shop/to-db egress[0]   test.yaml",
        "  ingress  allowed by data/db-in ingress[0]   test.yaml",
        "  all      TCP 5432, TCP 8050-8100",
        "  also     shop/web-1 → data/lone",
    ]


def test_each_verb_has_its_complaint() -> None:
    """Allowed and not listed is another mistake than allowed and forbidden."""
    assert "203.0.113.1 TCP 443 is allowed, and is not listed\n" in outcome_text(some(2)[0])
    assert "  all      203.0.113.0/25: TCP 443" in outcome_text(some(2)[0])
    assert "is allowed, and is not listed" in outcome_text(some(3)[0])
    denied = outcome_text(some(4)[0])
    assert "shop/planned → data/db (10.1.1.20) ICMP is denied, and must be allowed" in denied
    assert "  open     the API leaves this to the network plugin: NetworkPolicy defines TCP" in denied


def test_the_count() -> None:
    """The last line is what most people read."""
    assert summary_text(some()) == "4 of 5 assertions fail"
    assert summary_text(some(0, 1)) == "1 of 2 assertions fails"
    assert summary_text(some(0)) == "1 assertion holds"
    assert summary_text(some(0, 0)) == "2 assertions hold"


def test_coverage_lists_what_is_missing() -> None:
    """With the place of each; what a policy denies is named as that."""
    assert list(coverage_text(covered())) == [
        "coverage: 2 of 5 exercised (40 %)",
        "  not      data/db-in, what it denies for ingress   test.yaml",
        "  not      shop/to-db, what it denies for egress   test.yaml",
        "  not      shop/to-db egress[1]   test.yaml",
    ]
    assert rule_text(covered().missing[2]) == "shop/to-db egress[1]"
    nothing = dataclasses.replace(covered(), total=0, missing=())
    assert list(coverage_text(nothing)) == ["coverage: the input has no rules"]
    assert coverage(JUDGE, ()).exercised == 0


def test_names_from_files_cannot_move_the_cursor() -> None:
    """A name that colours the screen green would be a test that passes."""
    assert plain("\x1b[32mOK\r\n") == "\\x1b[32mOK\\x0d\\x0a"
    assert plain(HOSTILE).isprintable()
    hostile = dataclasses.replace(some(1)[0].assertion, name=HOSTILE, because=HOSTILE)
    shown = outcome_text(dataclasses.replace(some(1)[0], assertion=hostile))
    assert all(one.isprintable() or one == "\n" for one in shown)
    assert "é 名" in shown
