"""An exception that another rule undoes."""

from __future__ import annotations

from outgate.testing import pod
from tests.checks.asking import ask, block, egress, one, pods, to

RULE = "except-undone"
WEB = pod("shop/web", ["10.1.0.1"], app="web")
INTERNET = egress("shop/internet", to(block("0.0.0.0/0", "10.0.0.0/8", "169.254.0.0/16")))


def test_what_is_reached_all_the_same() -> None:
    """Exactly: the part of the exception that the other rule covers, on ports of both."""
    found = one(RULE, WEB, INTERNET, egress("shop/wide", to(block("8.0.0.0/6"), ports=[{"port": 5432}])))
    assert found.message.endswith("and shop/wide egress[0] lets shop/web reach 10.0.0.0/8 all the same")
    assert str(found.witness) == "shop/web -> 10.0.0.0:5432/TCP passes"
    assert found.place.path == "spec.egress[0].to[0].ipBlock.except"


def test_a_rule_for_anybody_undoes_every_exception() -> None:
    """Of the same policy as well."""
    found = one(RULE, WEB, egress("shop/p", to(block("0.0.0.0/0", "10.0.0.0/8")), {"ports": [{"port": 443}]}))
    assert "shop/p egress[1] lets shop/web reach 10.0.0.0/8" in found.message


def test_the_other_half_of_a_plan() -> None:
    """A block within the exception was written for just these addresses, and a selector for just these pods."""
    assert not ask(RULE, WEB, INTERNET, egress("shop/p", to(block("10.96.0.0/12"))))
    assert not ask(RULE, WEB, INTERNET, egress("shop/p", to(pods(app="db"))))


def test_ports_that_have_nothing_in_common() -> None:
    """The exception was for the ports of its own rule."""
    https = egress("shop/internet", to(block("0.0.0.0/0", "10.0.0.0/8"), ports=[{"port": 443}]))
    assert not ask(RULE, WEB, https, egress("shop/p", to(block("8.0.0.0/6"), ports=[{"port": 5432}])))
    assert (
        len(ask(RULE, WEB, https, egress("shop/p", to(block("8.0.0.0/6"), ports=[{"port": 1, "endPort": 443}])))) == 1
    )


def test_policies_of_other_pods() -> None:
    """They do not add up."""
    db = egress("shop/wide", to(block("8.0.0.0/6")), app="db")
    assert not ask(RULE, WEB, egress("shop/web", *INTERNET["spec"]["egress"], app="web"), db, pod("shop/db", app="db"))
