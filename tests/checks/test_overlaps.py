"""Whether two rules speak of anything in common: against what passes, packet by packet, of clusters at random."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.checks.overlaps import overlap, policies_by_origin, policy_of
from outgate.checks.survey import Survey
from outgate.model import Direction
from outgate.policy import Rule
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
