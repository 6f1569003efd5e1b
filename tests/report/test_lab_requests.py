"""What came of requests: the lines for people, and the part of the document."""

from __future__ import annotations

import dataclasses

from outgate.model import Direction
from outgate.policy import Origin
from outgate.report.lab_json import lab_json
from outgate.report.lab_requests import RequestResult
from outgate.report.lab_text import lab_text
from tests.report.lab_results import ALLOW, DENY, pod, report
from tests.report.schema import complaints

A, B = pod("a", 1), pod("b", 2)
RULE = Origin("cilium.io/v2", "CiliumNetworkPolicy", "shop", "p", Direction.EGRESS, 0)
GET = RequestResult(A, B, B.address, 8080, RULE, "GET /x", ALLOW, ALLOW, "shop/b answers", 200, "b")
DELETE = dataclasses.replace(GET, asked="DELETE /x", expected=DENY, observed=DENY, status=403)
TLS = dataclasses.replace(GET, asked="TLS for c.d", status=None, host="", port=443)


def test_one_line_for_a_flow() -> None:
    """Both families came out alike, so they are said once."""
    sixth = dataclasses.replace(GET, address=pod("b", 2, version=6).address)
    text = lab_text(dataclasses.replace(report(), requests=(GET, DELETE, sixth, TLS)))
    assert "  shop/a → shop/b TCP 8080: GET /x 200, DELETE /x 403   shop/p egress[0]" in text
    assert "  shop/a → shop/b TCP 443: TLS for c.d passed   shop/p egress[0]" in text
    assert "0 probes and 4 requests: 3 allowed, 1 denied, 0 disagreements" in text


def test_a_request_that_disagrees() -> None:
    """It counts as a packet does, in every form of the report, and says what was expected."""
    wrong = dataclasses.replace(DELETE, observed=ALLOW, status=200)
    found = dataclasses.replace(report(), requests=(GET, wrong))
    assert not found.agrees
    assert found.misjudged == (wrong,)
    text = lab_text(found)
    assert "!DELETE /x 200" in text
    assert "shop/a → shop/b (10.0.0.2) TCP 8080: DELETE /x\n    expected  Deny: the rule is shop/p egress[0]" in text
    assert "1 disagreement in" in text
    assert lab_json(found)["disagreements"] == 1


def test_somebody_else_answers() -> None:
    """A disagreement also where a denial was expected: something came through."""
    assert dataclasses.replace(DELETE, misled=True).disagrees


def test_the_document_is_what_its_schema_says() -> None:
    """What has no status and no host leaves them out."""
    document = lab_json(dataclasses.replace(report(), requests=(GET, DELETE, TLS)))
    assert complaints(document) == []
    assert [one.get("status") for one in document["requests"]] == [200, 403, None]
    assert "requests" not in lab_json(report())


def test_the_host_is_said_where_a_rule_asks_for_one() -> None:
    """Else one request stood there twice, once with 200 and once with 403."""
    mine = dataclasses.replace(GET, host="api.example.com", chosen_host=True)
    other = dataclasses.replace(mine, host="nobody.invalid", expected=DENY, observed=DENY, status=403)
    text = lab_text(dataclasses.replace(report(), requests=(mine, other)))
    assert "TCP 8080: GET /x to host api.example.com 200, GET /x to host nobody.invalid 403   " in text
