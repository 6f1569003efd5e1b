"""The ingress controller: who it reaches, through which Services, and where a policy stops a stranger."""

from __future__ import annotations

import pytest

from outgate.analysis.connections import connections
from outgate.analysis.controller import INGRESS_CONTROLLER
from outgate.testing import Manifest, ingress, pod, policy, service, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.analysis.lists import words
from tests.analysis.shop import deployment, owned

WEB = pod("shop/web", ["10.0.0.1"], ports=[{"name": "http", "containerPort": 8080}], app="web")
SHOP = service("shop/web", "10.96.0.1", [{"name": "web", "port": 80, "targetPort": "http"}], app="web")
REACHED = ["ingress controller → shop/web: TCP 8080"]


def reached(*cluster: Manifest) -> list[str]:
    """What the controller reaches in a cluster."""
    return words(connections(snapshot_of(cluster)).from_controller)


@pytest.mark.parametrize("port", [80, "web"])
def test_through_a_service(port: int | str) -> None:
    """The Service's port, by number or name, leads to the pod's own; a template counts as its pods do."""
    assert reached(WEB, SHOP, ingress("shop/i", ("web", port))) == REACHED
    planned = deployment("shop/api", app="api")
    more = service("shop/api", "10.96.0.2", [{"name": "web", "port": 80, "targetPort": 9000}], app="api")
    assert reached(planned, more, ingress("shop/i", ("api", port))) == [
        "ingress controller → shop/Deployment/api: TCP 9000"
    ]


def test_what_leads_nowhere() -> None:
    """No such Service, no such port, nobody behind it, another namespace, UDP: nothing is reached."""
    assert reached(WEB, SHOP, ingress("shop/i", ("nobody", 80))) == []
    assert reached(WEB, SHOP, ingress("shop/i", ("web", 8080))) == []
    assert reached(SHOP, ingress("shop/i", ("web", 80))) == []
    assert reached(WEB, SHOP, ingress("other/i", ("web", 80))) == []
    dns = service("shop/web", "10.96.0.1", [{"port": 80, "protocol": "UDP"}], app="web")
    assert reached(WEB, dns, ingress("shop/i", ("web", 80))) == []
    assert reached(WEB, SHOP) == []


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        ({}, True),
        ({"ports": [{"port": 8080}]}, True),
        ({"ports": [{"port": "http"}]}, True),
        ({"ports": [{"port": 80}]}, False),
        ({"from": [{"namespaceSelector": {}}]}, True),
        ({"from": [{"namespaceSelector": {}, "podSelector": {}}]}, True),
        ({"from": [{"podSelector": {}}]}, False),
        ({"from": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]}, False),
        ({"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "nginx"}}}]}, False),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}, True),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}, False),
    ],
)
def test_a_stranger_passes_only_where_everybody_does(rule: Manifest, passes: bool) -> None:
    """Whose labels and address nobody knows must not be taken for somebody that a rule means."""
    isolated = policy("shop/p", {"ingress": [rule]})
    assert reached(WEB, SHOP, ingress("shop/i", ("web", 80)), isolated) == (REACHED if passes else [])


def test_rules_for_everybody_add_up() -> None:
    """Each lets in what it lets in."""
    rules = [{"ports": [{"port": port}]} for port in (8080, 9999)]
    assert reached(WEB, SHOP, ingress("shop/i", ("web", 80)), policy("shop/p", {"ingress": rules})) == REACHED


def test_a_node_port_is_not_the_services_own() -> None:
    """networking/v1, ServiceBackendPort.number: a port of the Service."""
    ports = [{"port": 80, "targetPort": 8080, "nodePort": 30080}]
    exposed = service("shop/web", "10.96.0.1", ports, app="web")
    assert reached(WEB, exposed, ingress("shop/i", ("web", 30080))) == []
    assert reached(WEB, exposed, ingress("shop/i", ("web", 80))) == REACHED


def test_some_pods_of_a_workload_are_behind() -> None:
    """Whichever they are: the first is nothing special."""
    pods = [owned(pod(f"shop/web-{one}", role=one), "Deployment", "web") for one in "ab"]
    for one in "ab":
        some = service("shop/web", "10.96.0.1", [{"port": 80, "targetPort": 8080}], role=one)
        assert reached(*pods, some, ingress("shop/i", ("web", 80))) == [
            "ingress controller → shop/Deployment/web: TCP 8080"
        ]


def test_it_is_on_the_list_and_has_no_name() -> None:
    """Last, with an end of its own kind."""
    found = connections(snapshot_of([WEB, SHOP, ingress("shop/i", ("web", 80))]))
    assert list(found)[-1].source is INGRESS_CONTROLLER
    assert str(INGRESS_CONTROLLER) == "ingress controller"


@pytest.mark.parametrize("more", [{}, {"type": "NodePort"}])
def test_a_service_that_has_no_address_yet(more: dict[str, str]) -> None:
    """Nobody writes a clusterIP into a manifest: the server gives it."""
    made = service("shop/web", "", [{"name": "web", "port": 80, "targetPort": "http", "nodePort": 30080}], app="web")
    del made["spec"]["clusterIP"]
    made["spec"] |= more
    assert reached(WEB, made, ingress("shop/i", ("web", 80))) == REACHED
    assert reached(WEB, made, ingress("shop/i", ("web", 30080))) == []


def test_who_lets_one_account_in_lets_no_stranger_in() -> None:
    """Of the controller nobody knows the account."""
    robot = {"io.cilium.k8s.policy.serviceaccount": "robot"}
    everywhere = {"matchExpressions": [{"key": "k8s:io.kubernetes.pod.namespace", "operator": "Exists"}]}
    for peer, found in ((everywhere, REACHED), (everywhere | {"matchLabels": robot}, [])):
        closed = cilium_policy("shop/in", {"endpointSelector": {}, "ingress": [{"fromEndpoints": [peer]}]})
        assert reached(WEB, SHOP, ingress("shop/i", ("web", 80)), closed) == found
