"""Which rules let a connection pass, on both ends.

Of each end: the rules that allow some of what passes. There may be several, for policies add up; taking one away
closes only what no other allows. An end that no policy isolates has none, and `isolating` is empty for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.analysis.connections import Connection, Connections, External, Party
from outgate.analysis.controller import IngressController, for_everybody
from outgate.analysis.groups import Group
from outgate.analysis.opened import Named, opens
from outgate.analysis.spelling import spell_addresses
from outgate.model import Direction
from outgate.packets import TransportSet
from outgate.packets.addresses import Family
from outgate.policy import Origin, Rule
from outgate.policy.grid import Grid
from outgate.policy.rules import Action, origin_of
from outgate.records import dataclass

__all__ = ["Side", "saying", "side", "speaks_of"]


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a connection: the policies that isolate it, and the rules that let the connection pass."""

    direction: Direction
    subject: Party
    isolating: tuple[Origin, ...]
    rules: tuple[Rule, ...]
    governed: bool = False
    """Whether any policy selects the subject, those of the whole cluster included."""

    @property
    def words(self) -> str:
        """Why it passes at this end, in a sentence."""
        if not isinstance(self.subject, Group):
            one = spell_addresses(self.subject.addresses) if isinstance(self.subject, External) else self.subject
            return f"{one} is outside the cluster: no policy applies to it"
        if not self.isolating and not self.rules:
            if self.subject.pods[0].host_network:
                return f"{self.subject} is on the host network, where policies do not apply"
            if self.governed:
                return f"no rule of the policies that select {self.subject} denies it"
            return f"no policy selects {self.subject} for {self.direction.value.lower()}"
        return f"allowed by {', '.join(str(rule.origin) for rule in self.rules)}"


def side(found: Connections, one: Connection, direction: Direction) -> Side:
    """One end of a connection of the list."""
    subject, peer = (one.source, one.destination) if direction is Direction.EGRESS else (one.destination, one.source)
    if not isinstance(subject, Group):
        return Side(direction, subject, (), ())
    key = found.grid.keys[direction][subject.identity]
    isolating = tuple(origin_of(policy, direction) for policy in found.grid.policies_of(key, direction))
    ruled = saying(Action.ACCEPT, found, subject, peer, direction, found.grid.families)
    rules = tuple(rule for rule, allowed in ruled if allowed & one.transports)
    return Side(direction, subject, isolating, rules, bool(key))


def saying(
    action: Action, found: Connections, subject: Group, peer: Party, direction: Direction, families: Iterable[Family]
) -> Iterator[tuple[Rule, TransportSet]]:
    """The rules of one action for a group in a direction, each with all that it says it of, to or from the peer."""
    for rule in found.grid.standing(found.grid.keys[direction][subject.identity], direction).every_rule():
        if rule.action is action:
            yield rule, speaks_of(found.grid, rule, subject, peer, families)


def speaks_of(grid: Grid, rule: Rule, subject: Group, peer: Party, families: Iterable[Family]) -> TransportSet:
    """All that a rule says something of, between a group and a peer, by addresses of these families."""
    match peer:
        case External(addresses=addresses):
            met = not grid.outside_of(rule).isdisjoint(addresses)
            return grid.ports_outside(rule, subject.identity) if met else TransportSet()
        case Named(addresses=addresses):
            block = grid.outside_of(rule)
            # What is allowed by addresses is allowed to all of them only where it has them all.
            met = block >= addresses if rule.action is Action.ACCEPT else not block.isdisjoint(addresses)
            return grid.ports_outside(rule, subject.identity) if met or opens(rule, peer.patterns) else TransportSet()
        case IngressController():
            # Whoever serves Ingress objects is a stranger: only what speaks of everybody speaks of it.
            return grid.ports_outside(rule, subject.identity) if for_everybody(rule) else TransportSet()
    allowed, bit = TransportSet(), 1 << peer.identity
    outbound = rule.direction is Direction.EGRESS
    for family in families:
        for number, bits in grid.out_of(rule, family) if outbound else grid.into(rule, subject.identity, family):
            if bits & bit:
                allowed |= grid.transports.sets[number]
    return allowed
