"""Policies of Cilium's that deny more than they say, or less."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.checks import Finding, Severity
from outgate.testing import Manifest, namespace, pod
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import ask, deny, egress, to

WEB, DB = pod("shop/web", ["10.0.0.1"], app="web"), pod("shop/db", ["10.0.0.2"], app="db")
METADATA = [{"toCIDR": ["169.254.169.254/32"]}]
EVERYTHING = {"toEntities": ["all"]}


def find(*more: Manifest, **spec: Any) -> list[Finding]:
    """What is said of a policy for all pods of the namespace."""
    policy = cilium_policy("shop/p", {"endpointSelector": {}} | spec)
    return ask("cilium-denies-all", namespace("shop"), WEB, DB, policy, *more)


def test_an_empty_rule_alone_is_worth_knowing() -> None:
    """It is the idiom for denying everything, and reads as the opposite to who knows NetworkPolicies."""
    (found,) = find(egress=[{}])
    assert (found.severity, found.place.path) == (Severity.INFO, "spec.egress[0]")
    assert found.message.startswith("shop/p egress[0] names neither peers nor ports: it matches nothing")
    assert found.message.endswith("and only denies by default")
    assert found.help == "whom everything is meant for is toEntities: [all]; else take it away"


def test_an_empty_rule_beside_others_does_nothing() -> None:
    """Whoever wrote it meant something by it."""
    for rules in ([EVERYTHING, {}], [{}, METADATA[0]]):
        (found,) = find(egress=rules)
        assert found.severity is Severity.WARNING
        assert found.message.endswith("and does nothing beside the others")


def test_denials_alone_close_everything() -> None:
    """They isolate; the place is the section that does it."""
    (found,) = find(egressDeny=METADATA)
    assert found.message == (
        "shop/p denies shop/db, shop/web everything, not only what it names: egressDeny isolates as well, "
        "and no policy allows anything"
    )
    assert (found.severity, found.place.path) == (Severity.WARNING, "spec.egressDeny")


@pytest.mark.parametrize(
    "more",
    [
        {"enableDefaultDeny": {"egress": False}},
        {"egress": [EVERYTHING]},
    ],
    ids=str,
)
def test_denials_beside_which_something_is_allowed(more: dict[str, Any]) -> None:
    """They do what they say."""
    assert find(egressDeny=METADATA, **more) == []


def test_denials_beside_other_policies() -> None:
    """One that allows is enough; one that isolates anyway means it."""
    other = cilium_policy("shop/q", {"endpointSelector": {}, "egress": [EVERYTHING]})
    assert find(other, egressDeny=METADATA) == []
    assert find(deny(), egressDeny=METADATA) == []
    # A NetworkPolicy for one of the pods leaves the other closed.
    (found,) = find(egress("shop/q", to(), app="web"), egressDeny=METADATA)
    assert "denies shop/db everything" in found.message


def test_asking_for_isolation_in_vain() -> None:
    """Without rules in a direction there is nothing that isolates in it."""
    (found,) = find(ingress=[{"fromEntities": ["all"]}], enableDefaultDeny={"egress": True, "ingress": True})
    assert found.message == "shop/p asks for denial by default of egress, and has no egress rules: nothing is isolated"
    assert found.place.path == "spec.enableDefaultDeny.egress"
    assert find(ingress=[{"fromEntities": ["all"]}], enableDefaultDeny={"egress": False}) == []


def test_one_of_several_specs() -> None:
    """Each stands for itself, and is found where it stands."""
    policy = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "p", "namespace": "shop"},
        "specs": [
            {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": [EVERYTHING]},
            {"endpointSelector": {"matchLabels": {"app": "db"}}, "egressDeny": METADATA},
        ],
    }
    (found,) = ask("cilium-denies-all", namespace("shop"), WEB, DB, policy)
    assert found.place.path == "specs[1].egressDeny"
    assert "denies shop/db everything" in found.message
