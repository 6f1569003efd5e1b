"""Workloads that no policy limits."""

from __future__ import annotations

from outgate.testing import namespace, pod, policy
from tests.checks.asking import ask, deny, egress, one, words

RULE = "no-default-deny"
WEB, DB = pod("shop/web", ["10.1.0.1"], app="web"), pod("shop/db", ["10.1.0.2"], app="db")


def test_one_finding_for_a_namespace() -> None:
    """At its object, where there is one; else at the workload."""
    found = one(RULE, WEB, DB, namespace("shop"))
    assert (
        found.message == "in namespace shop no workload is isolated for egress: shop/db, shop/web may reach everything"
    )
    assert (found.subject.kind, found.subject.name) == ("Namespace", "shop")
    assert one(RULE, WEB).place.document is not found.place.document


def test_who_is_left_is_named() -> None:
    """Not those that a policy limits, and a policy for ingress limits no egress."""
    ingress = policy("shop/in", {"podSelector": {}})
    assert words(RULE, WEB, DB, egress("shop/p", app="web"), ingress) == [
        "in namespace shop not every workload is isolated for egress: shop/db may reach everything"
    ]


def test_all_is_well() -> None:
    """With a default deny; in namespaces of the cluster; where only pods on the host network are."""
    assert not ask(RULE, WEB, DB, deny())
    assert not ask(RULE, pod("kube-system/coredns", ["10.1.0.9"]), namespace("empty"))
    assert not ask(RULE, pod("monitoring/agent", ["192.168.50.11"], host_network=True))
