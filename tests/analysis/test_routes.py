"""The ways through a Service, whether or not it has an address."""

from __future__ import annotations

import ipaddress

from outgate.analysis.routes import UNASSIGNED, routes_of
from outgate.testing import pod, service, snapshot_of


def test_a_stand_in_where_the_input_has_no_address() -> None:
    """Manifests in a repository have no clusterIP; what is behind the Service is known nevertheless."""
    made = service("a/s", "", [{"port": 80, "targetPort": 8080}], app="x")
    del made["spec"]["clusterIP"]
    snapshot = snapshot_of([pod("a/x", ["10.1.0.1"], app="x"), made])
    (only,) = snapshot.services
    assert {route.address for route in routes_of(snapshot, only)} == set(UNASSIGNED.values())


def test_node_ports_are_another_way() -> None:
    """Here it is asked what the address of the Service leads to."""
    made = service("a/s", "10.96.0.1", [{"port": 80, "targetPort": 8080, "nodePort": 30080}], app="x")
    made["spec"]["type"] = "NodePort"
    snapshot = snapshot_of([pod("a/x", ["10.1.0.1"], app="x"), made])
    (only,) = snapshot.services
    assert [route.address for route in routes_of(snapshot, only)] == [ipaddress.ip_address("10.96.0.1")]
