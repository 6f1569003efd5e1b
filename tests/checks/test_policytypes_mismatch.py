"""Policy types that do not say what the rules mean."""

from __future__ import annotations

from typing import Any

from outgate.checks import Severity
from outgate.testing import Manifest, pod, policy
from tests.checks.asking import ask, one, pods, to

RULE = "policytypes-mismatch"
WEB = pod("shop/web", ["10.1.0.1"], app="web")


def made(**spec: Any) -> Manifest:
    """A policy for all pods of the shop."""
    return policy("shop/p", {"podSelector": {}, **spec})


def test_rules_of_a_type_that_is_not_named() -> None:
    """In both directions."""
    found = one(RULE, WEB, made(policyTypes=["Ingress"], egress=[to(pods(app="db"))]))
    assert (found.place.path, found.severity, found.fix) == ("spec.egress", Severity.ERROR, ())
    found = one(RULE, WEB, made(policyTypes=["Egress"], ingress=[{}]))
    assert found.message.startswith("shop/p has ingress rules, and policyTypes does not name Ingress")


def test_egress_rules_alone_close_ingress() -> None:
    """A warning, and what it means now can be written down."""
    found = one(RULE, WEB, made(egress=[to(pods(app="db"))]))
    assert (found.severity, found.message) == (
        Severity.WARNING,
        "shop/p has egress rules and no policyTypes, so it also closes ingress to shop/web",
    )
    assert [(edit.key, edit.value) for edit in found.fix] == [("policyTypes", ["Egress", "Ingress"])]


def test_an_empty_list_isolates_nothing() -> None:
    """Only with the type is it a deny of everything."""
    assert "closes no egress" in one(RULE, WEB, made(egress=[])).message
    assert not ask(RULE, WEB, made(policyTypes=["Egress"], egress=[]))


def test_what_is_said_is_meant() -> None:
    """Types that fit, and policies for ingress that say nothing else."""
    assert not ask(RULE, WEB, made(policyTypes=["Ingress", "Egress"], egress=[{}]))
    assert not ask(RULE, WEB, made(ingress=[{}]))
    assert not ask(RULE, WEB, made(ingress=[{}], egress=[{}]))
    assert not ask(RULE, WEB, made())
