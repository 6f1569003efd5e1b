"""Sets of (transport, identity) against plain sets of pairs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outgate.packets import Protocol, TransportSet
from outgate.policy.cells import Cells
from outgate.policy.interned import EVERYTHING, Transports

PORTS = range(4)
IDENTITIES = range(5)
Pairs = frozenset[tuple[int, int]]


def ports(low: int, high: int) -> TransportSet:
    """Some of the ports of TCP that are asked about."""
    return TransportSet.ports(Protocol.TCP, low, high)


CONTRIBUTIONS = st.lists(
    st.tuples(st.tuples(st.sampled_from(PORTS), st.sampled_from(PORTS)).map(sorted), st.integers(0, 31)), max_size=5
)


def both(table: Transports, drawn: list[tuple[list[int], int]]) -> tuple[Cells, Pairs]:
    """Contributions as cells, and as all their pairs."""
    pairs = frozenset(
        (port, one)
        for (low, high), bits in drawn
        for port in range(low, high + 1)
        for one in IDENTITIES
        if bits >> one & 1
    )
    return Cells.of(table, ((table.number(ports(*span)), bits) for span, bits in drawn)), pairs


def pairs_of(cells: Cells) -> Pairs:
    """All pairs in cells, each met once: an identity stands in one cell at most."""
    seen = 0
    for number, bits in cells.row:
        assert bits
        assert not seen & bits, "two cells have an identity in common"
        seen |= bits
        assert cells.transports.sets[number], "a cell of nothing"
    return frozenset(
        (port, one)
        for number, bits in cells.row
        for one in IDENTITIES
        if bits >> one & 1
        for port in PORTS
        if cells.transports.sets[number].contains(int(Protocol.TCP), port)
    )


@given(CONTRIBUTIONS, CONTRIBUTIONS)
def test_cells_are_sets(first: list[tuple[list[int], int]], second: list[tuple[list[int], int]]) -> None:
    """Union, intersection and difference, and what is left is in canonical cells."""
    table = Transports()
    (one, mine), (other, theirs) = both(table, first), both(table, second)
    assert pairs_of(one) == mine
    assert pairs_of(one | other) == mine | theirs
    assert pairs_of(one & other) == mine & theirs
    assert pairs_of(one - other) == mine - theirs
    assert bool(one - other) == bool(mine - theirs)


@given(CONTRIBUTIONS)
def test_everything_less_something_is_the_rest(drawn: list[tuple[list[int], int]]) -> None:
    """What no contribution names is still there, in every protocol."""
    table = Transports()
    some, pairs = both(table, drawn)
    everything = Cells(table, ((EVERYTHING, 31),))
    rest = everything - some
    assert pairs_of(rest) == frozenset((port, one) for port in PORTS for one in IDENTITIES) - pairs
    assert all(table.sets[number].contains(int(Protocol.UDP), 53) for number, _ in rest.row)
    assert pairs_of(everything & some) == pairs
