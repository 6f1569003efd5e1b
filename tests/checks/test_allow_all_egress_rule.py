"""A rule that lets everything out."""

from __future__ import annotations

from outgate.testing import pod, policy
from tests.checks.asking import ask, block, deny, egress, one, to

RULE = "allow-all-egress-rule"
WEB = pod("shop/web", ["10.1.0.1"], app="web")


def test_what_it_undoes_is_named() -> None:
    """The default deny beside it, and not the policies of other pods."""
    found = one(RULE, WEB, deny(), egress("shop/all", {}, app="web"), egress("shop/db", app="db"))
    assert found.message == "shop/all egress[0] lets shop/web reach everything"
    assert [related.words for related in found.related] == [
        "shop/default-deny isolates the same pods, and limits nothing beside it"
    ]
    assert found.witness is not None
    assert found.witness.passes


def test_selecting_nobody_it_waits() -> None:
    """It is still said, without a packet."""
    found = one(RULE, WEB, egress("shop/all", {}, app="nobody"))
    assert (found.message, found.witness) == ("shop/all egress[0] lets pods app=nobody of shop reach everything", None)


def test_anything_less_is_less() -> None:
    """Ports, peers, or the other direction."""
    assert not ask(RULE, WEB, egress("shop/p", {"ports": [{"port": 1}]}, to(block("0.0.0.0/0"))))
    assert not ask(RULE, WEB, policy("shop/p", {"podSelector": {}, "ingress": [{}]}))
