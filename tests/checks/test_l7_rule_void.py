"""Conditions that another rule makes void."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.checks import Finding
from outgate.testing import Manifest, namespace, node, pod, policy
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import ask

SHOP: list[Manifest] = [
    namespace("shop"),
    pod("shop/web", ["10.0.0.1"], app="web"),
    pod("shop/api", ["10.0.0.2"], app="api"),
    pod("shop/db", ["10.0.0.3"], app="db"),
]
API, DB = {"toEndpoints": [{"matchLabels": {"app": "api"}}]}, {"toEndpoints": [{"matchLabels": {"app": "db"}}]}
HTTP, DNS = {"http": [{"method": "GET"}]}, {"dns": [{"matchName": "a.example"}]}


def on(port: int, rules: dict[str, Any] | None = None, end: int = 0, **more: Any) -> dict[str, Any]:
    """The ports of an entry, perhaps on a condition."""
    ports = [{"port": str(port), "protocol": "TCP"} | ({"endPort": end} if end else {})]
    return {"toPorts": [{"ports": ports} | ({"rules": rules} if rules else {}) | more]}


def find(*egress: dict[str, Any], more: list[Manifest] | None = None) -> list[Finding]:
    """What is found for pods of the web."""
    spec = {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": list(egress)}
    return ask("l7-rule-void", *SHOP, cilium_policy("shop/p", spec), *(more or []))


def test_a_wider_rule_makes_it_void() -> None:
    """With both places."""
    (found,) = find(API | on(80, HTTP), {"toEndpoints": [{}]})
    assert found.message == (
        "shop/p egress[0] asks for requests, and shop/p egress[1] lets shop/web through to some of the same without: "
        "there the condition is void"
    )
    assert found.place.path == "spec.egress[0]"
    assert [one.words for one in found.related] == ["shop/p egress[1] asks for nothing"]


def test_a_policy_of_another_kind_makes_it_void() -> None:
    """A NetworkPolicy knows nothing of conditions."""
    rule = {"to": [{"podSelector": {"matchLabels": {"app": "api"}}}], "ports": [{"port": 80}]}
    other = policy("shop/q", {"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]})
    (found,) = find(API | on(80, HTTP), more=[other])
    assert "shop/q egress[0] lets shop/web through" in found.message


@pytest.mark.parametrize(
    "other",
    [DB | on(80), API | on(81), API | on(80, HTTP), API | on(81, end=90)],
    ids=["another peer", "another port", "a condition too", "a range beside it"],
)
def test_rules_with_nothing_in_common(other: dict[str, Any]) -> None:
    """What the one leaves out, the other may let through as it likes."""
    assert find(API | on(80, HTTP), other) == []


def test_ports_meet_in_a_range() -> None:
    """One of many is enough."""
    assert len(find(API | on(80, HTTP), API | on(70, end=90))) == 1


def test_names_meet_by_their_patterns_and_wherever_they_lead() -> None:
    """A rule for an address outside may be one for where the name leads."""
    named = {"toFQDNs": [{"matchName": "api.example.com"}]} | on(80, HTTP)
    for other in ({"toFQDNs": [{"matchPattern": "*.example.com"}]}, {"toEntities": ["world"]}):
        assert len(find(named, other)) == 1
    assert find(named, {"toFQDNs": [{"matchPattern": "*.example.net"}]}) == []


def test_no_name_opens_a_node() -> None:
    """A rule about the node has nothing in common with one about names; one about what is outside has."""
    named = {"toFQDNs": [{"matchName": "a.example"}]} | on(443, HTTP)
    nodes = [node("n1", ["192.168.50.1"]), node("n2", ["192.168.50.2"])]
    for entities in (["host"], ["remote-node", "host"]):
        assert not find(named, {"toEntities": entities}, more=nodes)
    assert find(named, {"toEntities": ["world"]}, more=nodes)


def test_what_only_leads_questions_to_where_they_are_heard() -> None:
    """Asking for any name at all is no condition that anything could make void."""
    plain = API | {"toPorts": [{"ports": [{"port": "53", "protocol": "UDP"}]}]}
    for name, count in (("*", 0), ("*.example.com", 1)):
        entry = {"ports": [{"port": "53", "protocol": "UDP"}], "rules": {"dns": [{"matchPattern": name}]}}
        assert len(find(API | {"toPorts": [entry]}, plain)) == count


def test_nobody_whom_it_is_about() -> None:
    """A policy that selects no pod has nothing that could be void."""
    spec = {"endpointSelector": {"matchLabels": {"app": "gone"}}, "egress": [API | on(80, HTTP), API]}
    assert ask("l7-rule-void", *SHOP, cilium_policy("shop/p", spec)) == []


def test_an_entry_beside_it_is_not_called_the_same_rule() -> None:
    """That egress[0] asks and egress[0] lets through tells nobody where to look."""
    entries = [*on(80, HTTP)["toPorts"], *on(80)["toPorts"]]
    (found,) = find(API | {"toPorts": entries})
    assert found.message.startswith(
        "shop/p egress[0] asks for requests, and another entry of its toPorts lets shop/web "
    )
    assert found.related == ()
    assert "the other entry" in found.help
