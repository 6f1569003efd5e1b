"""The document TestReport, against its schema."""

from __future__ import annotations

import dataclasses

import pytest

from outgate.report import assertions_json as module
from outgate.report.assertions_json import assertions_json
from tests.report.outcomes import covered, some
from tests.report.schema import complaints


def test_it_keeps_to_its_schema() -> None:
    """With and without coverage, for what holds and what fails, with open points and without."""
    for document in (assertions_json(some()), assertions_json(some(), covered()), assertions_json(())):
        assert complaints(document) == []


def test_a_failure_has_its_witness() -> None:
    """Enough to ask can-reach the same question."""
    document = assertions_json(some(0, 1))
    assert (document["passed"], document["failed"]) == (1, 1)
    good, bad = document["assertions"]
    assert "failure" not in good
    assert (bad["name"], bad["because"], bad["verb"], bad["file"], bad["line"]) == (
        "no database",
        "it is secret",
        "deny",
        "tests.yaml",
        5,
    )
    assert bad["failure"]["packet"] == {
        "source": "10.1.0.11",
        "destination": "10.1.1.20",
        "protocol": "TCP",
        "port": 5432,
    }
    assert (bad["failure"]["wanted"], bad["failure"]["verdict"]) == ("Deny", "Allow")
    assert bad["failure"]["egress"]["decidedBy"]["name"] == "to-db"
    assert bad["failure"]["more"][0]["destination"] == {"kind": "Pod", "namespace": "data", "name": "lone"}


def test_a_pod_without_an_address_has_none_in_the_packet() -> None:
    """A stand-in is nobody's real address; and ICMP has no port."""
    (found,) = assertions_json(some(4))["assertions"]
    assert found["failure"]["packet"] == {
        "source": None,
        "destination": "10.1.1.20",
        "protocol": "ICMP",
        "port": None,
    }
    assert found["specified"] is False
    assert found["openPoints"] != []


def test_further_pairs_are_counted_where_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document of a hundred thousand pairs is read by nobody."""
    monkeypatch.setattr(module, "MOST_PAIRS_SHOWN", 1)
    (outcome,) = some(1)
    assert outcome.failure is not None
    many = dataclasses.replace(outcome, failure=dataclasses.replace(outcome.failure, more=outcome.failure.more * 3))
    document = assertions_json([many])
    (found,) = document["assertions"]
    assert (len(found["failure"]["more"]), found["failure"]["moreLeftOut"]) == (1, 2)
    assert complaints(document) == []


def test_coverage_names_what_is_missing() -> None:
    """An isolation is an origin without a rule."""
    found = assertions_json(some(0), covered())["coverage"]
    assert (found["total"], found["exercised"], found["percent"]) == (5, 2, 40.0)
    assert [(one["direction"], one["origin"]["name"], one["origin"]["rule"]) for one in found["missing"]] == [
        ("Ingress", "db-in", None),
        ("Egress", "to-db", None),
        ("Egress", "to-db", 1),
    ]
