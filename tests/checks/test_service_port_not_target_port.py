"""The port of the Service where the port of the pod is judged."""

from __future__ import annotations

from outgate.testing import pod, policy, service
from tests.checks.asking import ask, egress, one, pods, to

RULE = "service-port-not-target-port"
DB = pod("shop/db", ["10.1.0.2"], ports=[{"containerPort": 8080, "name": "web"}], app="db")
SERVICE = service("shop/db", "10.96.0.9", [{"port": 80, "targetPort": 8080}], app="db")


def rule(port: object, **more: object) -> dict[str, object]:
    """To the database on one port."""
    return to(pods(app="db"), ports=[{"port": port, **more}])


def test_the_number_is_replaced_by_the_pods() -> None:
    """Or by the name that the Service has for it."""
    found = one(RULE, egress("shop/p", rule(80)), DB, SERVICE)
    assert "allows TCP 80, the port of Service shop/db; its pods are reached on 8080" in found.message
    assert [edit.value for edit in found.fix] == [8080]
    named = service("shop/db", "10.96.0.9", [{"port": 80, "targetPort": "web"}], app="db")
    assert [edit.value for edit in one(RULE, egress("shop/p", rule(80)), DB, named).fix] == ["web"]


def test_ingress_rules_speak_of_their_own_pods() -> None:
    """The same mistake at the other end."""
    made = policy("shop/p", {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"ports": [{"port": 80}]}]})
    assert one(RULE, made, DB, SERVICE).place.path == "spec.ingress[0].ports[0].port"


def test_a_port_that_somebody_listens_on_is_right() -> None:
    """A container port, the target of another Service, a range, another protocol, a name."""
    both = pod("shop/db", ["10.1.0.2"], ports=[{"containerPort": 8080}, {"containerPort": 80}], app="db")
    other = service("shop/plain", "10.96.0.10", [{"port": 80, "targetPort": 80}], app="db")
    assert not ask(RULE, egress("shop/p", rule(80)), both, SERVICE)
    assert not ask(RULE, egress("shop/p", rule(80)), DB, SERVICE, other)
    assert not ask(RULE, egress("shop/p", rule(8080)), DB, SERVICE)
    assert not ask(RULE, egress("shop/p", rule(80, endPort=90)), DB, SERVICE)
    assert not ask(RULE, egress("shop/p", rule(80, protocol="UDP")), DB, SERVICE)
    assert not ask(RULE, egress("shop/p", rule("web")), DB, SERVICE)


def test_two_targets_are_for_people_to_choose() -> None:
    """No machine knows which of them is meant."""
    other = service("shop/admin", "10.96.0.10", [{"port": 80, "targetPort": 9090}], app="db")
    assert one(RULE, egress("shop/p", rule(80)), DB, SERVICE, other).fix == ()


def test_other_services_and_headless_ones() -> None:
    """A Service of other pods or of another namespace says nothing, and a headless one translates nothing."""
    far = service("data/db", "10.96.0.9", [{"port": 80, "targetPort": 8080}], app="db")
    headless = service("shop/db", "None", [{"port": 80, "targetPort": 8080}], app="db")
    assert not ask(RULE, egress("shop/p", rule(80)), DB, far)
    assert not ask(RULE, egress("shop/p", rule(80)), DB, headless)
