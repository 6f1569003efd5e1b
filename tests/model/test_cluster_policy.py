"""Policies of the whole cluster as objects: what they say of themselves, and the order in which a snapshot has them."""

from __future__ import annotations

from outgate.model import BlockPeer, ClusterPolicy, ClusterRule, Direction, LabelSelector, PodPeer, Snapshot
from outgate.model.cluster_policy import BASELINE_PRIORITY, TierWord
from outgate.model.validate_cidr import read_cidr

EVERYBODY = PodPeer(LabelSelector(), LabelSelector())


def policy(
    name: str,
    tier: TierWord = "Admin",
    priority: int = 10,
    *,
    egress: tuple[ClusterRule, ...] = (),
    ingress: tuple[ClusterRule, ...] = (),
) -> ClusterPolicy:
    """A policy for all pods."""
    return ClusterPolicy(name, tier, priority, EVERYBODY, egress, ingress)


def test_a_policy_acts_where_it_has_rules() -> None:
    """It never isolates by being there, so a direction without rules is one that it does not touch."""
    cidr = read_cidr("10.0.0.0/8")
    assert cidr is not None
    rule = ClusterRule("Deny", (BlockPeer(cidr),))
    assert policy("none").types == frozenset()
    assert policy("out", egress=(rule,)).types == {Direction.EGRESS}
    assert policy("in", ingress=(rule,)).types == {Direction.INGRESS}
    both = policy("both", egress=(rule,), ingress=(rule, rule))
    assert both.types == set(Direction)
    assert (len(both.rules(Direction.EGRESS)), len(both.rules(Direction.INGRESS))) == (1, 2)


def test_a_snapshot_has_them_in_the_order_in_which_they_are_asked() -> None:
    """Admin first, the lower number first, and equal ones by name, whatever the order of the files."""
    wanted = [
        policy("z", priority=0),
        policy("a", priority=5),
        policy("b", priority=5),
        policy("a", "Baseline", 0),
        policy("default", "Baseline", BASELINE_PRIORITY),
    ]
    assert list(Snapshot.of(cluster_policies=reversed(wanted)).cluster_policies) == wanted
    assert list(Snapshot.of().with_cluster_policies(wanted[2:] + wanted[:2]).cluster_policies) == wanted
