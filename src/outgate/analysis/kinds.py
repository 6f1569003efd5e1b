"""Kinds of ends: those that no policy can tell apart are asked about once.

Two ends are of one kind if they have the same namespace, labels and container ports, are both on the host network or
both not, and their addresses, of one family, lie in the same blocks of the policies. A verdict between two ends
depends on their kinds, and beyond that on two things: whether they are the same pod, and whether one is the node that
the other runs on. `Kinds.pair` takes a pair that is neither, where there is one.

The kind of an end is found once. From then on a set of ends (see `roll`) is divided kind by kind, not end by end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator
from dataclasses import field
from functools import cached_property

from outgate.analysis.ports import PairPorts, pair_ports
from outgate.analysis.roll import Bits, Roll, bits_of, numbers
from outgate.model import Direction
from outgate.packets import Address, AddressSet
from outgate.packets.addresses import FAMILIES, Family
from outgate.policy import BlockMatch, Endpoint, Judge, unstoppable
from outgate.records import dataclass

__all__ = ["Kind", "Kinds"]


@dataclass(frozen=True, slots=True)
class Kind:
    """Ends that are treated alike: some members of a roll."""

    key: int
    """The number of the kind."""
    roll: Roll = field(compare=False, repr=False)
    bits: Bits

    @property
    def ends(self) -> Iterator[Endpoint]:
        """All of them, by their numbers."""
        return (self.roll.ends[number] for number in numbers(self.bits))

    @property
    def number(self) -> int:
        """The lowest number among them."""
        return (self.bits & -self.bits).bit_length() - 1

    @property
    def first(self) -> Endpoint:
        """The one that stands for all."""
        return self.roll.ends[self.number]

    @property
    def family(self) -> Family:
        """4 or 6."""
        return self.first.address.version


class Kinds:
    """Groups the ends of a roll for one set of policies, and asks once for each pair of kinds."""

    def __init__(self, judge: Judge, roll: Roll | None = None) -> None:
        self.judge = judge
        self.roll = roll if roll is not None else Roll(judge.policies.snapshot)
        self._pairs: dict[tuple[int, int], PairPorts] = {}
        self._covering: dict[tuple[Family, int], tuple[int, ...]] = {}
        self._keys: dict[Hashable, int] = {}
        self._bits: list[Bits] = []
        self._of_end: dict[int, int] = {}
        self._divided: Bits = 0

    def of(self, some: Bits) -> list[Kind]:
        """The kinds of some ends, in the order of their first members."""
        self._divide(some & ~self._divided)
        if some.bit_count() < len(self._bits):
            keys = dict.fromkeys(self._of_end[number] for number in numbers(some))
            return [Kind(key, self.roll, some & self._bits[key]) for key in keys]
        found = [Kind(key, self.roll, mine) for key, bits in enumerate(self._bits) if (mine := some & bits)]
        return sorted(found, key=lambda kind: kind.number)

    def each(self, some: Bits) -> list[Kind]:
        """Every end of some as if it were alone of its kind."""
        self._divide(some & ~self._divided)
        return [Kind(self._of_end[number], self.roll, 1 << number) for number in numbers(some)]

    def _divide(self, some: Bits) -> None:
        """Find the kinds of ends that nobody has asked about."""
        found: dict[int, list[int]] = {}
        for number in numbers(some):
            key = self._keys.setdefault(self._key(self.roll.ends[number]), len(self._keys))
            self._of_end[number] = key
            found.setdefault(key, []).append(number)
        self._bits += [0] * (len(self._keys) - len(self._bits))
        for key, many in found.items():
            self._bits[key] |= bits_of(many)
        self._divided |= some

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
            for rule in policies.rules(policies.snapshot.every_policy, direction):
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
