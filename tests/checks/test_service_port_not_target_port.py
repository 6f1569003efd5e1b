"""The port of the Service where the port of the pod is judged."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.testing import Manifest, cluster_policy, pod, policy, service
from tests.checks.asking import ask, cilium, egress, entry, one, pods, to
from tests.checks.needs import mended

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


def test_what_others_may_have_is_for_people_to_change() -> None:
    """A block would have another port open and this one closed; a pod of no such Service may listen here."""
    to_block = {"ipBlock": {"cidr": "203.0.113.0/24"}}
    assert one(RULE, egress("shop/p", to(pods(app="db"), to_block, ports=[{"port": 80}])), DB, SERVICE).fix == ()
    other = pod("shop/other", ["10.1.0.3"], app="other")
    everybody = egress("shop/p", to(pods(), ports=[{"port": 80}]))
    assert one(RULE, everybody, DB, other, SERVICE).fix == ()
    assert len(one(RULE, everybody, DB, SERVICE).fix) == 1


@pytest.mark.parametrize(
    ("whom", "mends"),
    [({}, 0), ({"from": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}, 0), ({"from": [{"podSelector": {}}]}, 1)],
)
def test_no_other_port_is_opened_to_the_internet(whom: dict[str, object], mends: int) -> None:
    """Which an ingress rule for anybody lets in, as one for a block does."""
    spec = {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{**whom, "ports": [{"port": 80}]}]}
    assert len(one(RULE, policy("shop/p", spec), DB, SERVICE).fix) == mends


def test_other_services_and_headless_ones() -> None:
    """A Service of other pods or of another namespace says nothing, and a headless one translates nothing."""
    far = service("data/db", "10.96.0.9", [{"port": 80, "targetPort": 8080}], app="db")
    headless = service("shop/db", "None", [{"port": 80, "targetPort": 8080}], app="db")
    assert not ask(RULE, egress("shop/p", rule(80)), DB, far)
    assert not ask(RULE, egress("shop/p", rule(80)), DB, headless)


TO_DB = {"toEndpoints": [{"matchLabels": {"app": "db"}}]}
BEHIND = {"toServices": [{"k8sService": {"serviceName": "db", "namespace": "shop"}}]}


def tier(action: str = "Accept") -> Manifest:
    """A policy of the cluster for the port of the Service."""
    peer = {"pods": {"podSelector": {"matchLabels": {"app": "db"}}}}
    ports = [{"tcp": {"destinationPort": {"number": 80}}}]
    return cluster_policy("p", egress=[{"action": action, "to": [peer], "protocols": ports}])


@pytest.mark.parametrize(
    ("made", "path", "written"),
    [
        (cilium("shop/p", TO_DB | entry(80)), ("spec", "egress", 0, "toPorts", 0, "ports", 0, "port"), "8080"),
        (cilium("shop/p", BEHIND | entry(80, "ANY")), ("spec", "egress", 0, "toPorts", 0, "ports", 0, "port"), "8080"),
        (tier(), ("spec", "egress", 0, "protocols", 0, "tcp", "destinationPort", "number"), 8080),
    ],
    ids=["by labels", "by Service", "of the cluster"],
)
def test_rules_of_other_kinds_are_mended(made: Manifest, path: tuple[str | int, ...], written: object) -> None:
    """In the text: Cilium's ports stay texts, those of the cluster numbers; nothing is found any more."""
    assert "TCP 80, the port of Service shop/db" in one(RULE, made, DB, SERVICE).message
    left, after = mended(RULE, made, DB, SERVICE)
    assert left == []
    value: Any = after[0]
    for step in path:
        value = value[step]
    assert value == written


def test_what_denies_is_found_and_left_to_people() -> None:
    """It denies nothing, and whoever mends it closes something."""
    for made, verb in (
        (cilium("shop/p", denied=(TO_DB | entry(80),)), "denies"),
        (tier("Deny"), "denies"),
        (tier("Pass"), "passes on"),
    ):
        found = one(RULE, made, DB, SERVICE)
        assert f" {verb} TCP 80, the port of Service shop/db" in found.message
        assert found.fix == ()


def test_a_name_has_no_place_where_numbers_stand() -> None:
    """Of the cluster's policies a name is another form of port."""
    named = service("shop/db", "10.96.0.9", [{"port": 80, "targetPort": "web"}], app="db")
    assert one(RULE, tier(), DB, named).fix == ()
    assert [edit.value for edit in one(RULE, cilium("shop/p", TO_DB | entry(80)), DB, named).fix] == ["web"]
