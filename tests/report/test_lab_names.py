"""What came of names that move and of questions: the lines for people, and the parts of the document."""

from __future__ import annotations

import dataclasses

from outgate.model import Direction
from outgate.packets import Protocol
from outgate.policy import Origin
from outgate.report.lab_json import lab_json
from outgate.report.lab_names import NameResult, QuestionResult
from outgate.report.lab_text import lab_text
from tests.report.lab_results import ALLOW, DENY, pod, report, world
from tests.report.schema import complaints

A, THERE = pod("a", 1), world("203.0.113.10")
RULE = Origin("cilium.io/v2", "CiliumNetworkPolicy", "shop", "p", Direction.EGRESS, 0)
UNASKED = NameResult(
    *(A, THERE, THERE.address, Protocol.TCP, 443, "api.example.com", RULE, "unasked"),
    *(False, DENY, DENY, "no answer"),
)
ASKED = dataclasses.replace(UNASKED, moment="asked", asked=True, expected=ALLOW, observed=ALLOW)
SIXTH = dataclasses.replace(ASKED, source=pod("a", 1, version=6), address=world("2001:db8::1").address)
REFUSED = QuestionResult(A, THERE.address, "b.c", Protocol.UDP, "REFUSED", "REFUSED", "the response code REFUSED")
BY_TCP = dataclasses.replace(REFUSED, protocol=Protocol.TCP)
CLOSED = dataclasses.replace(BY_TCP, observed="closed", evidence="no answer came")
ANSWERED = dataclasses.replace(REFUSED, name="d.e", expected="answered", observed="answered")


def test_a_line_for_a_name_and_one_for_the_questions() -> None:
    """What families and transports have alike is said once; how much was asked and moved is counted."""
    whole = dataclasses.replace(
        report(),
        names=(UNASKED, ASKED, SIXTH),
        questions=(REFUSED, BY_TCP, ANSWERED, dataclasses.replace(ANSWERED, protocol=Protocol.TCP)),
        moved=("api.example.com",),
    )
    text = lab_text(whole)
    assert "  shop/a → api.example.com TCP 443: unasked denied, asked passed   shop/p egress[0]" in text
    assert "  shop/a asks for b.c: REFUSED; for d.e: answered\n" in text
    assert "  6 questions asked, 1 name moved" in text
    assert "3 probes: 2 allowed, 1 denied, 0 disagreements" in text
    assert whole.agrees


def test_one_that_disagrees() -> None:
    """It counts as a packet does, in every form of the report, and says what was expected."""
    leak = dataclasses.replace(UNASKED, observed=ALLOW, evidence="the world answered")
    told = dataclasses.replace(REFUSED, observed="answered", evidence="203.0.113.9")
    found = dataclasses.replace(report(), names=(leak, ASKED), questions=(told, CLOSED))
    assert not found.agrees
    assert found.misnamed == (leak, told, CLOSED)
    text = lab_text(found)
    assert "!unasked passed, asked passed" in text
    assert "for b.c: !answered, over TCP !closed" in text
    assert (
        "shop/a → api.example.com (203.0.113.10) TCP 443, unasked\n"
        "    expected  Deny: the rule is shop/p egress[0]\n"
        "    observed  Allow: the world answered\n"
    ) in text
    assert (
        "shop/a asks 203.0.113.10 for b.c over UDP\n    expected  REFUSED\n    observed  answered: 203.0.113.9" in text
    )
    assert "3 disagreements in" in text
    assert lab_json(found)["disagreements"] == 3


def test_a_request_to_a_name() -> None:
    """Where the rule looks into connections, it is said what was asked there."""
    get = dataclasses.replace(ASKED, request="GET /v1")
    leak = dataclasses.replace(UNASKED, request="GET /v1", observed=ALLOW)
    found = dataclasses.replace(report(), names=(leak, get))
    text = lab_text(found)
    assert "443: !unasked GET /v1 passed, asked GET /v1 passed   shop/p" in text
    assert "TCP 443, unasked: GET /v1\n" in text
    assert complaints(lab_json(found)) == []


def test_a_name_that_was_answered_wrongly() -> None:
    """A disagreement also where a denial was expected."""
    assert dataclasses.replace(UNASKED, misled=True).disagrees


def test_the_document_is_what_its_schema_says() -> None:
    """Without names there is nothing of them."""
    whole = dataclasses.replace(
        report(), names=(UNASKED, ASKED), questions=(REFUSED, CLOSED, ANSWERED), moved=("api.example.com",)
    )
    document = lab_json(whole)
    assert complaints(document) == []
    assert [one["asked"] for one in document["names"]] == [False, True]
    assert not {"names", "questions", "moved"} & lab_json(report()).keys()
