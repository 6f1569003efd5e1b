"""What checks look at: workloads by the policies that isolate them, and who is to blame."""

from __future__ import annotations

import pytest

from outgate.checks.survey import Survey, by_blamed, isolation_place, some, subject_of
from outgate.model import Direction
from outgate.policy.rules import origin_of
from outgate.testing import namespace, pod, policy, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import deny, egress, pods, to

WEB, DB = pod("shop/web", ["10.1.0.1"], app="web"), pod("shop/db", ["10.1.0.2"], app="db")


def test_workloads_under_the_same_policies_are_one_question() -> None:
    """However many they are; who is under none is not there."""
    survey = Survey(
        snapshot_of([WEB, DB, pod("free/x", ["10.1.0.9"]), deny(), egress("shop/p", to(pods()), app="web")])
    )
    found = {str(one.groups[0]): [str(policy) for policy in one.policies] for one in survey.isolated(Direction.EGRESS)}
    assert found == {"shop/db": ["shop/default-deny"], "shop/web": ["shop/default-deny", "shop/p"]}
    assert survey.isolated(Direction.INGRESS) == ()
    assert [(str(policy), len(many)) for policy, many in by_blamed(survey.isolated(Direction.EGRESS))] == [
        ("shop/default-deny", 2)
    ]


def test_whom_a_policy_selects_in_words() -> None:
    """Its workloads, or its selector."""
    survey = Survey(snapshot_of([WEB, egress("shop/a", app="web"), egress("shop/b", app="x"), deny("data/c")]))
    assert [survey.whom(one) for one in survey.snapshot.policies] == [
        "every pod of data",
        "shop/web",
        "pods app=x of shop",
    ]


def test_the_rule_that_an_origin_names() -> None:
    """An origin of a whole policy names none."""
    survey = Survey(snapshot_of([WEB, egress("shop/a", to(pods()), {})]))
    (mine,) = survey.snapshot.policies
    assert str(survey.section_of(origin_of(mine, Direction.EGRESS, 1))) == "shop/a egress[1]"
    with pytest.raises(KeyError):
        survey.section_of(origin_of(mine, Direction.EGRESS))


def test_where_a_policy_says_its_direction() -> None:
    """The section, else the types, else the selector."""
    specs: list[dict[str, object]] = [
        {"podSelector": {}, "policyTypes": ["Egress"], "egress": []},
        {"podSelector": {}, "policyTypes": ["Egress"]},
        {"podSelector": {}},
    ]
    made = snapshot_of([policy(f"shop/{number}", spec) for number, spec in enumerate(specs)]).policies
    assert [isolation_place(one, Direction.EGRESS).path for one in made] == [
        "spec.egress",
        "spec.policyTypes",
        "spec.podSelector",
    ]
    assert str(subject_of(made[0])) == "NetworkPolicy shop/0"


def test_names_are_counted_beyond_a_few() -> None:
    """A sentence has an end."""
    assert some([1, 2, 3]) == "1, 2, 3"
    assert some([1, 2, 3, 4, 5]) == "1, 2, 3 and 2 more"


def test_whom_policies_of_cilium_isolate() -> None:
    """They are isolated like others; the union of rules is all that counts only where they are silent."""
    spec = {"endpointSelector": {"matchLabels": {"app": "web"}}, "egressDeny": [{"toEntities": ["world"]}]}
    survey = Survey(
        snapshot_of(
            [
                namespace("shop"),
                pod("shop/web", ["10.0.0.1"], labels={"app": "web"}),
                pod("shop/db", ["10.0.0.2"], labels={"app": "db"}),
                policy("shop/deny", {"podSelector": {}, "policyTypes": ["Egress"]}),
                cilium_policy("shop/p", spec),
            ]
        )
    )
    isolated = {
        str(one.groups[0]): [str(policy) for policy in one.policies] for one in survey.isolated(Direction.EGRESS)
    }
    assert isolated == {"shop/web": ["shop/deny", "shop/p"], "shop/db": ["shop/deny"]}
    assert [str(one.groups[0]) for one in survey.united(Direction.EGRESS)] == ["shop/db"]
    both = next(one for one in survey.isolated(Direction.EGRESS) if len(one.policies) > 1)
    assert [str(one) for one in both.own] == ["shop/deny"]
    places = [isolation_place(one, Direction.EGRESS).path for one in both.policies]
    assert places == ["spec.policyTypes", "spec.egressDeny"]
