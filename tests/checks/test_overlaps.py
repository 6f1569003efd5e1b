"""Whether two rules speak of anything in common: against what passes, packet by packet, of clusters at random."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.checks.overlaps import Overlaps, asks_for_names, overlap, policies_by_origin, policy_of
from outgate.checks.survey import Survey
from outgate.model import Direction
from outgate.policy import Rule
from outgate.testing import namespace, pod, policy, snapshot_of
from tests.laws.test_cilium import drawn


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_rules_that_have_a_packet_in_common_overlap(seed: int) -> None:
    """And rules that have none do not, but for names, which may lead anywhere."""
    survey = Survey(drawn(seed).snapshot(seed))
    grid = survey.grid
    for group in survey.groups[:4]:
        for direction in Direction:
            rules = list(grid.standing(grid.keys[direction][group.identity], direction).every_rule())[:8]
            for one in rules:
                for other in rules:
                    assert overlap(grid, one, other, group.identity) == overlap(grid, other, one, group.identity)
                    if _meet(survey, one, other):
                        assert overlap(grid, one, other, group.identity), (seed, str(group), one, other)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_what_is_remembered_is_what_each_workload_has_by_itself(seed: int) -> None:
    """Also where a rule of ingress names ports, of which each pod has its own."""
    survey = Survey(drawn(seed).snapshot(seed))
    grid, known = survey.grid, Overlaps(survey.grid)
    for group, direction in itertools.product(survey.groups, Direction):
        rules = list(grid.standing(grid.keys[direction][group.identity], direction).every_rule())[:8]
        for one, other in itertools.product(rules, rules):
            assert known.meet(one, other, group.identity) == overlap(grid, one, other, group.identity)


def test_port_names_are_asked_of_each_pod() -> None:
    """One has the number that another rule is about, and another has not."""
    peer: dict[str, Any] = {"from": [{"podSelector": {}}]}
    rules = [peer | {"ports": [{"port": "web"}]}, peer | {"ports": [{"port": 80}]}]
    pods = [
        pod(f"shop/{name}", [f"10.0.0.{port}"], app=name, ports=[{"name": "web", "containerPort": port}])
        for name, port in (("a", 80), ("b", 81))
    ]
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": rules}
    survey = Survey(snapshot_of([namespace("shop"), *pods, policy("shop/p", spec)]))
    known = Overlaps(survey.grid)
    named, numbered = survey.grid.rules_of(survey.snapshot.policies[0], Direction.INGRESS)
    assert (asks_for_names(named), asks_for_names(numbered)) == (True, False)
    met = {str(group): known.meet(named, numbered, group.identity) for group in survey.groups}
    assert met == {"shop/a": True, "shop/b": False}


def _meet(survey: Survey, one: Rule, other: Rule) -> bool:
    """Whether the packets of both meet, as decisions see them: of egress, or where no port has a name."""
    if any(rule.ports is not None and rule.ports.names for rule in (one, other)):
        return False
    policies = survey.policies
    return bool(policies.packets_of(one) & policies.packets_of(other))


def test_every_rule_finds_its_policy() -> None:
    """Two of one name are told apart by their kinds, and specs of one object by their numbers."""
    survey = Survey(drawn(7).snapshot(7))
    assert len(survey.once(policies_by_origin)) == len(tuple(survey.snapshot.every_policy))
    for rule in survey.grid.all_rules():
        assert (policy_of(survey, rule.origin).kind, policy_of(survey, rule.origin).name) == (
            rule.origin.kind,
            rule.origin.name,
        )
