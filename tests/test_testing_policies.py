"""Policies of the whole cluster as they are drawn: accepted by the server's rules, and of every sort."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model import BlockPeer, ClusterPolicy, NamePeer, NodePeer, PodPeer, UnknownPeer
from outgate.model.parse import parse
from outgate.model.place import Document
from outgate.testing import (
    cluster_policies,
    cluster_policy,
    old_cluster_policies,
    random_cluster_policies,
    snapshot_of,
)

Manifest = dict[str, Any]


def test_a_builder_says_what_it_is_told() -> None:
    """And nothing about what it is not."""
    to = [{"networks": ["10.0.0.0/8"]}]
    made = cluster_policy("p", tier="Baseline", priority=3, egress=[{"action": "Deny", "to": to}])
    assert set(made["spec"]) == {"tier", "priority", "subject", "egress"}
    (policy,) = snapshot_of([made]).cluster_policies
    assert (policy.name, policy.tier, policy.priority, policy.ingress) == ("p", "Baseline", 3, ())
    assert [type(one) for one in policy.egress[0].peers] == [BlockPeer]
    subject = {"pods": {"podSelector": {"matchLabels": {"a": "b"}}}}
    (policy,) = snapshot_of([cluster_policy("p", subject=subject)]).cluster_policies
    assert isinstance(policy.subject, PodPeer)
    assert str(policy.subject.pods) == "a=b"


@given(st.one_of(cluster_policies(), cluster_policies(names=True), old_cluster_policies(names=True)))
def test_what_is_drawn_is_accepted(manifest: Manifest) -> None:
    """With no word said, and nothing in it unknown."""
    parsed = parse([Document("x", manifest)])
    assert (parsed.errors, parsed.warnings) == ((), ())
    (policy,) = parsed.snapshot.cluster_policies
    assert isinstance(policy, ClusterPolicy)
    assert not any(isinstance(peer, UnknownPeer) for rule in (*policy.egress, *policy.ingress) for peer in rule.peers)


def seen(manifests: list[Manifest]) -> Counter[str]:
    """What is in them."""
    found: Counter[str] = Counter()
    for policy in (one for manifest in manifests for one in snapshot_of([manifest]).cluster_policies):
        found[policy.tier] += 1
        for rule in (*policy.egress, *policy.ingress):
            found[rule.action] += 1
            found.update(type(peer).__name__ for peer in rule.peers)
            found.update(("range" if port.end_port else port.protocol) for port in rule.ports)
            found["no ports"] += not rule.ports
    return found


def test_everything_comes_up() -> None:
    """A form that is never drawn is one that nothing is tested with."""
    names = {BlockPeer.__name__, PodPeer.__name__, NodePeer.__name__, "Accept", "Deny", "Pass", "Admin", "Baseline"}
    wanted = {*names, "TCP", "UDP", "SCTP", "", "range", "no ports"}
    few = random_cluster_policies(1, 200)
    assert set(seen(few)) == wanted
    assert set(seen(random_cluster_policies(1, 200, names=True))) == {*wanted, NamePeer.__name__}
    assert few == random_cluster_policies(1, 200)
    assert few != random_cluster_policies(2, 200)
    assert [one["metadata"]["name"] for one in islice(few, 2)] == ["c0", "c1"]


@pytest.mark.parametrize("section", ["egress", "ingress"])
def test_a_direction_may_be_empty_in_every_way(section: str) -> None:
    """Absent, null and an empty list mean the same."""
    specs = [one["spec"] for one in random_cluster_policies(3, 100)]
    assert {repr(one.get(section, "absent")) for one in specs if not one.get(section)} == {"'absent'", "None", "[]"}
