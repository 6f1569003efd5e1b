"""Addresses outside in few blocks: as exceptions of all where these are fewer, and "but nodes" where they are nodes.

What policies of Cilium's open outside is no node (`outgate.policy.selection`), and a cluster of a thousand nodes makes
ten thousand blocks of the rest. Everybody means the same thing by it: every address but nodes. So the holes that are
nodes are filled up, and that is said in a word. It stays exact, for the nodes are known:

    addresses = cidrs - excepted - (nodes, where but_nodes)
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from outgate.packets import AddressSet, IntervalSet
from outgate.packets.addresses import FAMILIES
from outgate.records import dataclass

__all__ = ["NO_NODES", "Blocks", "filled", "shortened"]

NO_NODES = AddressSet()


@dataclass(frozen=True, slots=True)
class Blocks:
    """``cidrs - excepted``, and without nodes where `but_nodes` says so."""

    cidrs: tuple[str, ...]
    excepted: tuple[str, ...] = ()
    but_nodes: bool = False


@functools.lru_cache(maxsize=64)
def shortened(addresses: AddressSet, nodes: AddressSet = NO_NODES) -> Blocks:
    """These addresses, of which `nodes` may be told apart by that word alone."""
    whole = filled(addresses, nodes)
    cidrs: list[str] = []
    excepted: list[str] = []
    for family in FAMILIES:
        mine = (whole or addresses).only(family)
        every = AddressSet.whole(family)
        holes = (every - mine).cidrs() if mine else ()
        blocks = mine.cidrs()
        if len(holes) + 1 < len(blocks):
            cidrs += every.cidrs()
            excepted += holes
        else:
            cidrs += blocks
    return Blocks(tuple(cidrs), tuple(excepted), whole is not None)


@functools.lru_cache(maxsize=64)
def filled(addresses: AddressSet, nodes: AddressSet) -> AddressSet | None:
    """The addresses with the nodes in their holes, and at their edges; None where that makes them no simpler."""
    if not nodes or not addresses.isdisjoint(nodes):
        return None
    found = addresses
    for family in FAMILIES:
        mine = addresses.family(family)
        touching = IntervalSet(tuple(_touching(mine, nodes.family(family))))
        found |= AddressSet.of_family(family, touching)
    spans = sum(len(found.family(family).spans) for family in FAMILIES)
    return found if spans < sum(len(addresses.family(family).spans) for family in FAMILIES) else None


def _touching(mine: IntervalSet, nodes: IntervalSet) -> Iterator[tuple[int, int]]:
    """The nodes that lie between two of these addresses, or beside one."""
    firsts, lasts = {low for low, _ in mine}, {high for _, high in mine}
    yield from ((low, high) for low, high in nodes if low - 1 in lasts or high + 1 in firsts)
