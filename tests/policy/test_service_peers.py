"""Which Services a selector stands for before translation, and which of their ports a policy's ports mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from outgate.model import Direction, LabelSelector, Snapshot
from outgate.packets import Protocol, TransportSet
from outgate.policy import PodMatch, Policies
from outgate.policy.profile import AWS_VPC_CNI
from outgate.policy.rules import PortMatch, rules_of
from outgate.policy.service_peers import ServicePeers
from outgate.testing import Manifest, pod, policy, service, snapshot_of
from tests.policy.asking import TOWN, Asked, ask

EVERYWHERE = LabelSelector()
WEB = LabelSelector.of({"app": "web"})


def headless(path: str, **selector: str) -> Manifest:
    """A Service without an address of its own."""
    return service(path, "None", [{"port": 80}], **selector)


def covered(match: PodMatch, *services: Manifest) -> set[str]:
    """The Services among these that a selector stands for, in the town."""
    town = [one for one in TOWN if one["kind"] != "Service"]
    return {str(one) for one in ServicePeers(snapshot_of([*town, *services])).covered(match)}


def test_selector_of_the_service_is_a_set_of_labels() -> None:
    """One that selects by as many labels as the policy, or more, is covered; one that selects by fewer is not."""
    services = [
        service("shop/equal", "10.96.5.1", [{"port": 80}], app="web"),
        service("shop/more", "10.96.5.2", [{"port": 80}], app="web", ver="v1"),
        service("shop/fewer", "10.96.5.3", [{"port": 80}], ver="v1"),
        service("shop/none", "10.96.5.4", [{"port": 80}]),
    ]
    assert covered(PodMatch("shop", None, WEB), *services) == {"shop/equal", "shop/more"}
    # An empty selector is satisfied by no labels at all.
    every = PodMatch("shop", None, EVERYWHERE)
    assert covered(every, *services) == {"shop/equal", "shop/more", "shop/fewer", "shop/none"}


def test_services_of_the_peers_namespaces_alone() -> None:
    """As with pods: the policy's own namespace, or those that the selector names."""
    services = [service(f"{space}/web", f"10.96.5.{n}", [{"port": 80}], app="web") for n, space in NAMED]
    assert covered(PodMatch("shop", None, WEB), *services) == {"shop/web"}
    blue = PodMatch(None, LabelSelector.of({"team": "blue"}), WEB)
    assert covered(blue, *services) == {"data/web"}
    assert covered(PodMatch(None, EVERYWHERE, WEB), *services) == {"shop/web", "data/web"}


NAMED = ((1, "shop"), (2, "data"))


def test_neither_headless_nor_external() -> None:
    """They have no address that anybody could dial."""
    external = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "external", "namespace": "shop"},
        "spec": {"type": "ExternalName", "externalName": "db.example.com", "selector": {"app": "web"}},
    }
    assert covered(PodMatch("shop", None, WEB), headless("shop/headless", app="web"), external) == set()


# Pods of shop: web (http 8080), api (http 9090, metrics 9100), and two more that disagree about "mixed".
BEHIND = [
    pod("shop/m1", ["10.1.0.41"], app="mixed", ports=[{"name": "mixed", "containerPort": 7000}]),
    pod("shop/m2", ["10.1.0.42"], app="mixed", ports=[{"name": "mixed", "containerPort": 7001}]),
]
PORTS = [
    # The Service port, the ports of the policy, and whether the Service port is opened.
    ("a number is the target", {"port": 80, "targetPort": 8080}, [{"port": 8080}], "web", True),
    ("a number is not the Service's own", {"port": 80, "targetPort": 8080}, [{"port": 80}], "web", False),
    ("without a target it is both", {"port": 80}, [{"port": 80}], "web", True),
    ("a range around the target", {"port": 80, "targetPort": 8080}, [{"port": 8000, "endPort": 9000}], "web", True),
    ("the protocol must agree", {"port": 80, "targetPort": 8080}, [{"port": 8080, "protocol": "UDP"}], "web", False),
    ("a name is the target's", {"port": 80, "targetPort": "http"}, [{"port": "http"}], "web", True),
    ("another name is not", {"port": 80, "targetPort": "http"}, [{"port": "metrics"}], "web", False),
    ("a name of the target number", {"port": 80, "targetPort": 8080}, [{"port": "http"}], "web", True),
    ("a name of another number", {"port": 80, "targetPort": 8081}, [{"port": "http"}], "web", False),
    ("a number behind a name", {"port": 80, "targetPort": "http"}, [{"port": 8080}], "web", True),
    ("a number that one pod gives the name", {"port": 80, "targetPort": "mixed"}, [{"port": 7000}], "mixed", False),
    ("all that the pods give it", {"port": 80, "targetPort": "mixed"}, [{"port": 7000}, {"port": 7001}], "mixed", True),
    ("the ambiguous name itself", {"port": 80, "targetPort": "mixed"}, [{"port": "mixed"}], "mixed", True),
    ("a name that nobody has", {"port": 80, "targetPort": "http"}, [{"port": 8080}], "nobody", False),
    ("all of a protocol", {"port": 80, "targetPort": 8080}, [{}], "web", True),
    ("all of another", {"port": 80, "targetPort": 8080}, [{"protocol": "UDP"}], "web", False),
]


def opened(port: Mapping[str, Any], ports: list[dict[str, Any]], app: str) -> tuple[Snapshot, TransportSet]:
    """What policy ports open of one Service of shop."""
    spec = {"policyTypes": ["Egress"], "egress": [{"to": [{"podSelector": {}}], "ports": ports}]}
    town = [one for one in TOWN if one["kind"] != "Service"]
    made = service("shop/one", "10.96.5.1", [port], app=app)
    snapshot = snapshot_of([*town, *BEHIND, made, policy("shop/p", spec)])
    (rule,) = rules_of(snapshot.policies[0], Direction.EGRESS)
    (one,) = snapshot.services
    return snapshot, ServicePeers(snapshot).opened(one, rule.ports)


@pytest.mark.parametrize(("port", "ports", "app", "expected"), [one[1:] for one in PORTS], ids=[p[0] for p in PORTS])
def test_ports(port: dict[str, Any], ports: list[dict[str, Any]], app: str, expected: bool) -> None:
    """E4: policies name pod ports, and what is dialled is the Service's."""
    snapshot, found = opened(port, ports, app)
    assert found.contains(Protocol.TCP, 80) == expected
    asked = Asked("shop/plain", "ip:10.96.5.1", port=80)
    if app not in {"nobody", "mixed"}:
        assert (ask(snapshot, asked, AWS_VPC_CNI).egress.verdict.allows) == expected


def test_opened_is_exact() -> None:
    """The port of the Service and no other; without ports, everything; a whole protocol as it stands."""
    _, found = opened({"port": 80, "targetPort": 8080}, [{"port": 8080}], "web")
    assert found == TransportSet.ports(Protocol.TCP, 80)
    snapshot, whole = opened({"port": 80, "targetPort": 8080}, [{}, {"port": 53, "protocol": "UDP"}], "web")
    assert whole == TransportSet.protocol(Protocol.TCP)
    assert ServicePeers(snapshot).opened(snapshot.services[0], None) == TransportSet.any()
    nothing = PortMatch(TransportSet())
    assert not ServicePeers(snapshot).opened(snapshot.services[0], nothing)


def test_decisions_have_the_addresses_of_services() -> None:
    """Before translation they are what a pod sends to; after it nobody ever sees them."""
    rule = {"to": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": 8080}]}
    snapshot = snapshot_of([*TOWN, policy("shop/p", {"policyTypes": ["Egress"], "egress": [rule]})])
    (made,) = rules_of(snapshot.policies[0], Direction.EGRESS)
    (front,) = snapshot.services[-1].cluster_ips
    before, after = Policies(snapshot, AWS_VPC_CNI), Policies(snapshot)
    assert before.packets_of(made).transports(front) == TransportSet.ports(Protocol.TCP, 80)
    assert not after.packets_of(made).transports(front)


def test_ingress_knows_no_services() -> None:
    """A Service sends nothing."""
    rule = {"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}
    snapshot = snapshot_of([*TOWN, policy("shop/p", {"policyTypes": ["Ingress"], "ingress": [rule]})])
    (made,) = rules_of(snapshot.policies[0], Direction.INGRESS)
    (front,) = snapshot.services[-1].cluster_ips
    assert not Policies(snapshot, AWS_VPC_CNI).packets_of(made).transports(front)
