"""A namespace selector by a label that nobody sets."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.testing import Manifest, cluster_policy, namespace, pod, policy
from tests.checks.asking import ask, cilium, egress, one, to, within
from tests.checks.needs import mended

RULE = "namespace-label-missing"


def by(**labels: str) -> dict[str, object]:
    """A peer by labels of namespaces."""
    return {"namespaceSelector": {"matchLabels": labels}}


def test_the_name_is_another_label() -> None:
    """The key is renamed, and nothing else."""
    found = one(RULE, egress("shop/p", to(by(name="data"))), namespace("data"))
    assert found.place.path == "spec.egress[0].to[0].namespaceSelector.matchLabels.name"
    assert [(edit.place.path, edit.key) for edit in found.fix] == [(found.place.path, "kubernetes.io/metadata.name")]


@pytest.mark.parametrize("more", [{"kubernetes.io/metadata.name": "data"}, {"ns": "data"}])
def test_no_key_is_written_twice(more: dict[str, str]) -> None:
    """The right label may stand beside it, or two that are taken for it: the server would refuse what is left."""
    assert all(not found.fix for found in ask(RULE, egress("shop/p", to(by(name="data", **more))), namespace("data")))


def test_a_label_that_somebody_sets_is_right() -> None:
    """On any namespace of the input, whatever its value; so is the one that the server sets."""
    assert not ask(RULE, egress("shop/p", to(by(name="data"))), namespace("data"), namespace("old", name="old"))
    assert not ask(RULE, egress("shop/p", to(within("data"))))


def test_other_labels_are_judged_where_the_namespaces_are_in_the_input() -> None:
    """Without them nobody knows what labels there are."""
    assert not ask(RULE, egress("shop/p", to(by(team="a"))), pod("data/db"))
    found = one(RULE, egress("shop/p", to(by(team="a"))), namespace("data", owner="b"))
    assert "owner" in found.help
    assert found.fix == ()


def test_what_a_selector_shuts_out_needs_no_label() -> None:
    """NotIn and DoesNotExist match where the label is missing."""
    peer = {"namespaceSelector": {"matchExpressions": [{"key": "name", "operator": "NotIn", "values": ["x"]}]}}
    assert not ask(RULE, egress("shop/p", to(peer)), namespace("data"))


def test_expressions_are_found_and_left_to_people() -> None:
    """Of an expression the key cannot be changed alone as surely."""
    peer = {"namespaceSelector": {"matchExpressions": [{"key": "name", "operator": "In", "values": ["data"]}]}}
    found = one(RULE, egress("shop/p", to(peer)), namespace("data"))
    assert (found.place.path, found.fix) == ("spec.egress[0].to[0].namespaceSelector", ())


def test_ingress_rules_are_looked_at_too() -> None:
    """Both directions select namespaces."""
    made = policy("shop/p", {"podSelector": {}, "ingress": [{"from": [by(name="data")]}]})
    assert one(RULE, made, namespace("data")).place.path.startswith("spec.ingress[0].from[0]")


SPACE: dict[str, Any] = {"matchLabels": {"name": "data"}}
PODS: dict[str, Any] = {"pods": {"namespaceSelector": SPACE, "podSelector": {}}}


def tier(peer: dict[str, Any], action: str = "Accept") -> Manifest:
    """A policy of the cluster with this peer."""
    return cluster_policy("p", egress=[{"action": action, "to": [peer]}])


@pytest.mark.parametrize(
    ("peer", "path"),
    [({"namespaces": SPACE}, "namespaces"), (PODS, "pods.namespaceSelector")],
    ids=["namespaces", "pods"],
)
def test_policies_of_the_cluster(peer: dict[str, Any], path: str) -> None:
    """Both forms of a peer; a denial is not mended, for that closes something."""
    found = one(RULE, tier(peer), namespace("data"))
    assert found.place.path == f"spec.egress[0].to[0].{path}.matchLabels.name"
    assert mended(RULE, tier(peer), namespace("data"))[0] == []
    assert one(RULE, tier(peer, "Deny"), namespace("data")).fix == ()


def test_subjects_of_policies_of_the_cluster() -> None:
    """A policy for no namespace is for nobody; whom it is to be for is not for a machine to say."""
    rule = {"action": "Deny", "to": [{"namespaces": {}}]}
    found = one(RULE, cluster_policy("p", subject={"namespaces": SPACE}, egress=[rule]), namespace("data"))
    assert found.message == "ClusterNetworkPolicy p selects namespaces by the label name, which no namespace has"
    assert (found.place.path, found.fix) == ("spec.subject.namespaces.matchLabels.name", ())


def test_selectors_of_ciliums_say_it_in_their_own_words() -> None:
    """There the name has a label of its own, which is right; one of the namespace's labels is missing as ever."""
    right = {"k8s:io.kubernetes.pod.namespace": "data"}
    wrong = {"k8s:io.cilium.k8s.namespace.labels.name": "data"}
    assert not ask(RULE, cilium("shop/p", {"toEndpoints": [{"matchLabels": right}]}), namespace("data"))
    found = one(RULE, cilium("shop/p", {"toEndpoints": [{"matchLabels": wrong}]}), namespace("data"))
    assert (found.place.path, found.fix) == ("spec.egress[0].toEndpoints[0]", ())
    assert "k8s:io.kubernetes.pod.namespace" in found.help
