"""What policies of one priority say different things of, held against one packet at a time."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from outgate.policy import Action, Rule, Tier
from outgate.policy.disputes import Disputes
from outgate.policy.tiers import first
from tests.policy.test_tiers import PACKETS, Case, Matched, Some, cases, layered, rule


def met(case: Case, matched: Matched, packet: int) -> set[frozenset[Rule]]:
    """The pairs that one packet meets: of each layer that disagrees, every two that say different things."""
    matching = {one for one, packets in matched.items() if packet in packets}
    said = first(case.isolation, matching.__contains__).disputed
    priorities = {
        id(one): (layer.tier, layer.priority)
        for layer in (*case.isolation.admin, *case.isolation.baseline)
        for one in layer.rules
    }
    return {
        frozenset((one, other))
        for one, other in itertools.combinations(said, 2)
        if one.action is not other.action and priorities[id(one)] == priorities[id(other)]
    }


@given(cases())
def test_disputes_are_what_one_packet_meets(case: Case) -> None:
    """Exactly the packets of which `first` says so, and of each the very rules; the two are written apart."""
    found = Disputes(case.isolation, Some(PACKETS), lambda one: Some(case.matched[one]))
    for _ in range(2):
        pairs: dict[int, set[frozenset[Rule]]] = {packet: set() for packet in PACKETS}
        for part, one, other in found.all():
            for packet in part.packets:
                pairs[packet].add(frozenset((one, other)))
        assert pairs == {packet: met(case, case.matched, packet) for packet in PACKETS}


@given(cases(), st.data())
def test_what_some_rules_would_dispute_if_they_matched_something_else(case: Case, data: st.DataObject) -> None:
    """As if they did, and of that the pairs that they have part in; one question does not change the next."""
    every = list(case.isolation.every_rule())
    found = Disputes(case.isolation, Some(PACKETS), lambda one: Some(case.matched[one]))
    for _ in range(3):
        chosen = data.draw(st.sets(st.sampled_from(every), max_size=3)) if every else set()
        other = {one: data.draw(st.frozensets(st.sampled_from(sorted(PACKETS)))) for one in chosen}
        matched = case.matched | other
        pairs: dict[int, set[frozenset[Rule]]] = {packet: set() for packet in PACKETS}
        for part, one, against in found.supposing({id(one): Some(packets) for one, packets in other.items()}):
            for packet in part.packets:
                pairs[packet].add(frozenset((one, against)))
        for packet in PACKETS:
            assert pairs[packet] == {pair for pair in met(case, matched, packet) if pair & chosen}


def test_only_what_hangs_on_the_rules_is_worked_out_again() -> None:
    """Of a layer of many policies, one; and nothing behind the last layer of several."""
    policies = [(rule(Tier.ADMIN, Action.DENY, f"p{number}", 0),) for number in range(20)]
    named = rule(Tier.ADMIN, Action.ACCEPT, "named", 0)
    asked: list[Rule] = []

    def extent(one: Rule) -> Some:
        asked.append(one)
        return Some(frozenset())

    found = Disputes(layered(*policies, (named,)), Some(PACKETS), extent)
    assert list(found.all()) == []
    assert len(asked) == 21
    for _ in range(5):
        assert list(found.supposing({id(named): Some(PACKETS)})) == []
    assert len(asked) == 21
