"""Addresses in few blocks: never other ones than are meant, and never more blocks than without exceptions."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outgate.analysis.shortened import NO_NODES, filled, shortened
from outgate.packets import AddressSet

BLOCKS = st.sampled_from(
    [
        *("0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/30", "10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32", "10.0.0.4/32"),
        *("10.1.0.0/16", "255.255.255.255/32", "0.0.0.0/32", "192.0.2.0/24", "192.0.3.0/32", "128.0.0.0/1"),
        *("::/0", "fd00::/8", "fd00::1/128", "fd00::2/128", "2001:db8::/32", "::/128"),
    ]
)
SETS = st.lists(BLOCKS, max_size=5).map(lambda many: together(*many))


def together(*blocks: str) -> AddressSet:
    """All addresses of some blocks."""
    return AddressSet.union_of(map(AddressSet.network, blocks))


@given(SETS, SETS, SETS)
@example(together("10.0.0.0/8"), together("10.0.0.1/32"), together("10.0.0.1/32", "192.0.2.0/24"))
@example(AddressSet.any(), together("10.0.0.1/32", "fd00::1/128"), together("10.0.0.1/32", "fd00::1/128"))
def test_what_is_written_is_what_is_meant(whole: AddressSet, holes: AddressSet, nodes: AddressSet) -> None:
    """Whoever puts it together again, by what the schema says of it, has the set."""
    meant = whole - holes
    blocks = shortened(meant, nodes)
    read = together(*blocks.cidrs) - together(*blocks.excepted) - (nodes if blocks.but_nodes else NO_NODES)
    assert read == meant
    assert len(blocks.cidrs) + len(blocks.excepted) <= max(len(meant.cidrs()), 1) or blocks.but_nodes
    if blocks.but_nodes:
        assert not meant & nodes


@pytest.mark.parametrize(
    ("meant", "nodes", "cidrs", "excepted", "but_nodes"),
    [
        (AddressSet.any(), "10.0.0.1/32", ["0.0.0.0/0", "::/0"], [], False),
        (AddressSet.any() - together("10.0.0.1/32"), "10.0.0.1/32", ["0.0.0.0/0", "::/0"], [], True),
        (AddressSet.any() - together("10.0.0.1/32"), "10.0.0.2/32", ["0.0.0.0/0", "::/0"], ["10.0.0.1/32"], False),
        (
            AddressSet.any() - together("10.0.0.1/32", "192.0.2.0/24"),
            "10.0.0.1/32",
            ["0.0.0.0/0", "::/0"],
            ["192.0.2.0/24"],
            True,
        ),
        (together("10.0.0.0/8") - together("10.0.0.9/32"), "10.0.0.9/32", ["10.0.0.0/8"], [], True),
        (together("192.0.2.0/24"), "192.0.3.0/32", ["192.0.2.0/24"], [], False),
        (together("192.0.2.0/24", "2001:db8::/32"), "10.0.0.1/32", ["192.0.2.0/24", "2001:db8::/32"], [], False),
    ],
)
def test_it_is_short(meant: AddressSet, nodes: str, cidrs: list[str], excepted: list[str], but_nodes: bool) -> None:
    """As one would say it."""
    blocks = shortened(meant, together(nodes))
    assert (list(blocks.cidrs), list(blocks.excepted), blocks.but_nodes) == (cidrs, excepted, but_nodes)


def test_a_node_that_is_meant_is_not_left_out() -> None:
    """Where one of two nodes is open, "but nodes" would deny it."""
    meant = AddressSet.any() - together("10.0.0.1/32")
    assert filled(meant, together("10.0.0.1/32", "10.0.0.9/32")) is None
