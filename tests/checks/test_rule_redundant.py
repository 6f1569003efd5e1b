"""A rule that adds nothing: the sentence; that it is exact, test_coverage holds."""

from __future__ import annotations

from outgate.testing import pod
from tests.checks.asking import ask, egress, one, pods, to

RULE = "rule-redundant"
WEB, DB = pod("shop/web", ["10.1.0.1"], app="web"), pod("shop/db", ["10.1.0.2"], app="db")


def test_who_allows_it_is_named() -> None:
    """One rule, or several that do together."""
    narrow = egress("shop/z", to(pods(app="db"), ports=[{"port": 1}, {"port": 2}]), app="web")
    found = one(RULE, WEB, DB, egress("shop/a", to(pods()), app="web"), narrow)
    assert found.message == "shop/z egress[0] adds nothing for shop/web: shop/a egress[0] allows it"
    assert found.related[0].words == "shop/a egress[0] allows all of it"
    halves = [egress(f"shop/{n}", to(pods(), ports=[{"port": n}]), app="web") for n in (1, 2)]
    found = one(RULE, WEB, DB, *halves, narrow)
    assert found.message.endswith("shop/1 egress[0], shop/2 egress[0] allow it")


def test_rules_that_allow_nothing_are_another_matter() -> None:
    """Of a selector that matches nobody there is nothing to be superfluous."""
    assert not ask(
        RULE, WEB, DB, egress("shop/a", to(pods()), app="web"), egress("shop/b", to(pods(app="x")), app="web")
    )
