"""Ports cut by the rules that speak of them."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.on_condition import by_rules
from outgate.packets import Protocol, TransportSet
from tests.report.test_conditions import rule


@given(st.integers(0, 2**32 - 1))
def test_each_port_has_the_rules_that_speak_of_it(seed: int) -> None:
    """Every port of the set in one part, with its rules in their order; what no rule speaks of is in none."""
    chance = random.Random(seed)

    def ports() -> TransportSet:
        return TransportSet.ports(Protocol.TCP, *sorted(chance.sample(range(1, 9), 2)))

    rules = [(rule(str(number)), ports()) for number in range(chance.randrange(4))]
    whole = ports()
    parts = list(by_rules(whole, rules))
    for port in range(10):
        mine = [those for part, those in parts if part.contains(int(Protocol.TCP), port)]
        meant = whole.contains(int(Protocol.TCP), port)
        speaking = tuple(one for one, its in rules if meant and its.contains(int(Protocol.TCP), port))
        assert mine == ([speaking] if speaking else [])
