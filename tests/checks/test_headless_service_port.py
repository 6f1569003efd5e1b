"""A headless Service whose port is not the pod's."""

from __future__ import annotations

from outgate.testing import pod, service
from tests.checks.asking import ask, one

RULE = "headless-service-port"
DB = pod("shop/db", ["10.1.0.2"], app="db")


def test_each_port_that_would_have_to_be_translated() -> None:
    """Found at its place."""
    ports = [{"name": "a", "port": 1, "targetPort": 1}, {"name": "b", "port": 80, "targetPort": 8080}]
    found = one(RULE, DB, service("shop/db", "None", ports, app="db"))
    assert found.message == "Service shop/db is headless, so nothing translates its port 80 to 8080"
    assert found.place.path == "spec.ports[1]"


def test_services_that_translate_and_ports_by_name() -> None:
    """With an address all is well; a name may be any number."""
    assert not ask(RULE, DB, service("shop/db", "10.96.0.1", [{"port": 80, "targetPort": 8080}], app="db"))
    assert not ask(RULE, DB, service("shop/db", "None", [{"port": 80, "targetPort": "web"}], app="db"))
    assert not ask(RULE, DB, service("shop/db", "None", [{"port": 80}], app="db"))
