"""Ports without a destination."""

from __future__ import annotations

from outgate.checks import Severity
from outgate.testing import pod
from tests.checks.asking import DNS_PORTS, ask, egress, one, pods, to

RULE = "ports-without-to"
WEB = pod("shop/web", ["10.1.0.1"], app="web")


def test_the_web_is_an_error_and_other_ports_a_warning() -> None:
    """For the one is found everywhere, and the other is not."""
    found = one(RULE, WEB, egress("shop/p", {"ports": [{"port": 443}]}))
    assert found.severity is Severity.ERROR
    assert found.witness is not None
    assert (found.witness.packet.coordinate, found.witness.passes) == (443, True)
    assert one(RULE, WEB, egress("shop/p", {"ports": [{"port": 5432}]})).severity is Severity.WARNING


def test_ranges_and_whole_protocols_are_wide() -> None:
    """Whatever is in them."""
    for entry in ({"port": 1, "endPort": 9}, {"protocol": "TCP"}):
        found = one(RULE, WEB, egress("shop/p", {"ports": [entry]}))
        assert found.severity is Severity.ERROR
    assert "TCP every port" in found.message


def test_many_ports_are_counted() -> None:
    """A sentence has an end."""
    ports = [{"port": number} for number in range(1000, 1010)]
    assert one(RULE, WEB, egress("shop/p", {"ports": ports})).message.endswith("TCP 1003 and 6 more")


def test_somebody_is_named_or_it_is_dns_or_everything() -> None:
    """Which are other matters."""
    assert not ask(RULE, WEB, egress("shop/p", to(pods(app="db"), ports=[{"port": 443}])))
    assert not ask(RULE, WEB, egress("shop/p", {"ports": DNS_PORTS}))
    assert not ask(RULE, WEB, egress("shop/p", {}))
    without = egress("shop/p", {"ports": [{"port": 443}]})
    without["spec"]["policyTypes"] = ["Ingress"]
    assert not ask(RULE, WEB, without)
