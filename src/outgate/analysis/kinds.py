"""Kinds of ends: those that no policy can tell apart are asked about once.

Two ends are of one kind if they have the same namespace, labels and container ports, are both on the host network or
both not, and their addresses, of one family, lie in the same blocks of the policies. A verdict between two ends
depends on their kinds, and beyond that on two things: whether they are the same pod, and whether one is the node that
the other runs on. `Kinds.pair` takes a pair that is neither, where there is one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from outgate.analysis.ports import PairPorts, pair_ports
from outgate.model import Direction
from outgate.packets import Address, AddressSet
from outgate.packets.addresses import FAMILIES, Family
from outgate.policy import BlockMatch, Endpoint, Judge, unstoppable

__all__ = ["Kind", "Kinds"]


@dataclass(frozen=True, slots=True)
class Kind:
    """Ends that are treated alike, in the order in which they were given."""

    key: Hashable
    ends: tuple[Endpoint, ...]

    @property
    def first(self) -> Endpoint:
        """The one that stands for all."""
        return self.ends[0]

    @property
    def family(self) -> Family:
        """4 or 6."""
        return self.first.address.version


class Kinds:
    """Groups ends for one set of policies, and asks once for each pair of kinds."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self._pairs: dict[tuple[Hashable, Hashable], PairPorts] = {}
        self._keys: dict[Hashable, Hashable] = {}
        self._covering: dict[tuple[Family, int], tuple[int, ...]] = {}

    def of(self, ends: Iterable[tuple[Endpoint, Hashable]]) -> list[tuple[Kind, Hashable]]:
        """The kinds of some ends. What is given beside an end divides them further, and is given back."""
        found: dict[tuple[Hashable, Hashable], list[Endpoint]] = {}
        for end, beside in ends:
            mine = end.address, end.pod.key if end.pod is not None else ""
            key = self._keys.get(mine)
            if key is None:
                key = self._keys[mine] = self._key(end)
            found.setdefault((key, beside), []).append(end)
        return [(Kind(key, tuple(many)), beside) for (key, beside), many in found.items()]

    def pair(self, source: Kind, destination: Kind) -> tuple[Endpoint, Endpoint, PairPorts] | None:
        """Two ends that stand for two kinds, and what passes between them.

        None where policy stands between none of them, or they never meet. The ports may be those of another two ends
        of the same kinds: what passes is the same. This is the one place that asks for pairs; an engine that knows
        them all may take its place.
        """
        if source.family != destination.family:
            return None
        close: dict[Hashable, tuple[Endpoint, Endpoint]] = {}
        for start, end in _pairs(source, destination):
            if start.address == end.address or (start.pod is not None and start.pod == end.pod):
                continue
            if not _near(start, end):
                key = source.key, destination.key
                if key not in self._pairs:
                    self._pairs[key] = pair_ports(self.judge, start, end)
                return start, end, self._pairs[key]
            close.setdefault(_node_of(start), (start, end))
        for start, end in close.values():
            if not unstoppable(self.judge.policies, start, end):
                return start, end, pair_ports(self.judge, start, end)
        return None

    def named(self, source: Kind, destination: Kind) -> tuple[Endpoint, Endpoint, PairPorts] | None:
        """The same for two ends that were named one by one: what no policy can forbid counts, too."""
        if source.family != destination.family:
            return None
        return source.first, destination.first, pair_ports(self.judge, source.first, destination.first)

    def _key(self, end: Endpoint) -> Hashable:
        family = end.address.version
        covering = self._covered(end.address)
        if end.address in self.judge.policies.snapshot.contested:
            # What matches one of its holders matches the address, whoever is asked about.
            return end.address, end.pod.key if end.pod is not None else None
        if end.pod is None:
            return None, family, covering
        seen = self.judge.policies.selection.kind_of(end.pod)
        return seen, end.pod.ports, end.pod.host_network, end.pod.addressed, family, covering

    def _covered(self, address: Address) -> tuple[int, ...]:
        """Which blocks of the policies an address is in. Between two borders all addresses are in the same."""
        family = address.version
        between = bisect_right(self._borders[family], int(address))
        found = self._covering.get((family, between))
        if found is None:
            found = tuple(number for number, block in enumerate(self._blocks) if address in block)
            self._covering[family, between] = found
        return found

    @cached_property
    def _blocks(self) -> tuple[AddressSet, ...]:
        policies = self.judge.policies
        found: dict[AddressSet, None] = {}
        for direction in Direction:
            for rule in policies.rules(policies.snapshot.policies, direction):
                found.update((one.addresses, None) for one in rule.peers or () if isinstance(one, BlockMatch))
        return tuple(found)

    @cached_property
    def _borders(self) -> dict[Family, list[int]]:
        return {
            family: sorted(
                {value for one in self._blocks for low, high in one.family(family) for value in (low, high + 1)}
            )
            for family in FAMILIES
        }


def _pairs(source: Kind, destination: Kind) -> Iterator[tuple[Endpoint, Endpoint]]:
    return ((start, end) for start in source.ends for end in destination.ends)


def _near(one: Endpoint, other: Endpoint) -> bool:
    """Whether one may be the node of the other: then the API may exempt what goes between them."""
    return (_is_node(one) or _is_node(other)) and _node_of(one) == _node_of(other)


def _is_node(end: Endpoint) -> bool:
    return end.pod is None or end.pod.host_network


def _node_of(end: Endpoint) -> str:
    return end.node.name if end.node is not None else end.pod.node if end.pod is not None else ""
