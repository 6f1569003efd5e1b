"""Transport sets by number: the same set has the same number, and combining numbers is combining sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outgate.packets import TransportSet
from outgate.policy.interned import EVERYTHING, NOTHING, Transports
from outgate.testing import transport_sets


@given(st.lists(transport_sets(), min_size=2, max_size=4))
def test_numbers_combine_as_the_sets_do(many: list[TransportSet]) -> None:
    """A short cut that forgot a case would give one pair of rules the ports of another."""
    table = Transports()
    numbers = [NOTHING, EVERYTHING, *map(table.number, many)]
    for one in numbers:
        for other in numbers:
            mine, theirs = table.sets[one], table.sets[other]
            for _ in range(2):  # computed, then looked up
                assert table.sets[table.union(one, other)] == mine | theirs
                assert table.sets[table.meet(one, other)] == mine & theirs


@given(transport_sets())
def test_equal_sets_have_one_number(one: TransportSet) -> None:
    """Rows are told apart by numbers: two numbers for one set would be two lines for one."""
    table = Transports()
    assert table.number(one) == table.number(one | one)
    assert (table.number(TransportSet()), table.number(TransportSet.any())) == (NOTHING, EVERYTHING)
