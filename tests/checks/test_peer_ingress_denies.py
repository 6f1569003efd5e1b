"""Egress that the other end does not let in."""

from __future__ import annotations

from outgate.testing import pod, policy
from tests.checks.asking import ask, block, egress, one, pods, to, within

RULE = "peer-ingress-denies"
WEB, DB = pod("shop/web", ["10.1.0.1"], app="web"), pod("shop/db", ["10.1.0.2"], app="db")
OUT = egress("shop/out", to(pods(app="db"), ports=[{"port": 5432}]), app="web")


def into(*rules: dict[str, object]) -> dict[str, object]:
    """An ingress policy of the database."""
    return policy("shop/in", {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": list(rules)})


def test_the_other_end_and_a_packet() -> None:
    """With the policy that does not let it in."""
    found = one(RULE, WEB, DB, OUT, into())
    assert found.message == "shop/out egress[0] lets shop/web out to shop/db, and shop/in lets none of it in"
    assert str(found.witness) == "shop/web -> shop/db:5432/TCP is dropped"
    assert found.related[0].place.path == ""


def test_another_port_is_none_of_it() -> None:
    """What is let in must be what is let out."""
    assert ask(RULE, WEB, DB, OUT, into({"ports": [{"port": 80}]}))
    assert not ask(RULE, WEB, DB, OUT, into({"ports": [{"port": 5432}]}))
    assert not ask(RULE, WEB, DB, OUT, into({"from": [pods(app="web")], "ports": [{"port": 5000, "endPort": 6000}]}))


def test_one_pair_that_passes_is_enough() -> None:
    """The rule has its use then."""
    open_one = pod("shop/db2", ["10.1.0.3"], app="db", tier="open")
    closed = policy("shop/in", {"podSelector": {"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}})
    assert ask(RULE, WEB, DB, OUT, closed)
    assert not ask(RULE, WEB, DB, open_one, OUT, closed)


def test_rules_for_nobody_in_particular() -> None:
    """Of every pod somebody is always closed."""
    for rule in (to(within("shop")), to(pods()), {}, to(pods(app="db"), block("10.0.0.0/8"))):
        assert not ask(RULE, WEB, DB, egress("shop/out", rule, app="web"), into()), rule


def test_without_either_end_there_is_no_pair() -> None:
    """And a pod alone is no pair with itself."""
    assert not ask(RULE, DB, OUT, into())
    assert not ask(RULE, WEB, OUT)
    assert not ask(RULE, DB, egress("shop/out", to(pods(app="db")), app="db"), into())
