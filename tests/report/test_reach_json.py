"""The document Reachability: the shape that is published, for every kind of answer."""

from __future__ import annotations

import json

import pytest

from outgate.policy import PROFILES, Judge, Policies, Profile
from outgate.report import reach_json as reach_json_module
from outgate.report.reach_json import reach_json
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, ask, deployment, judge_of
from tests.report.schema import complaints

ALWAYS = ["apiVersion", "kind", "source", "destination", "packet", "verdict", "specified", "egress", "ingress"]

QUESTIONS = [
    ("shop/web-1", "data/db:5432", None),
    ("shop/web-1", "data/db:80", None),
    ("shop/web-1", "data/db", None),
    ("shop/web-1", "data/db", "ICMP"),
    ("shop/web-1", "data/db", "47"),
    ("shop/rs/web", "data/db:sql", None),
    ("shop/web-1", "svc/data/db:5000", None),
    ("shop/web-1", "svc/data/db", None),
    ("shop/web-1", "svc/data/empty:80", None),
    ("shop/web-1", "svc/data/empty", None),
    ("shop/web-1", "203.0.113.0/24:443", None),
    ("shop/web-1", "0.0.0.0/0", None),
    ("shop/web-1", "[2001:db8::1]:443", None),
    ("198.51.100.0/24", "data/db:5432", None),
    ("node/node-a", "data/db:5432", None),
    ("shop/web-1", "shop/planned:80", None),
    ("shop/web-1", "data/agent", None),
]


@pytest.mark.parametrize(("source", "destination", "protocol"), QUESTIONS)
def test_every_answer_keeps_to_the_schema(source: str, destination: str, protocol: str | None) -> None:
    """A tool that reads the document breaks where a field is missing, renamed or of another type."""
    judge = judge_of(EGRESS_TO_DB, INGRESS_OF_DB)
    document = json.loads(json.dumps(reach_json(ask(judge, source, destination, protocol=protocol))))
    assert complaints(document) == []
    assert list(document)[: len(ALWAYS)] == ALWAYS


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize(("source", "destination", "protocol"), QUESTIONS)
def test_every_answer_names_its_profile(source: str, destination: str, protocol: str | None, profile: Profile) -> None:
    """A verdict of another plugin that is taken for ours is a wrong verdict."""
    judge = Judge(Policies(judge_of(EGRESS_TO_DB, INGRESS_OF_DB).policies.snapshot, profile))
    document = json.loads(json.dumps(reach_json(ask(judge, source, destination, protocol=protocol))))
    assert complaints(document) == []
    assert document.get("profile", "outgate") == profile.name
    assert ("profile" in document) == (profile.name != "outgate")


def test_the_shape_of_a_denial() -> None:
    """The fields of the contract, with the values that a reader checks first."""
    document = reach_json(ask(judge_of(EGRESS_TO_DB), "shop/web-1", "data/db:80"))
    assert document["source"] == {"kind": "Pod", "namespace": "shop", "name": "web-1"}
    assert document["packet"] == {"protocol": "TCP", "port": 80, "address": "10.1.1.20"}
    assert (document["verdict"], document["specified"]) == ("Deny", True)
    assert document["egress"]["decidedBy"]["name"] == "to-db"
    assert document["ingress"] == {
        "verdict": "Allow",
        "isolated": False,
        "decidedBy": None,
        "reason": "no policy selects data/db for ingress",
    }
    assert [one["rule"]["rule"] for one in document["hints"]] == [0]
    assert "flows" not in document


def test_stand_in_addresses_are_not_shown() -> None:
    """A pod without an address has none; ours would be looked for in the cluster."""
    document = reach_json(ask(judge_of(deployment("data/also", app="x")), "shop/web-1", "shop/planned:80"))
    assert document["packet"]["address"] is None
    several = reach_json(ask(judge_of(), "shop/rs/web", "shop/planned:80"))
    assert [one["packet"]["address"] for one in several["flows"]] == [None, None]


def test_services_show_both_sides_of_the_translation() -> None:
    """What the client dials and what policy sees are two packets."""
    document = reach_json(ask(judge_of(), "shop/web-1", "svc/data/db:5000"))
    assert document["packet"] == {"protocol": "TCP", "port": 5000, "address": "10.96.0.1"}
    (flow,) = document["flows"]
    assert flow["packet"] == {"protocol": "TCP", "port": 5432, "address": "10.1.1.20"}


def test_many_flows_are_cut_and_counted_with_denials_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document of a million flows helps nobody; one that hides the denied ones misleads."""
    monkeypatch.setattr(reach_json_module, "MOST_FLOWS_SHOWN", 1)
    document = reach_json(ask(judge_of(EGRESS_TO_DB), "shop/web-1", "203.0.113.0/24:443"))
    assert [one["verdict"] for one in document["flows"]] == ["Deny"]
    assert document["flowsLeftOut"] == 1
    assert document["some"] == {"allowed": ["203.0.113.0/25"], "denied": ["203.0.113.128/25"]}
    assert complaints(document) == []


def test_the_check_finds_something() -> None:
    """If the structural check passed everything, the tests above would say nothing."""
    document = reach_json(ask(judge_of(), "shop/web-1", "data/db:80"))
    assert complaints(document | {"verdict": "Maybe"}) != []
    assert complaints(document | {"more": 1}) != []
    assert complaints({key: value for key, value in document.items() if key != "egress"}) != []
    assert complaints(document | {"packet": document["packet"] | {"port": True}}) != []
    assert complaints(document | {"egress": document["egress"] | {"decidedBy": {"name": 1}}}) != []
