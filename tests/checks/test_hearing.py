"""Which rules have a say: against each workload asked by itself, with nothing remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.analysis.groups import Group
from outgate.analysis.opened import openings
from outgate.checks import Survey, hearing
from outgate.checks.hearing import Hearing
from outgate.checks.overlaps import contributions, patterns
from outgate.model import Direction
from outgate.packets import PacketSet
from outgate.policy import Rule
from outgate.policy.cells import Cells
from outgate.policy.interned import EVERYTHING
from outgate.policy.rules import Action
from outgate.policy.tiers import Extent, Isolation, Layer
from outgate.testing import (
    Manifest,
    cluster_policy,
    namespace,
    pod,
    random_cluster,
    random_cluster_policies,
    snapshot_of,
)
from outgate.testing_cilium import random_cilium_policies
from tests.laws.test_cilium import drawn

Packets = TypeVar("Packets", bound=Extent)
SEEDS = st.integers(0, 2**32 - 1)
STRICTNESS = (Action.DENY, Action.PASS, Action.ACCEPT)


def every_kind(seed: int) -> list[Manifest]:
    """A random cluster under policies of all kinds."""
    if seed % 3 == 0:
        return drawn(seed).manifests
    above = random_cluster_policies(seed, 1 + seed % 5, names=True)
    return [*random_cluster(seed, crowded=seed % 2 == 1), *above, *random_cilium_policies(seed, seed % 4)]


@settings(max_examples=60)
@given(SEEDS)
def test_what_is_shared_is_what_each_workload_has_by_itself(seed: int) -> None:
    """In every tier, of packets outside, of pods, and of names."""
    survey = Survey(snapshot_of(every_kind(seed)))
    for direction in Direction:
        heard = Hearing(survey, direction)
        met = [(group, one) for one in heard.audiences for group in one.groups.values()]
        assert {group for group, _ in met} == {one for one in survey.groups if not one.pods[0].host_network}
        assert len(met) == len({group for group, _ in met})
        for group, audience in met:
            speaking = {id(rule) for rule in heard.speaking(audience)}
            assert speaking == {id(rule) for rule in _alone(survey, group, direction)}, (seed, str(group))
            by_name = {id(rule) for rule in heard.opening(audience)}
            assert by_name == {id(rule) for rule in _by_name(survey, group, direction)}, (seed, str(group))


def _alone(survey: Survey, group: Group, direction: Direction) -> Iterator[Rule]:
    """The rules that speak for one workload, of packets outside and of pods."""
    grid, number = survey.grid, group.identity
    standing = grid.standing(grid.keys[direction][number], direction)
    yield from _said(standing, PacketSet.any(), lambda rule: grid.packets_outside(rule, number))
    for family in grid.families:

        def cells(rule: Rule) -> Cells:
            return Cells.of(grid.transports, contributions(grid, rule, number, family))  # noqa: B023 - used here

        yield from _said(standing, Cells(grid.transports, ((EVERYTHING, grid.identities.everybody),)), cells)


def _said(standing: Isolation, rest: Packets, extent: Callable[[Rule], Packets]) -> Iterator[Rule]:
    nothing = rest - rest
    tiers: tuple[tuple[Layer, ...], ...] = (standing.admin, standing.baseline)
    for tier in tiers:
        if tier is standing.baseline:
            for many in (standing.denials, standing.rules):
                yield from (rule for rule in many if extent(rule) & rest)
                for rule in many:
                    rest = rest - extent(rule)
            if standing.policies:
                return
        passed = nothing
        for layer in tier:
            said: list[tuple[Action, Packets, Rule]] = []
            for policy in layer.policies:
                mine = rest
                for rule in policy:
                    said.append((rule.action, extent(rule) & mine, rule))
                    mine = mine - extent(rule)
            for _, hit, rule in sorted(said, key=lambda one: STRICTNESS.index(one[0])):
                if hit & rest:
                    yield rule
                    passed = passed | (hit & rest if rule.action is Action.PASS else nothing)
                rest = rest - hit
        rest = rest | passed


def _by_name(survey: Survey, group: Group, direction: Direction) -> Iterator[Rule]:
    if direction is Direction.EGRESS:
        grid = survey.grid
        opened = {name for one in openings(grid, group.identity) for name in one.named.patterns}
        standing = grid.standing(grid.keys[direction][group.identity], direction)
        yield from (rule for rule in standing.every_rule() if opened.intersection(patterns(rule)))


def test_workloads_under_the_same_policies_are_asked_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those whose own policies differ, where the Admin tier leaves nothing to them."""
    asked: list[int] = []

    def counted(_: object, number: int) -> tuple[()]:
        asked.append(number)
        return ()

    monkeypatch.setattr(hearing, "openings", counted)
    denied = {"action": "Deny", "to": [{"networks": ["0.0.0.0/0", "::/0"]}]}
    named = {"action": "Accept", "to": [{"domainNames": ["api.example.com"]}]}
    cluster = [
        namespace("shop"),
        *(pod(f"shop/web-{at}", [f"10.0.0.{at + 1}"], app=f"app-{at}") for at in range(40)),
        cluster_policy("closed", priority=1, egress=[denied]),
        cluster_policy("named", priority=2, egress=[named]),
    ]
    apart = [
        cluster_policy(
            f"own-{at}",
            priority=3 + at,
            tier="Baseline",
            subject={"pods": {"podSelector": {"matchLabels": {"app": f"app-{at}"}}}},
            egress=[{"action": "Accept", "to": [{"namespaces": {}}]}],
        )
        for at in range(40)
    ]
    for policies, audiences in (([], 1), (apart, 40)):
        asked.clear()
        heard = Hearing(Survey(snapshot_of([*cluster, *policies])), Direction.EGRESS)
        assert len(heard.audiences) == audiences
        assert [rule for one in heard.audiences for rule in heard.opening(one)] == []
        assert len(asked) == 1
