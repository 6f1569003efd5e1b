"""Not a check: which rules have a say, for all workloads at once.

A rule has a say where anything comes to it of which it speaks (`outgate.policy.tiers`): a packet outside, a port of a
pod within the cluster, or a name. Workloads under the same policies are one `Audience`, and what policies share is
worked out once for all audiences: what the Admin tier and the denials leave, and what a rule speaks of. On egress that
does not hang on who asks, and on ingress only where a rule names ports, of which each pod has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from typing import Generic, TypeVar

from outgate.analysis.groups import Group
from outgate.analysis.opened import openings
from outgate.checks.overlaps import asks_for_names, contributions, patterns
from outgate.checks.survey import Survey
from outgate.model import ContainerPort, Direction
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.packets.addresses import Family
from outgate.policy import Rule
from outgate.policy.cells import Cells
from outgate.policy.grid import PolicyKey
from outgate.policy.interned import EVERYTHING
from outgate.policy.names import Pattern
from outgate.policy.tiers import Extent, Isolation, Layer, said_by
from outgate.records import dataclass

__all__ = ["Audience", "Hearing"]

Packets = TypeVar("Packets", bound=Extent)
_Ports = tuple[ContainerPort, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class Audience:
    """Workloads for which all rules of a direction mean the same."""

    standing: Isolation
    rules: tuple[Rule, ...]
    """All of them, in their order."""
    meanings: tuple[int, ...]
    """For each of them a number, which it has for another audience too where it means the same there."""
    number: int
    """An identity that stands for all."""
    groups: dict[int, Group] = field(default_factory=dict)
    """The workloads, each by its place among all."""

    @property
    def admin(self) -> tuple[int, ...]:
        """The numbers of the rules of the Admin tier, which come first."""
        return self.meanings[: sum(len(one) for layer in self.standing.admin for one in layer.policies)]

    def those(self, rules: Iterable[Rule]) -> tuple[int, ...]:
        """The numbers of some of its rules."""
        known = dict(zip(map(id, self.rules), self.meanings, strict=True))
        return tuple(known[id(rule)] for rule in rules)


@dataclass(frozen=True, slots=True, eq=False)
class _Above(Generic[Packets]):
    """What comes to the allowances of the NetworkPolicy tier: what the Admin tier leaves, less what is denied."""

    said: tuple[Rule, ...]
    """The rules before that speak."""
    rest: Packets
    reached: dict[int, bool] = field(default_factory=dict)
    """Of allowances, whether any of it is what they speak of."""


class _View(Generic[Packets]):
    """The rules that anything comes to, of one sort of packets."""

    def __init__(self, everything: Packets, extent: Callable[[Rule, int], Packets]) -> None:
        self._everything = everything
        self._work_out = extent
        self._extents: dict[int, Packets] = {}
        self._admin: dict[tuple[int, ...], tuple[tuple[Rule, ...], Packets]] = {}
        self._above: dict[tuple[tuple[int, ...], ...], _Above[Packets]] = {}

    def speaking(self, audience: Audience) -> Iterator[Rule]:
        """Those that speak of anything that comes to them.

        In the NetworkPolicy tier there is no order: all that deny are among them, and all that allow what is left.
        """
        standing, above = audience.standing, self._above_of(audience)
        yield from above.said
        extents = self._of(standing.rules, audience)
        for rule, (meaning, extent) in zip(standing.rules, extents, strict=True):
            reached = above.reached.get(meaning)
            if reached is None:
                reached = above.reached[meaning] = bool(extent & above.rest)
            if reached:
                yield rule
        if standing.baseline and not standing.policies:
            rest = above.rest
            for _, extent in extents:
                rest = rest - extent
            yield from self._said_by(standing.baseline, rest, audience)[0]

    def extent(self, rule: Rule, meaning: int, number: int) -> Packets:
        """What a rule speaks of, by its meaning for an identity."""
        found = self._extents.get(meaning)
        if found is None:
            found = self._extents[meaning] = self._work_out(rule, number)
        return found

    def below_admin(self, audience: Audience) -> tuple[tuple[Rule, ...], Packets]:
        """The rules of the Admin tier that speak, and what it leaves."""
        if audience.admin not in self._admin:
            self._admin[audience.admin] = self._said_by(audience.standing.admin, self._everything, audience)
        return self._admin[audience.admin]

    def _above_of(self, audience: Audience) -> _Above[Packets]:
        """What is before the allowances of an audience."""
        standing = audience.standing
        key = audience.admin, audience.those(standing.denials)
        found = self._above.get(key)
        if found is None:
            said, rest = self.below_admin(audience)
            extents = self._of(standing.denials, audience)
            denying = (rule for rule, (_, one) in zip(standing.denials, extents, strict=True) if one & rest)
            said = (*said, *denying)
            for _, one in extents:
                rest = rest - one
            found = self._above[key] = _Above(said, rest)
        return found

    def _of(self, rules: tuple[Rule, ...], audience: Audience) -> list[tuple[int, Packets]]:
        meanings = audience.those(rules)
        return [
            (meaning, self.extent(rule, meaning, audience.number))
            for rule, meaning in zip(rules, meanings, strict=True)
        ]

    def _said_by(
        self, tier: tuple[Layer, ...], everything: Packets, audience: Audience
    ) -> tuple[tuple[Rule, ...], Packets]:
        """The rules of a tier that are the first for anything, and what the tier leaves."""
        every = tuple(rule for layer in tier for rule in layer.rules)
        extents = {id(rule): one for rule, (_, one) in zip(every, self._of(every, audience), strict=True)}
        return said_by(tier, everything, lambda rule: extents[id(rule)])


class Hearing:
    """What has a say in one direction."""

    def __init__(self, survey: Survey, direction: Direction) -> None:
        self._grid = grid = survey.grid
        self._direction = direction
        self._meanings: dict[tuple[int, _Ports], int] = {}
        self.audiences = tuple(self._audiences(survey.groups))
        self._outside = _View(PacketSet.any(), grid.packets_outside)
        everybody = Cells(grid.transports, ((EVERYTHING, grid.identities.everybody),))
        self._within = tuple(_View(everybody, self._cells(family)) for family in grid.families)
        self._opened: dict[object, frozenset[Pattern]] = {}

    def _audiences(self, groups: Iterable[Group]) -> Iterable[Audience]:
        """All of them, in the order of their first workloads. Pods on the host network are none: no rule is theirs."""
        grid, found = self._grid, dict[object, Audience]()
        rules_of: dict[PolicyKey, tuple[tuple[Rule, ...], bool]] = {}
        for place, group in enumerate(groups):
            if group.pods[0].host_network:
                continue
            key = grid.keys[self._direction][group.identity]
            standing = grid.standing(key, self._direction)
            if key not in rules_of:
                rules = tuple(standing.every_rule())
                rules_of[key] = rules, any(map(asks_for_names, rules))
            rules, asked = rules_of[key]
            ports = grid.identities.all[group.identity].ports if asked else None
            if (key, ports) not in found:
                meanings = tuple(self._meaning(rule, ports) for rule in rules)
                found[key, ports] = Audience(standing, rules, meanings, group.identity)
            found[key, ports].groups[place] = group
        return found.values()

    def _meaning(self, rule: Rule, ports: _Ports) -> int:
        # The rules of a snapshot are made once, and kept by the grid.
        key = id(rule), ports if asks_for_names(rule) else None
        return self._meanings.setdefault(key, len(self._meanings))

    def _cells(self, family: Family) -> Callable[[Rule, int], Cells]:
        grid = self._grid
        return lambda rule, number: Cells.of(grid.transports, contributions(grid, rule, number, family))

    def speaking(self, audience: Audience) -> Iterator[Rule]:
        """The rules to which anything comes of addresses outside or of pods; a rule may come several times."""
        yield from self._outside.speaking(audience)
        for one in self._within:
            yield from one.speaking(audience)

    def naming(self, audience: Audience) -> tuple[Rule, ...]:
        """The rules that may have a say by names, of which `speaking` knows nothing."""
        if self._direction is Direction.INGRESS:
            return ()
        return tuple(rule for rule in audience.rules if patterns(rule))

    def opening(self, audience: Audience) -> Iterator[Rule]:
        """Those of whose names anything passes."""
        naming = self.naming(audience)
        asked = TransportSet()
        for rule in naming:
            asked |= self._grid.ports_outside(rule, audience.number)
        key: object = id(audience)
        if not self._outside.below_admin(audience)[1] & PacketSet.cube(AddressSet.any(), asked):
            # Of these ports nothing comes to the tiers below, so that those below make no difference.
            key = audience.admin, audience.those(naming)
        if key not in self._opened:
            opened = openings(self._grid, audience.number)
            self._opened[key] = frozenset(pattern for one in opened for pattern in one.named.patterns)
        yield from (rule for rule in naming if self._opened[key].intersection(patterns(rule)))

    def has_extent(self, rule: Rule, meaning: int, audience: Audience) -> bool:
        """Whether a rule speaks of anything that there is."""
        number = audience.number
        return (
            any(view.extent(rule, meaning, number) for view in self._within)
            or bool(self._outside.extent(rule, meaning, number))
            or bool(patterns(rule))
        )
