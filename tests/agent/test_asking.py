"""Which policies speak of names, which pods ask, and through which doors."""

from __future__ import annotations

import pytest

from outgate.agent.asking import askers, doors, uses_names
from outgate.nft.asking import ASKERS, DOORS, asker_keys, door_of
from outgate.nft.classes import Classes
from outgate.nft.options import Options
from outgate.policy import Policies
from outgate.testing import Manifest, cluster_policy, namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy

HERE = {"pods": {"podSelector": {"matchLabels": {"app": "web"}}}}
NAMES = {"action": "Accept", "to": [{"domainNames": ["www.example.com"]}]}
BLOCK = {"action": "Accept", "to": [{"networks": ["192.0.2.0/24"]}]}
PORT = {"ports": [{"port": "53", "protocol": "UDP"}], "rules": {"dns": [{"matchPattern": "*"}]}}


def cilium(**more: object) -> Manifest:
    """One of Cilium's for the pods called web."""
    return cilium_policy("shop/p", {"endpointSelector": {"matchLabels": {"app": "web"}}, **more})


@pytest.mark.parametrize(
    ("policy", "uses"),
    [
        (cluster_policy("p", subject=HERE, egress=[BLOCK, NAMES]), True),
        (cluster_policy("p", subject=HERE, egress=[BLOCK]), False),
        (cilium(egress=[{}, {"toFQDNs": [{"matchName": "www.example.com"}]}]), True),
        (cilium(egress=[{"toEndpoints": [{}], "toPorts": [PORT]}]), True),
        (cilium(egress=[{"toCIDR": ["192.0.2.0/24"]}], ingress=[{}]), False),
    ],
    ids=["domainNames", "blocks", "toFQDNs", "rules.dns", "toCIDR"],
)
def test_a_policy_that_speaks_of_names(policy: Manifest, uses: bool) -> None:
    """Missing one would leave its pods without a proxy; seeing one too many would start a process for nothing."""
    snapshot = snapshot_of([namespace("shop"), policy])
    assert uses_names([*snapshot.cluster_policies, *snapshot.cilium_policies]) is uses


def test_a_pod_asks_and_its_class_has_a_door() -> None:
    """In the families of its addresses; whom no such policy selects asks as before, and has no door."""
    manifests = [
        namespace("shop"),
        pod("shop/web", ["10.1.0.1", "fd00:1::1"], on="n", app="web"),
        pod("shop/other", ["10.1.0.2"], on="n", app="other"),
        cluster_policy("p", subject=HERE, egress=[NAMES]),
    ]
    snapshot = snapshot_of(manifests)
    classes = Classes(Policies(snapshot), Options(names=True))
    places = [(one, address) for one in snapshot.pods for address in one.addresses]
    for one, address in places:
        asks = one.name == "web"
        wanted = {(ASKERS[address.version], key): None for key in asker_keys(address)} if asks else {}
        assert askers(classes, one, address) == wanted
    found = doors(classes, places)
    for version, name in DOORS.items():
        ((key, way),) = found[name].items()
        assert way is not None
        assert key == ((door_of(way.chain),) * 2,)
        assert way.chain.startswith(f"e{version}")
