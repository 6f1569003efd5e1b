"""Identities: who is told apart, and who matches, against the selectors asked one pod at a time."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model import Direction, Pod, Snapshot
from outgate.packets.addresses import FAMILIES
from outgate.policy import OUTGATE, Endpoint, Policies, Profile
from outgate.policy.grid import lens_of
from outgate.policy.identity import Identities, members
from outgate.policy.label_filter import LabelFilter
from outgate.policy.profile import AWS_VPC_CNI
from outgate.policy.rules import BlockMatch, rules_of
from outgate.testing import Manifest, pod, policy, random_cluster, snapshot_of

SEEDS = st.integers(0, 2**32 - 1)
READINGS = (
    OUTGATE,
    Profile("selected", host_network_isolated=True, host_network_selected=True),
    Profile("apart", blocks_match_pods=False),
    Profile("stand-ins", stand_ins_in_blocks=True),
    Profile("stand-outs", stand_ins_out_of_blocks=True),
    Profile("by address", host_network_selected=True),
    Profile("short-sighted", hidden_labels=LabelFilter(("tier",))),
)


def identities(snapshot: Snapshot, profile: Profile = OUTGATE) -> Identities:
    """The identities under the policies of the snapshot itself."""
    policies = Policies(snapshot, profile)
    return Identities(policies.selection, lens_of(policies))


def numbers(found: Identities) -> dict[tuple[str, str], int]:
    """The identity of each pod."""
    return {one.key: number for number, many in enumerate(found.pods) for one in many}


def test_a_pod_is_known_by_its_first_address_of_a_family() -> None:
    """Another one of the same family is nobody's to dial: blocks that cover it say nothing of the pod."""
    two = [pod("n/a", ["10.0.0.1", "10.0.0.2"]), pod("n/b", ["10.0.0.3"])]
    rule = {"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}
    found = identities(snapshot_of([*two, policy("n/p", {"egress": [rule]})]))
    assert [one.within for one in found.all] == [(1, None), (0, None)]


def test_an_unknown_address_of_a_node_is_in_no_block() -> None:
    """A host-network pod has the address of its node, and a node is no pod whose address has yet to be given."""
    pods = [pod("n/own"), pod("n/host", host_network=True)]
    snapshot = snapshot_of([*pods, policy("n/p", {"egress": [{"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}]})])
    found = identities(snapshot, Profile("stand-ins", stand_ins_in_blocks=True))
    assert [(one.host_network, one.within[0]) for one in found.all] == [(True, 0), (False, 1)]


def test_pods_of_one_node_are_together_whatever_family_comes_first() -> None:
    """Selected by address: who is beside is meant too, also where its status has the addresses the other way round."""
    both = ["192.168.50.1", "fd00:50::1"]
    pods = [
        pod("n/a", both, host_network=True, on="n1", app="a"),
        pod("n/b", both[::-1], host_network=True, on="n1"),
    ]
    rule = {"to": [{"podSelector": {"matchLabels": {"app": "a"}}}]}
    found = identities(snapshot_of([*pods, policy("n/p", {"egress": [rule]})]), AWS_VPC_CNI)
    (peer,) = next(rules_of(found.selection.snapshot.policies[0], Direction.EGRESS)).peers or ()
    assert [found.peers(peer, family) for family in FAMILIES] == [found.everybody] * 2


def test_members_are_the_bits() -> None:
    """The order matters: lists are sorted by it."""
    assert list(members(0)) == []
    assert list(members(0b1011 | 1 << 200)) == [0, 1, 3, 200]


@given(SEEDS, st.sampled_from(READINGS))
def test_bits_are_the_selectors(seed: int, profile: Profile) -> None:
    """For each pod by itself: the policies that select it, and the peers that it matches, in each family."""
    snapshot = snapshot_of(random_cluster(seed))
    policies = Policies(snapshot, profile)
    found = identities(snapshot, profile)
    of = numbers(found)
    for one in snapshot.endpoints:
        for each in snapshot.policies:
            for direction in each.types:
                selecting = each in policies.selection.selecting(one, direction)
                assert bool(found.subjects(each) >> of[one.key] & 1) == selecting
                for rule in rules_of(each, direction):
                    for peer in rule.peers or ():
                        for family in FAMILIES:
                            end = Endpoint.of_pod(one, family)
                            if end is None and isinstance(peer, BlockMatch):
                                continue
                            inside = isinstance(peer, BlockMatch) and end is not None and end.address in peer.addresses
                            beside = policies.selection.seen_at(one, one.addresses[0]) or (one,)
                            meant = (one,) if isinstance(peer, BlockMatch) else beside
                            expected = any(policies.selection.is_peer(peer, each, inside) for each in meant)
                            assert bool(found.peers(peer, family) >> of[one.key] & 1) == expected


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ({"app": "web", "pod-template-hash": "1"}, {"app": "web", "pod-template-hash": "2"}, True),
        ({"app": "web"}, {"app": "web", "tier": "front"}, False),
        ({"tier": ""}, {}, False),
    ],
)
def test_labels_count_where_a_selector_reads_them(
    first: dict[str, str], second: dict[str, str], together: bool
) -> None:
    """A label that no selector names would make every rollout a new kind of pod."""
    spec: Manifest = {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"from": [_tier()]}]}
    cluster = [pod("a/one", labels=first), pod("a/two", labels=second), policy("a/p", spec)]
    of = numbers(identities(snapshot_of(cluster)))
    assert (of["a", "one"] == of["a", "two"]) == together


def _tier() -> Manifest:
    return {"podSelector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}}


def test_blocks_tell_pods_apart_only_at_their_borders() -> None:
    """A pod inside a block and one in its exception are two, two pods inside are one, in each family by itself."""
    block = {"ipBlock": {"cidr": "10.1.0.0/24", "except": ["10.1.0.8/29"]}}
    cluster = [
        pod("a/in", ["10.1.0.1"]),
        pod("a/in-too", ["10.1.0.255"]),
        pod("a/hole", ["10.1.0.8"]),
        pod("a/out", ["10.1.1.0"]),
        pod("a/six", ["fd00::1"]),
        policy("a/p", {"policyTypes": ["Egress"], "egress": [{"to": [block]}]}),
    ]
    of = {name: number for (_, name), number in numbers(identities(snapshot_of(cluster))).items()}
    assert of["in"] == of["in-too"]
    assert of["hole"] == of["out"]
    assert len({of["in"], of["hole"], of["six"]}) == 3


def test_ports_count_where_a_rule_names_them() -> None:
    """The same name for two numbers is two kinds; a name that no rule has is nothing to see."""
    ports = [[{"name": "http", "containerPort": 80}], [{"name": "http", "containerPort": 81}]]
    pods = [pod(f"a/p{n}", ports=several) for n, several in enumerate(ports)]
    named = policy("a/named", {"ingress": [{"ports": [{"port": "http"}]}]})
    other = policy("a/other", {"ingress": [{"ports": [{"port": "metrics"}]}]})
    assert len(identities(snapshot_of([*pods, named])).all) == 2
    assert len(identities(snapshot_of([*pods, other])).all) == 1


def test_a_thousand_pods_of_a_kind_are_one() -> None:
    """The cost of everything that follows is that of the number of identities."""
    one = snapshot_of([pod("a/p", app="web"), policy("a/deny", {})])
    many = one.with_pods(dataclasses.replace(one.pods[0], name=f"p{n}") for n in range(1000))
    found = identities(many)
    assert len(found.all) == 1
    assert [each.name for each in found.pods[0]] == sorted(f"p{n}" for n in range(1000))


def test_finished_pods_are_nobody() -> None:
    """A Job that has ended has no traffic, and its address may be another's."""
    done: Pod = snapshot_of([pod("a/done", ["10.1.0.1"], phase="Succeeded")]).pods[0]
    assert identities(Snapshot.of(pods=[done])).all == []
