"""The order of tiers, held against the text of the API on small numbers: packets are integers, rules sets of them."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model import Direction, NetworkPolicy
from outgate.policy import Action, Origin, Rule, Tier, Verdict
from outgate.policy.tiers import Isolation, Layer, first, partition


@dataclasses.dataclass(frozen=True)
class Some:
    """A set of packets: the least that `partition` needs."""

    packets: frozenset[int]

    def __or__(self, other: Some) -> Some:
        return Some(self.packets | other.packets)

    def __and__(self, other: Some) -> Some:
        return Some(self.packets & other.packets)

    def __sub__(self, other: Some) -> Some:
        return Some(self.packets - other.packets)

    def __bool__(self) -> bool:
        return bool(self.packets)


PACKETS = frozenset(range(6))
Matched = dict[Rule, frozenset[int]]


@dataclasses.dataclass
class Case:
    """Policies for one pod, and which packets each rule matches."""

    isolation: Isolation
    matched: Matched

    def parts(self) -> list[tuple[frozenset[int], Verdict, Rule | None]]:
        """What `partition` makes of them."""
        found = partition(self.isolation, Some(PACKETS), lambda one: Some(self.matched[one]))
        return [(part.packets, verdict, decider) for part, verdict, decider in found]


def rule(tier: Tier, action: Action, name: str, index: int) -> Rule:
    """A rule that is known by its origin alone."""
    return Rule(Direction.EGRESS, tier, action, None, None, Origin("v", "K", "", name, Direction.EGRESS, index))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Up to three layers a tier, some of several policies, and NetworkPolicies or none."""
    matched: Matched = {}

    def rules(tier: Tier, name: str, actions: tuple[Action, ...]) -> tuple[Rule, ...]:
        made = []
        for index in range(draw(st.integers(1, 3))):
            one = rule(tier, draw(st.sampled_from(actions)), name, index)
            matched[one] = draw(st.frozensets(st.sampled_from(sorted(PACKETS))))
            made.append(one)
        return tuple(made)

    def tiers(tier: Tier) -> tuple[Layer, ...]:
        layers = []
        for priority in range(draw(st.integers(0, 3))):
            names = [f"{tier.name}{priority}{n}" for n in range(draw(st.integers(1, 3)))]
            layers.append(Layer(tier, priority, tuple(rules(tier, name, tuple(Action)) for name in names)))
        return tuple(layers)

    policies = (NetworkPolicy("a", "one"),) if draw(st.booleans()) else ()
    some = bool(policies) and draw(st.booleans())
    mine = rules(Tier.NETWORK_POLICY, "one", (Action.ACCEPT,)) if some else ()
    return Case(Isolation(policies, (), mine, tiers(Tier.ADMIN), tiers(Tier.BASELINE)), matched)


def answer(policies: tuple[tuple[Rule, ...], ...], packet: int, matched: Matched) -> set[Action]:
    """What the policies of one priority say of a packet, each by its first matching rule."""
    said = set()
    for rules in policies:
        for one in rules:
            if packet in matched[one]:
                said.add(one.action)
                break
    return said


def allowed(case: Case, packet: int) -> bool:
    """The text of the API, word for word, with the strictest of several answers."""
    for tier in ("admin", "network policy", "baseline"):
        if tier == "network policy":
            if case.isolation.policies:
                return any(packet in case.matched[one] for one in case.isolation.rules)
            continue
        for layer in case.isolation.admin if tier == "admin" else case.isolation.baseline:
            said = answer(layer.policies, packet, case.matched)
            if Action.DENY in said:
                return False
            if Action.PASS in said:
                break
            if Action.ACCEPT in said:
                return True
    return True


@given(cases())
def test_sets_are_the_text(case: Case) -> None:
    """Each part has one verdict, no packet is in two, and none is left out."""
    parts = case.parts()
    assert sorted(packet for part, _, _ in parts for packet in part) == sorted(PACKETS)
    for part, verdict, decider in parts:
        for packet in part:
            assert verdict.allows == allowed(case, packet)
            if decider is not None:
                assert packet in case.matched[decider]
                assert verdict.allows == (decider.action is Action.ACCEPT)


@given(cases())
def test_one_packet_is_the_text(case: Case) -> None:
    """The same asked of one packet at a time: verdict, the rule that decides, and what was passed on."""
    blamed = {packet: decider for part, _, decider in case.parts() for packet in part}
    for packet in PACKETS:
        matching = {one for one, packets in case.matched.items() if packet in packets}
        found = first(case.isolation, matching.__contains__)
        assert found.verdict.allows == allowed(case, packet)
        assert found.rule == blamed[packet]
        assert all(one.action is Action.PASS and packet in case.matched[one] for one in found.passed)


def layered(*policies: tuple[Rule, ...]) -> Isolation:
    """Policies of one priority of the Admin tier."""
    return Isolation((), (), (), (Layer(Tier.ADMIN, 1, policies),))


@pytest.mark.parametrize(
    ("one", "other", "wins"),
    [
        (Action.ACCEPT, Action.DENY, Action.DENY),
        (Action.ACCEPT, Action.PASS, Action.PASS),
        (Action.PASS, Action.DENY, Action.DENY),
        (Action.ACCEPT, Action.ACCEPT, Action.ACCEPT),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_of_one_priority_the_strictest_counts(one: Action, other: Action, wins: Action, turned: bool) -> None:
    """Whatever their names; and where they differ it is said that the API leaves it open."""
    policies = [(rule(Tier.ADMIN, one, "a", 0),), (rule(Tier.ADMIN, other, "b", 0),)]
    found = first(layered(*(policies[::-1] if turned else policies)), lambda _: True)
    said = found.passed[0] if wins is Action.PASS else found.rule
    assert said is not None
    assert said.action is wins
    assert bool(found.disputed) == (one is not other)
    assert found.verdict is (Verdict.DENY if wins is Action.DENY else Verdict.ALLOW)


def test_a_policy_is_asked_by_its_own_first_rule() -> None:
    """An Accept that comes before a Deny of the same policy is not undone by a neighbour that says nothing."""
    exempt, denied = rule(Tier.ADMIN, Action.ACCEPT, "a", 0), rule(Tier.ADMIN, Action.DENY, "a", 1)
    beside = rule(Tier.ADMIN, Action.DENY, "b", 0)
    found = first(layered((exempt, denied), (beside,)), lambda one: one is not beside)
    assert found.rule is exempt
    assert not found.disputed
