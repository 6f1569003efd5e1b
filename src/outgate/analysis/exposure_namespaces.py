"""Between namespaces: which of the others a workload reaches, and from which it is reached.

Both ends are asked, egress and ingress, of the pods that are there: a namespace is reached if any pod of it is, on any
port of TCP, UDP or SCTP. Sets of identities are integers (see `policy.identity`), so a namespace is one integer, and
the question is one intersection for each.
"""

from __future__ import annotations

from collections.abc import Iterable

from outgate.model import Direction
from outgate.packets import TransportSet
from outgate.policy.grid import Grid
from outgate.policy.identity import Bits
from outgate.policy.rules import Origin, Rule
from outgate.records import dataclass

__all__ = ["Neighbourhood", "Neighbours"]

_GOVERNED = TransportSet.governed()


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The other namespaces of the input that have pods, and which of them a workload deals with."""

    others: int
    reaches: tuple[str, ...]
    reached_from: tuple[str, ...]
    out_by: tuple[Origin, ...]
    """The egress rules by which any pod there is reached. Empty where no policy isolates it."""
    in_by: tuple[Origin, ...]
    """The ingress rules that name any pod of the namespaces that reach it."""


class Neighbourhood:
    """The namespaces of a grid."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._members: dict[str, Bits] = {}
        for number, identity in enumerate(grid.identities.all):
            self._members[identity.namespace] = self._members.get(identity.namespace, 0) | 1 << number
        self._opens: dict[int, bool] = {}
        self._reached = [self._reaches(number) for number in range(len(grid.identities.all))]
        self._from: dict[str, Bits] = dict.fromkeys(self._members, 0)
        for number, identity in enumerate(grid.identities.all):
            self._from[identity.namespace] |= self._reached[number]

    def of(self, number: int) -> Neighbours:
        """The neighbours of an identity."""
        own = self._grid.identities.all[number].namespace
        others = {name: bits for name, bits in sorted(self._members.items()) if name != own}
        reaches = [name for name, bits in others.items() if bits & self._reached[number]]
        reached_from = [name for name in others if self._from[name] >> number & 1]
        return Neighbours(
            len(others),
            tuple(reaches),
            tuple(reached_from),
            self._out_by(number, _union(others[name] for name in reaches)),
            self._in_by(number, _union(others[name] for name in reached_from)),
        )

    def _reaches(self, number: int) -> Bits:
        found = 0
        for transports, bits in self._grid.joined(number):
            if self._is_open(transports):
                found |= bits
        return found

    def _is_open(self, transports: int) -> bool:
        found = self._opens.get(transports)
        if found is None:
            found = self._opens[transports] = bool(self._grid.transports.sets[transports] & _GOVERNED)
        return found

    def _out_by(self, number: int, whom: Bits) -> tuple[Origin, ...]:
        rules = self._grid.accepting(self._grid.keys[Direction.EGRESS][number], Direction.EGRESS) if whom else ()
        return tuple(rule.origin for rule in rules if self._leads_out(rule, number, whom))

    def _leads_out(self, rule: Rule, number: int, whom: Bits) -> bool:
        """Whether what the rule lets out is let in by any of these."""
        grid = self._grid
        return any(
            bits & others & whom and self._is_open(grid.transports.meet(transports, both))
            for family in grid.families
            for transports, bits in grid.out_of(rule, family)
            for both, others in grid.row(number, family)
        )

    def _in_by(self, number: int, whom: Bits) -> tuple[Origin, ...]:
        rules = self._grid.accepting(self._grid.keys[Direction.INGRESS][number], Direction.INGRESS) if whom else ()
        families = self._grid.families
        return tuple(rule.origin for rule in rules if any(self._grid.peers(rule, one) & whom for one in families))


def _union(many: Iterable[Bits]) -> Bits:
    found = 0
    for bits in many:
        found |= bits
    return found
