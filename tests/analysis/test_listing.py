"""Filters: each leaves out what was not asked for, and nothing else."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis import listing
from outgate.analysis.connections import connections
from outgate.analysis.groups import Group
from outgate.analysis.listing import Asked, drawable, selected
from outgate.errors import TooComplex
from outgate.model import Direction
from outgate.packets import Protocol, TransportSet
from outgate.testing import random_cluster, snapshot_of
from tests.analysis.lists import words
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, snapshot
from tests.laws.test_connections import owned

SEEDS = st.integers(0, 2**32 - 1)


def test_a_port_is_cut_out() -> None:
    """Who may use a port is the question; the other ports of a connection are no part of the answer."""
    found = connections(snapshot(EGRESS_TO_DB, INGRESS_OF_DB))
    (web,) = found.group("ReplicaSet", "shop", "web")
    asked = Asked((web,), Direction.EGRESS, transports=TransportSet.ports(Protocol.TCP, 8000, 8050))
    assert words(selected(found, asked)) == [
        "shop/ReplicaSet/web → data/db: TCP 8050",
        "shop/ReplicaSet/web → data/lone: TCP 8000-8050",
    ]


@given(SEEDS, st.sampled_from((None, *Direction)), st.sampled_from((None, "alpha", "beta")), st.booleans())
def test_a_filter_is_what_is_left_of_the_whole(
    seed: int, direction: Direction | None, namespace: str | None, focused: bool
) -> None:
    """The quick way to the connections of one workload must not lose or reorder any."""
    found = connections(owned(snapshot_of(random_cluster(seed)), seed))
    focus = found.groups.all[:2] if focused else ()

    def wanted(end: object) -> bool:
        return isinstance(end, Group) and (not focus or end in focus) and namespace in (None, end.namespace)

    expected = [
        one
        for one in found
        if (wanted(one.source) and direction is not Direction.INGRESS)
        or (wanted(one.destination) and direction is not Direction.EGRESS)
    ]
    assert list(selected(found, Asked(tuple(focus), direction, namespace))) == expected


def test_families_are_cut_too() -> None:
    """A port that passes by both alike is one connection, though the whole of the two differs."""
    found = connections(owned(snapshot_of(random_cluster(3)), 3))
    for one in selected(found, Asked(transports=TransportSet.ports(Protocol.UDP, 53))):
        assert one.transports == TransportSet.ports(Protocol.UDP, 53)
        assert len({mine for _, mine in one.families}) != 1


def test_a_picture_of_too_much_is_refused_before_it_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred million edges fill the memory first, and nothing can show them."""
    monkeypatch.setattr(listing, "MOST_DRAWN", 3)
    assert list(drawable([1, 2, 3])) == [1, 2, 3]
    endless = itertools.count()
    with pytest.raises(TooComplex, match="more than 3 connections in one picture"):
        drawable(endless)
    assert next(endless) == 4
