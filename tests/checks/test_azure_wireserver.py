"""Azure's WireServer within a wide rule."""

from __future__ import annotations

from typing import Any

from outgate.testing import Manifest, cluster_policy, node, pod
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import DNS_PORTS, ask, block, egress, one, to

RULE = "azure-wireserver"
WEB = pod("shop/web", ["10.1.0.1"], app="web")
AKS = node("aks-1", ["192.168.50.1"], **{"kubernetes.azure.com/cluster": "prod"})


def test_the_internet_contains_it() -> None:
    """On the ports that it has."""
    found = one(RULE, WEB, AKS, egress("shop/p", to(block("0.0.0.0/0", "169.254.0.0/16"))))
    assert str(found.witness) == "shop/web -> 168.63.129.16:80/TCP passes"


def test_elsewhere_it_is_an_address_like_any_other() -> None:
    """Without nodes of Azure nothing is said."""
    assert not ask(RULE, WEB, node("n", ["192.168.50.1"]), egress("shop/p", to(block("0.0.0.0/0"))))


def test_names_are_asked_for_there() -> None:
    """Port 53 is to stay open, and 443 has nothing."""
    assert not ask(RULE, WEB, AKS, egress("shop/p", to(block("0.0.0.0/0"), ports=[*DNS_PORTS, {"port": 443}])))
    assert ask(RULE, WEB, AKS, egress("shop/p", {"ports": [{"port": 32526}]}))


def test_policies_of_other_kinds() -> None:
    """As they are decided: a denial is before, and a condition that its paths do not meet lets nothing through."""

    def of_cilium(**more: Any) -> Manifest:
        return cilium_policy("shop/p", {"endpointSelector": {}, "egress": [{"toEntities": ["world"]} | more]})

    found = one(RULE, WEB, AKS, of_cilium())
    assert found.message == "shop/p egress[0] lets shop/web reach Azure's WireServer at 168.63.129.16"
    assert str(found.witness) == "shop/web -> 168.63.129.16:80/TCP passes"
    ports = [{"port": "80", "protocol": "TCP"}]
    assert not ask(RULE, WEB, AKS, of_cilium(toPorts=[{"ports": ports, "rules": {"http": [{"path": "/v1/.*"}]}}]))
    assert not ask(RULE, WEB, AKS, of_cilium(toPorts=[{"ports": ports, "serverNames": ["a.example"]}]))
    tier = cluster_policy("a", egress=[{"action": "Accept", "to": [{"networks": ["0.0.0.0/0"]}]}])
    assert "ClusterNetworkPolicy a egress[0]" in one(RULE, WEB, AKS, tier).message
    denied = cluster_policy("b", priority=1, egress=[{"action": "Deny", "to": [{"networks": ["168.63.129.16/32"]}]}])
    assert not ask(RULE, WEB, AKS, tier, denied)
    assert not ask(RULE, WEB, AKS, of_cilium(), denied)
