"""Rules that another decides before, always."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.checks import Finding, Severity, Survey, load
from outgate.model import Direction
from outgate.testing import Manifest, cluster_policy, namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import ask, egress, to
from tests.laws.test_cilium import drawn
from tests.laws.test_tiers import tiered

SHOP: list[Manifest] = [namespace("shop"), pod("shop/web", ["10.0.0.1"], app="web"), pod("shop/db", ["10.0.0.2"])]
WIDE, NARROW = "203.0.113.0/24", "203.0.113.128/25"


def net(action: str, *blocks: str) -> dict[str, Any]:
    """A rule of a tier for blocks outside."""
    return {"action": action, "to": [{"networks": list(blocks)}]}


def find(*cluster: Manifest) -> list[Finding]:
    """What is found in the shop."""
    return ask("rule-shadowed", *SHOP, *cluster)


def test_a_denial_behind_what_accepts() -> None:
    """It closes nothing, which is what a warning is for; the other way round both have a say."""
    (found,) = find(cluster_policy("p", egress=[net("Accept", WIDE), net("Deny", NARROW)]))
    assert found.severity is Severity.WARNING
    assert found.message == (
        "ClusterNetworkPolicy p egress[1] never has a say for shop/db, shop/web: all that it speaks of is decided "
        "before, by ClusterNetworkPolicy p egress[0]"
    )
    assert found.place.path == "spec.egress[1]"
    assert found.help == "put it before, or make the other narrower"
    assert find(cluster_policy("p", egress=[net("Deny", NARROW), net("Accept", WIDE)])) == []


def test_what_is_decided_alike_is_worth_knowing() -> None:
    """Nothing comes of it but confusion."""
    (found,) = find(cluster_policy("p", egress=[net("Deny", WIDE), net("Deny", NARROW)]))
    assert (found.severity, found.help) == (Severity.INFO, "take it away")


def test_an_allowance_behind_a_denial_of_ciliums() -> None:
    """Deny wins over every allow, whichever policy has it; of two denials neither is before the other."""
    spec = {"endpointSelector": {}, "egress": [{"toCIDR": [NARROW]}], "egressDeny": [{"toCIDR": [WIDE]}]}
    (found,) = find(cilium_policy("shop/p", spec))
    assert found.message.startswith("shop/p egress[0] never has a say for shop/db, shop/web")
    assert found.help == "a denial counts wherever it stands: make it narrower, or take this away"
    both = {"endpointSelector": {}, "egressDeny": [{"toCIDR": [WIDE]}, {"toCIDR": [NARROW]}]}
    assert find(cilium_policy("shop/p", both)) == []
    (found,) = find(cilium_policy("shop/p", both), egress("shop/q", to({"ipBlock": {"cidr": NARROW}})))
    assert found.message.startswith("shop/q egress[0]")


def test_the_baseline_behind_isolation() -> None:
    """Only where every pod that it is about is isolated."""
    tier = cluster_policy("b", tier="Baseline", egress=[net("Deny", WIDE)])
    assert find(tier) == []
    assert find(tier, egress("shop/q", to({"ipBlock": {"cidr": WIDE}}), app="web")) == []
    (found,) = find(tier, egress("shop/q", to({"ipBlock": {"cidr": WIDE}})))
    assert found.message.endswith("is decided before, by shop/q egress[0]")
    assert found.help.startswith("the Baseline tier is for pods that no policy isolates")


def test_a_rule_that_speaks_for_some_pods() -> None:
    """A denial that is about others of the pods that it selects does not take its say for the rest."""
    below = egress("shop/p", to({"podSelector": {}}))
    subject = {"pods": {"podSelector": {"matchLabels": {"app": "web"}}}}
    denial = {"action": "Deny", "to": [{"namespaces": {}}]}
    assert find(below, cluster_policy("q", subject=subject, egress=[denial])) == []
    (found,) = find(below, cluster_policy("q", egress=[denial]))
    assert found.message.startswith("shop/p egress[0] never has a say for shop/db, shop/web:")


def test_a_workload_is_named_once() -> None:
    """However many entries of ports a rule of Cilium's has."""
    entries = [
        {"ports": [{"port": port, "protocol": "TCP"}], "rules": {"http": [{"method": method}]}}
        for port, method in (("80", "GET"), ("81", "POST"))
    ]
    spec = {
        "endpointSelector": {"matchLabels": {"app": "web"}},
        "egress": [{"toEntities": ["world"], "toPorts": entries}],
        "egressDeny": [{"toEntities": ["world"]}],
    }
    (found,) = find(cilium_policy("shop/c", spec))
    assert "never has a say for shop/web:" in found.message


def test_what_is_passed_on_is_not_decided() -> None:
    """The next tier is asked, and has its say."""
    passing = cluster_policy("p", egress=[net("Pass", WIDE)])
    assert find(passing, egress("shop/q", to({"ipBlock": {"cidr": NARROW}}))) == []


def test_names_lead_anywhere() -> None:
    """A denial of some addresses leaves the others; one of all leaves none."""
    named = {"toFQDNs": [{"matchName": "api.example.com"}]}
    spec = {"endpointSelector": {}, "egress": [named]}
    assert find(cilium_policy("shop/p", spec | {"egressDeny": [{"toCIDR": [WIDE]}]})) == []
    (found,) = find(cilium_policy("shop/p", spec | {"egressDeny": [{"toEntities": ["world"]}]}))
    assert found.message.startswith("shop/p egress[0]")


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_without_a_rule_that_is_found_nothing_changes(seed: int) -> None:
    """Over random clusters: take each such rule away, and every pod may what it might."""
    manifests = tiered(seed) if seed % 2 else drawn(seed).manifests
    before = _passing(manifests)
    for found in load("rule-shadowed").find(Survey(snapshot_of(manifests))):
        without = _without(manifests, found)
        if without is not None:
            assert _passing(without) == before, (seed, found.message)


def _passing(manifests: list[Manifest]) -> dict[object, object]:
    survey = Survey(snapshot_of(manifests))
    return {
        (pod.key, direction): survey.policies.decision(pod, direction).allowed()
        for pod in survey.snapshot.endpoints
        if pod.addresses and not pod.host_network
        for direction in Direction
    }


def _without(manifests: list[Manifest], found: Finding) -> list[Manifest] | None:
    """The manifests without the rule; None where its section would be empty, which says another thing."""
    made = copy.deepcopy(manifests)
    subject = found.subject
    for one in made:
        name = one["metadata"].get("namespace", ""), one["metadata"]["name"]
        if (one["kind"], *name) == (subject.kind, subject.namespace, subject.name):
            value: Any = one
            *steps, last = _rule(found)
            for step in steps:
                value = value[step]
            if len(value) < 2:
                return None
            del value[last]
    return made


def _rule(found: Finding) -> list[Any]:
    """The path of the rule that an entry of ports belongs to."""
    path = list(found.place.at)
    last = max(place for place, step in enumerate(path[:4]) if isinstance(step, int))
    return path[: last + 1]
