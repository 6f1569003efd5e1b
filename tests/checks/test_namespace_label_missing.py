"""A namespace selector by a label that nobody sets."""

from __future__ import annotations

from outgate.testing import namespace, pod, policy
from tests.checks.asking import ask, egress, one, to, within

RULE = "namespace-label-missing"


def by(**labels: str) -> dict[str, object]:
    """A peer by labels of namespaces."""
    return {"namespaceSelector": {"matchLabels": labels}}


def test_the_name_is_another_label() -> None:
    """The key is renamed, and nothing else."""
    found = one(RULE, egress("shop/p", to(by(name="data"))), namespace("data"))
    assert found.place.path == "spec.egress[0].to[0].namespaceSelector.matchLabels.name"
    assert [(edit.place.path, edit.key) for edit in found.fix] == [(found.place.path, "kubernetes.io/metadata.name")]


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
