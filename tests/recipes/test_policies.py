"""Policies as manifests."""

from __future__ import annotations

from outgate.recipes import Asked
from outgate.recipes.policies import Said, admin_policy, network_policy, subject


def test_types_are_the_sections() -> None:
    """Always written: what is left out would be implied. Comments stand at their rules."""
    rules = [Said({"to": [{"podSelector": {}}]}), Said({"to": []}, ("why",))]
    found = network_policy(Asked(namespace="shop"), "x", egress=rules)
    assert found.value["spec"] == {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {}}]}, {"to": []}],
    }
    assert found.value["metadata"] == {"name": "x", "namespace": "shop"}
    assert found.comments == {("spec", "egress", 1): ("why",)}


def test_no_rules_deny() -> None:
    """And no namespace is written where none was given."""
    found = network_policy(Asked(), "x", egress=(), ingress=(), ignored={"rule": "why"})
    assert found.value["spec"] == {"podSelector": {}, "policyTypes": ["Egress", "Ingress"]}
    assert found.value["metadata"] == {"name": "x", "annotations": {"ignore.outgate.dev/rule": "why"}}


def test_whom_it_is_for() -> None:
    """Everybody, unless told otherwise."""
    assert not subject(Asked())
    assert str(subject(Asked(selector="app=web"))) == "app=web"


def test_the_admin_tier_has_ingress_only_where_it_is_meant() -> None:
    """An empty list would be refused by some servers."""
    found = admin_policy("x", 5, {"namespaces": {}}, egress=[{"action": "Deny"}], head=("first",))
    assert found.value["spec"] == {
        "tier": "Admin",
        "priority": 5,
        "subject": {"namespaces": {}},
        "egress": [{"action": "Deny"}],
    }
    assert found.head[0] == "first"
