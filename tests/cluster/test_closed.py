"""A policy that cannot be understood closes what it selects, in its direction, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.cluster.closed import closed_cluster_policy, closed_policy
from outgate.model import Direction, LabelSelector, NodePeer, PodPeer, UnknownPeer
from outgate.model.labels import EVERYTHING
from outgate.testing import cluster_policies, cluster_policy
from tests.cluster.following import meant

OUT, IN = Direction.EGRESS, Direction.INGRESS
BOTH = frozenset({OUT, IN})
WEB = {"matchLabels": {"app": "web"}}
POLICY: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "p", "namespace": "shop", "uid": "1-2-3", "labels": {"a": "b"}, "annotations": {"c": "d"}},
    "spec": {
        "podSelector": {**WEB, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": 53}]}],
        "ingress": [{"from": [{"podSelector": WEB, "namespaceSelector": {}}]}],
    },
}


@pytest.mark.parametrize(
    ("spec", "pods", "types"),
    [
        ({"podSelector": WEB, "policyTypes": ["Egress"], "egress": 5}, LabelSelector.of({"app": "web"}), {OUT}),
        ({"podSelector": WEB, "policyTypes": ["Ingress"]}, LabelSelector.of({"app": "web"}), {IN}),
        ({"podSelector": WEB, "policyTypes": ["Sideways"]}, LabelSelector.of({"app": "web"}), BOTH),
        ({"podSelector": WEB, "policyTypes": ["Egress", 5]}, LabelSelector.of({"app": "web"}), BOTH),
        ({"podSelector": {"matchLabels": 5}, "policyTypes": ["Egress"]}, EVERYTHING, {OUT}),
        ({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}, EVERYTHING, {IN}),
        ({"podSelector": "web", "policyTypes": "Egress"}, EVERYTHING, BOTH),
        ({"podSelector": WEB, "egress": "yes"}, LabelSelector.of({"app": "web"}), BOTH),
        ({"podSelector": WEB, "egress": [{"to": 5}]}, LabelSelector.of({"app": "web"}), BOTH),
        ({"podSelector": WEB, "egress": []}, LabelSelector.of({"app": "web"}), {IN}),
        ({"podSelector": WEB, "policyTypes": 0}, LabelSelector.of({"app": "web"}), BOTH),
        (None, EVERYTHING, {IN}), ({}, EVERYTHING, {IN}), ("spec", EVERYTHING, BOTH), ([], EVERYTHING, BOTH),
    ],
)  # fmt: skip
def test_what_can_be_read_is_kept(spec: object, pods: LabelSelector, types: set[Direction]) -> None:
    """Its own pods, its own direction; where that is not known, all pods of the namespace, and both."""
    made = closed_policy({"metadata": {"uid": "1-2-3"}, "spec": spec}, "shop", "p", "cluster:x/p")
    assert (made.namespace, made.name, made.uid, made.place.file) == ("shop", "p", "1-2-3", "cluster:x/p")
    assert (made.pods, set(made.types)) == (pods, types)
    assert (made.egress, made.ingress) == ((), ())


JUNK: st.SearchStrategy[object] = st.sampled_from([None, "", "x", 0, -1, True, [], {}, [5], {"a": 5}, "10.0.0.0/99"])


def places(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place below the top."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for step, one in pairs for place in ((*at, step), *places(one, (*at, step)))]


@given(st.lists(st.tuples(st.sampled_from(places(POLICY["spec"])), JUNK), max_size=3))
def test_a_good_policy_is_never_wider_closed_than_open(changes: list[tuple[tuple[str | int, ...], object]]) -> None:
    """Of every policy that can be read the stand-in has selector and types; of others there always is one."""
    policy = copy.deepcopy(POLICY)
    for path, to in changes:
        here: Any = policy["spec"]
        try:
            for step in path[:-1]:
                here = here[step]
            here[path[-1]] = to
        except (KeyError, IndexError, TypeError):
            continue
    made = closed_policy(policy, "shop", "p", "x")
    read: Any = meant(policy)
    assert (made.egress, made.ingress) == ((), ())
    if read is not None:
        assert (made.pods, made.uid) == (read.pods, read.uid)
        assert made.types >= read.types
        if policy["spec"].get("policyTypes"):
            assert made.types == read.types


def test_a_cluster_policy_keeps_what_can_be_read() -> None:
    """Even where its metadata cannot: the name is all that it needs; and it is never only watched."""
    value = cluster_policy("p", subject={"namespaces": WEB}, egress=[{"action": "Deny", "to": [{"nodes": {}}]}])
    value["metadata"] |= {"uid": "1-2-3", "labels": 5, "annotations": {"outgate.dev/enforcement": "audit"}}
    version, kind = value["apiVersion"], value["kind"]
    made = closed_cluster_policy(value, version, kind, "p", "cluster:x/p")
    assert (made.name, made.uid, made.annotations, made.place.file) == ("p", "1-2-3", {}, "cluster:x/p")
    assert made.subject == PodPeer(EVERYTHING, LabelSelector.of({"app": "web"}))
    assert [(one.action, one.peers) for one in made.egress] == [("Deny", (NodePeer(EVERYTHING),))]
    nothing = closed_cluster_policy({"metadata": 5, "spec": "x"}, version, kind, "p", "x")
    assert (nothing.tier, nothing.priority, nothing.uid) == ("Admin", 0, "")
    assert isinstance(nothing.subject, UnknownPeer)


@given(cluster_policies(names=True), st.lists(st.tuples(st.integers(0, 99), JUNK), max_size=3))
def test_a_cluster_policy_is_never_wider_than_its_subject(
    policy: dict[str, Any], changes: list[tuple[int, object]]
) -> None:
    """Whatever else is nonsense: with a subject that can be read, the stand-in has that one."""
    subject = closed_cluster_policy(policy, policy["apiVersion"], policy["kind"], "p", "x").subject
    assert isinstance(subject, PodPeer)
    value = copy.deepcopy(policy)
    rest = [one for one in places(value["spec"]) if one[0] != "subject"]
    for number, to in changes:
        path = rest[number % len(rest)]
        here: Any = value["spec"]
        try:
            for step in path[:-1]:
                here = here[step]
            here[path[-1]] = to
        except (KeyError, IndexError, TypeError):
            continue
    made = closed_cluster_policy(value, policy["apiVersion"], policy["kind"], "p", "x")
    assert made.subject == subject
    read: Any = meant(value)
    if read is not None:
        assert made == read
