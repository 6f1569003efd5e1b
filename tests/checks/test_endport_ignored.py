"""Ranges of ports: what is left of them where nobody reads the second number."""

from __future__ import annotations

from typing import Any

from outgate.checks import Severity
from outgate.testing import policy
from tests.checks.asking import ask, block, egress, one, to

RULE = "endport-ignored"


def test_what_is_left_is_named() -> None:
    """Of every range of a policy, in one finding, which is no reason to fail."""
    ports: list[dict[str, Any]] = [
        {"port": 80},
        {"port": 100, "endPort": 200},
        {"protocol": "UDP", "port": 5000, "endPort": 5009},
    ]
    finding = one(RULE, egress("shop/p", to(block("192.0.2.0/24"), ports=ports)))
    assert finding.message == (
        "shop/p allows TCP 100-200, UDP 5000-5009; a network plugin that does not know endPort allows "
        "TCP 100, UDP 5000 alone"
    )
    assert finding.place.path == "spec.egress[0].ports[1]"
    assert finding.severity is Severity.INFO


def test_both_directions() -> None:
    """An ingress rule loses as much."""
    spec = {"podSelector": {}, "ingress": [{"ports": [{"port": 1, "endPort": 2}]}]}
    assert "shop/p allows TCP 1-2;" in one(RULE, policy("shop/p", spec)).message


def test_where_nothing_is_lost() -> None:
    """A range of one port, no range, a rule that does not count."""
    assert not ask(
        RULE, egress("shop/p", {"ports": [{"port": 80, "endPort": 80}, {"port": "http"}, {"protocol": "UDP"}]})
    )
    assert not ask(RULE, egress("shop/p", {}, {"to": []}))
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "egress": [{"ports": [{"port": 1, "endPort": 2}]}]}
    assert not ask(RULE, policy("shop/p", spec))
