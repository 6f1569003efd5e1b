"""A policy that changes nothing."""

from __future__ import annotations

from outgate.testing import pod, policy
from tests.checks.asking import ask, deny, egress, one, pods, to

RULE = "policy-redundant"
WEB, DB = pod("shop/web", ["10.1.0.1"], app="web"), pod("shop/db", ["10.1.0.2"], app="db")
TO_DB = to(pods(app="db"))


def test_what_stays_is_named() -> None:
    """The first of two that are alike, or the default deny of one without rules."""
    found = one(RULE, WEB, DB, egress("shop/a", TO_DB, app="web"), egress("shop/b", TO_DB, app="web"))
    assert found.message == (
        "shop/b changes nothing for shop/web: they are isolated by shop/a, and no rule of it adds anything"
    )
    assert "isolated by shop/default-deny" in one(RULE, WEB, DB, deny(), egress("shop/x", app="web")).message


def test_whoever_isolates_alone_is_needed() -> None:
    """In each direction, and for each of its workloads."""
    assert not ask(RULE, WEB, DB, egress("shop/x", app="web"))
    both = policy("shop/x", {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress", "Ingress"]})
    assert not ask(RULE, WEB, DB, deny(), both)
    several = {"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}, "policyTypes": ["Egress"]}
    found = one(RULE, WEB, DB, egress("shop/a", app="web"), policy("shop/b", several))
    assert found.subject.name == "a", "the other isolates the database too"


def test_whoever_allows_something_more_is_needed() -> None:
    """One rule is enough."""
    assert not ask(RULE, WEB, DB, deny(), egress("shop/x", TO_DB, app="web"))


def test_policies_for_everybody_and_for_nobody() -> None:
    """The ones are for pods to come, and of the others another check speaks."""
    found = ask(RULE, WEB, DB, egress("shop/a", app="web"), egress("shop/b", app="db"), deny())
    assert [each.subject.name for each in found] == ["a", "b"], "the default deny is superfluous now, and stays"
    assert not ask(RULE, WEB, DB, deny(), egress("shop/x", app="nobody"))
