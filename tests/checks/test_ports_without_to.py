"""Ports without a destination."""

from __future__ import annotations

from typing import Any

from outgate.checks import Severity
from outgate.testing import Manifest, pod
from outgate.testing_cilium import cilium_policy
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


def of_cilium(*ports: dict[str, Any], section: str = "egress", **more: Any) -> Manifest:
    """A rule for ports and nobody."""
    return cilium_policy("shop/p", {"endpointSelector": {}, section: [{"toPorts": [{"ports": list(ports)} | more]}]})


def test_rules_of_cilium() -> None:
    """As with NetworkPolicies, with what denials leave; without the pod as well."""
    web, other = {"port": "443", "protocol": "TCP"}, {"port": "5432", "protocol": "TCP"}
    found = one(RULE, WEB, of_cilium(web))
    assert found.message == "shop/p egress[0] names ports and nobody: shop/web may reach every address on TCP 443"
    assert found.severity is Severity.ERROR
    assert found.place.path == "spec.egress[0].toPorts"
    assert str(found.witness).endswith(":443/TCP passes")
    assert one(RULE, WEB, of_cilium(other)).severity is Severity.WARNING
    assert "ANY every port" in one(RULE, of_cilium({"port": "0"})).message
    deny = cilium_policy("shop/q", {"endpointSelector": {}, "egressDeny": [{"toEntities": ["world"]}]})
    for pods_ in ([WEB], []):
        assert not ask(RULE, *pods_, of_cilium(web), deny)


def test_rules_of_cilium_that_are_for_somebody() -> None:
    """By names or requests, for DNS, and denials."""
    web = {"port": "443", "protocol": "TCP"}
    assert not ask(RULE, WEB, of_cilium(web, serverNames=["a.example"]))
    assert not ask(RULE, WEB, of_cilium({"port": "80", "protocol": "TCP"}, rules={"http": [{"host": "a.example"}]}))
    assert not ask(RULE, WEB, of_cilium({"port": "53", "protocol": "ANY"}))
    assert not ask(RULE, WEB, of_cilium(web, section="egressDeny"))
