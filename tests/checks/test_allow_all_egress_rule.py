"""A rule that lets everything out."""

from __future__ import annotations

from typing import Any

from outgate.testing import cluster_policy, pod, policy
from tests.checks.asking import ask, block, cilium, deny, egress, entry, net, one, to

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


def test_everything_in_policies_of_ciliums() -> None:
    """An entity; beside a denial it is how all but something is said, and an empty rule is the very opposite."""
    everything = {"toEntities": ["all"]}
    found = one(RULE, WEB, cilium("shop/p", everything))
    assert (found.place.path, found.witness is not None) == ("spec.egress[0]", True)
    assert not ask(RULE, WEB, cilium("shop/p", everything, denied=({"toCIDR": ["203.0.113.0/24"]},)))
    assert not ask(RULE, WEB, cilium("shop/p", denied=(everything,)))
    smaller: list[dict[str, Any]] = [{}, everything | entry(80), {"toEndpoints": [{}]}, {"toEntities": ["world"]}]
    for less in smaller:
        assert not ask(RULE, WEB, cilium("shop/p", less))
    assert not ask(RULE, WEB, cilium("shop/p", everything | {"icmps": [{"fields": [{"type": 8}]}]}))


def test_everything_in_a_tier() -> None:
    """Above NetworkPolicies, and of both families; below them it is so without the rule."""
    both = ("0.0.0.0/0", "::/0")
    found = one(RULE, WEB, deny(), cluster_policy("p", egress=[net("Accept", *both)]))
    assert (
        found.message
        == "ClusterNetworkPolicy p egress[0] lets shop/web reach everything, and no NetworkPolicy is asked"
    )
    assert found.help.startswith("let it Pass")
    assert not ask(RULE, WEB, cluster_policy("p", tier="Baseline", egress=[net("Accept", *both)]))
    assert not ask(RULE, WEB, cluster_policy("p", egress=[net("Accept", "0.0.0.0/0")]))
    for action in ("Deny", "Pass"):
        assert not ask(RULE, WEB, cluster_policy("p", egress=[net(action, *both)]))
