"""Groups, Services and nodes of Cilium's rules that are not there, as `selector-matches-nothing` says them."""

from __future__ import annotations

import pytest

from outgate.checks import Severity
from outgate.testing import Manifest, namespace, node, pod, service
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import ask

RULE = "selector-matches-nothing"
API = pod("shop/api", ["10.1.0.1"], app="api")


@pytest.mark.parametrize("section", ["egress", "egressDeny"])
def test_things_of_cilium_that_are_not_there(section: str) -> None:
    """A denial of a name that is mistyped denies nothing, and Cilium says nothing of it."""
    group = {"apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup", "metadata": {"name": "bad-networks"}}
    there = [group | {"spec": {"externalCIDRs": ["203.0.113.0/24"]}}, service("shop/pg", "10.96.0.9", [{"port": 1}])]
    there.append(node("n1", ["192.168.50.1"], disk="ssd"))

    def said(peers: Manifest, *manifests: Manifest) -> list[tuple[str, str, Severity]]:
        policy = cilium_policy("shop/p", {"endpointSelector": {}, section: [peers]})
        found = ask(RULE, namespace("shop"), API, policy, *manifests)
        return [(one.message.partition("nobody: ")[2], one.help, one.severity) for one in found]

    named = {"toCIDRSet": [{"cidrGroupRef": "bad-netwroks"}]}
    assert said(named, *there) == [
        ("there is no CiliumCIDRGroup bad-netwroks", "there is bad-networks", Severity.WARNING)
    ]
    assert said(named) == [], "the input has no groups at all"
    assert said({"toCIDRSet": [{"cidrGroupRef": "bad-networks"}]}, *there) == []
    labelled = {"toCIDRSet": [{"cidrGroupSelector": {"matchLabels": {"x": "y"}}}]}
    assert [one[0] for one in said(labelled, *there)] == ["no CiliumCIDRGroup has x=y"]
    to_service = {"toServices": [{"k8sService": {"serviceName": "pgx", "namespace": "shop"}}]}
    assert said(to_service, *there) == [("there is no Service shop/pgx", "there is shop/pg", Severity.WARNING)]
    assert said({"toNodes": [{"matchLabels": {"disk": "sdd"}}]}, *there) == [
        ("no Node has disk=sdd", "there is disk=ssd", Severity.WARNING)
    ]
    assert said({"toNodes": [{"matchLabels": {"disk": "ssd"}}]}, *there) == []
