"""The proof of tiers can fail: each deliberate mistake about their order is caught.

Every mistake here is one that an implementation of network-policy-api has made, or that its users have feared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from outgate.model import ClusterPolicy, Direction, Pod
from outgate.model import snapshot as snapshot_module
from outgate.nft import tier_lines as tier_lines_module
from outgate.packets import TransportSet
from outgate.policy import Action, PodMatch, PortMatch, Rule
from outgate.policy import cluster_rules as cluster_rules_module
from outgate.policy import selection as selection_module
from outgate.policy.decide import Policies
from outgate.policy.places import Places, Standpoint
from outgate.policy.selection import Selection
from outgate.policy.tiers import Isolation, Layer
from tests.laws.differential import Examination
from tests.laws.test_tiers import tiered

CLUSTERS = 200
Patch = Callable[[pytest.MonkeyPatch], None]


def on_isolation(patch: pytest.MonkeyPatch, change: Callable[[Isolation], Isolation]) -> None:
    """Change what stands for a pod, for every reading at once."""
    proper = Policies.isolation

    def wrong(self: Policies, pod: Pod, direction: Direction) -> Isolation:
        return change(proper(self, pod, direction))

    patch.setattr(Policies, "isolation", wrong)


def on_rules(patch: pytest.MonkeyPatch, change: Callable[[Rule], Rule]) -> None:
    """Change every rule of policies of the cluster."""
    proper = cluster_rules_module.cluster_rules

    def wrong(policy: ClusterPolicy, direction: Direction, places: Places, standpoint: Standpoint) -> Iterator[Rule]:
        return map(change, proper(policy, direction, places, standpoint))

    patch.setattr(selection_module, "cluster_rules", wrong)


def a_higher_number_wins(patch: pytest.MonkeyPatch) -> None:
    """Priorities read the wrong way round."""
    proper = snapshot_module.in_order
    patch.setattr(snapshot_module, "in_order", lambda many: tuple(sorted(proper(many), key=lambda one: -one.priority)))


def one_tier(patch: pytest.MonkeyPatch) -> None:
    """Baseline is asked with Admin, before NetworkPolicies."""
    on_isolation(patch, lambda one: dataclasses.replace(one, admin=(*one.admin, *one.baseline), baseline=()))


def no_baseline(patch: pytest.MonkeyPatch) -> None:
    """The Baseline tier is forgotten."""
    on_isolation(patch, lambda one: dataclasses.replace(one, baseline=()))


def rules_backwards(patch: pytest.MonkeyPatch) -> None:
    """The last rule of a policy is asked first."""

    def turned(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        return tuple(dataclasses.replace(one, policies=tuple(rules[::-1] for rules in one.policies)) for one in layers)

    on_isolation(patch, lambda one: dataclasses.replace(one, admin=turned(one.admin), baseline=turned(one.baseline)))


def equals_in_the_order_of_names(patch: pytest.MonkeyPatch) -> None:
    """Policies of one priority are asked one after the other."""

    def apart(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        return tuple(dataclasses.replace(one, policies=(rules,)) for one in layers for rules in one.policies)

    on_isolation(patch, lambda one: dataclasses.replace(one, admin=apart(one.admin), baseline=apart(one.baseline)))


def pass_is_accept(patch: pytest.MonkeyPatch) -> None:
    """What is passed on is let through at once."""
    on_rules(
        patch, lambda rule: dataclasses.replace(rule, action=Action.ACCEPT) if rule.action is Action.PASS else rule
    )


def without_protocols_means_ports(patch: pytest.MonkeyPatch) -> None:
    """A rule without protocols leaves ICMP alone, as for NetworkPolicy many have it."""
    governed = PortMatch(TransportSet.governed())
    on_rules(patch, lambda rule: rule if rule.ports is not None else dataclasses.replace(rule, ports=governed))


def some_are_no_subjects(patch: pytest.MonkeyPatch) -> None:
    """A baseline of all namespaces does not see the pods of one kind: here those with a label."""
    proper = Selection.governing
    patch.setattr(Selection, "governing", lambda self, pod, way: () if "app" in pod.labels else proper(self, pod, way))


def own_namespace(patch: pytest.MonkeyPatch) -> None:
    """Peers without a namespace selector mean namespaces without labels."""

    def narrowed(rule: Rule) -> Rule:
        peers = rule.peers
        if peers is None:
            return rule
        kept = tuple(one for one in peers if not (isinstance(one, PodMatch) and not one.namespaces))
        return dataclasses.replace(rule, peers=kept)

    on_rules(patch, narrowed)


def rounds_forget_pass(patch: pytest.MonkeyPatch) -> None:
    """Among policies of one priority the compiler asks for denials alone: a mistake of the kernel's rules only."""

    class Forgetful:
        DENY, PASS, ACCEPT = Action.DENY, Action.DENY, Action.ACCEPT

    patch.setattr(tier_lines_module, "Action", Forgetful)


MISTAKES: list[Patch] = [
    a_higher_number_wins,
    one_tier,
    no_baseline,
    rules_backwards,
    equals_in_the_order_of_names,
    pass_is_accept,
    without_protocols_means_ports,
    some_are_no_subjects,
    own_namespace,
    rounds_forget_pass,
]


def first_complaint(clusters: int) -> Any:
    """The property of `test_tiers`, on the same clusters each time."""
    for seed in range(clusters):
        for complaint in Examination(tiered(seed), seed).disagreements(40):
            return complaint
    return None


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.__name__)
def test_mistake_is_caught(mistake: Patch) -> None:
    """A mistake that lives is a hole in the proof."""
    with pytest.MonkeyPatch.context() as patch:
        mistake(patch)
        assert first_complaint(CLUSTERS) is not None, mistake.__doc__


def test_nothing_stays_broken() -> None:
    """After all of them the same clusters give no complaint."""
    assert first_complaint(20) is None
