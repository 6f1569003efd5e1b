"""Policies of Cilium's as they are drawn: accepted, and of every sort."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given

from outgate.model.cilium import CidrGroup, CiliumPolicy
from outgate.model.objects import Direction
from outgate.testing import snapshot_of
from outgate.testing_cilium import cidr_group, cilium_policies, cilium_policy, random_cilium_policies

Manifest = dict[str, Any]


def test_a_builder_says_what_it_is_told() -> None:
    """By its path, of a namespace or of the cluster."""
    spec = {"endpointSelector": {}, "egress": [{"toEntities": ["world"]}]}
    near, wide = snapshot_of([cilium_policy("shop/p", spec), cilium_policy("p", spec)]).cilium_policies[::-1]
    assert (near.kind, near.namespace, wide.kind, wide.namespace) == (
        "CiliumNetworkPolicy", "shop", "CiliumClusterwideNetworkPolicy", "",
    )  # fmt: skip
    (group,) = snapshot_of([cidr_group("g", "10.0.0.0/8", a="b")]).cidr_groups
    assert isinstance(group, CidrGroup)
    assert (group.name, group.labels, len(group.blocks)) == ("g", {"a": "b"}, 1)


@given(cilium_policies())
def test_what_is_drawn_is_accepted(manifest: Manifest) -> None:
    """By the API server and by the agent."""
    policies = snapshot_of([manifest]).cilium_policies
    assert {one.name for one in policies} == {"p"}


def test_chance_is_repeatable_and_leaves_nothing_out() -> None:
    """The same for the same seed; and every kind of peer, with and without ports, is among a few hundred."""
    assert random_cilium_policies(1, 5) == random_cilium_policies(1, 5) != random_cilium_policies(2, 5)
    policies = snapshot_of(random_cilium_policies(3, 400)).cilium_policies
    rules = [rule for policy in policies for direction in Direction for rule in policy.rules(direction)]
    peers = Counter(type(peer).__name__ for rule in rules for peer in rule.peers or ())
    kinds = {"EndpointPeer", "BlockPeer", "GroupPeer", "EntityPeer", "ServicePeer", "NodesPeer", "NameMatch"}
    assert set(peers) == kinds
    assert {rule.peers is None for rule in rules} == {rule.deny for rule in rules} == {True, False}
    assert {rule.matches_nothing for rule in rules} == {rule.lists_icmps for rule in rules} == {True, False}
    entries = [entry for rule in rules for entry in rule.ports]
    for part in ("ports", "http", "dns", "server_names"):
        assert {bool(getattr(entry, part)) for entry in entries} == {True, False}, part
    assert {policy.index for policy in policies} == {None, 0}
    assert {len(policy.isolates) for policy in policies} == {0, 1, 2}
    assert all(isinstance(policy, CiliumPolicy) for policy in policies)
