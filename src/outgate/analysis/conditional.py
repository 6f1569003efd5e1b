"""What of a connection passes only on a condition above TCP: a request, a question of DNS, the name of a server.

Of all that an end lets through to a peer, the conditional part is what no rule lets through without a condition: an
allowance of the same peer and port that asks for nothing makes the conditions of others void. So does an Accept of the
Admin tier, which is asked before; one of the Baseline tier does not, for it is not asked where a rule matches. What
passes by addresses of one family on a condition is conditional, whatever passes by those of the other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from outgate.analysis.connections import Connection, Connections, Party
from outgate.analysis.deciding import speaks_of
from outgate.analysis.groups import Group
from outgate.analysis.on_condition import Conditional, by_rules
from outgate.analysis.opened import Named
from outgate.model import Direction
from outgate.packets import TransportSet
from outgate.packets.addresses import Family
from outgate.policy import Action
from outgate.policy.grid import Grid
from outgate.policy.tiers import Isolation, partition

__all__ = ["Conditional", "Conditionals", "conditionals"]


Conditionals = Callable[[Connection], tuple[Conditional, ...]]


def conditionals(found: Connections) -> Conditionals:
    """What asks for the conditional parts of connections; it costs nothing where no rule has conditions."""
    if not found.grid.has_conditions:
        return lambda _: ()
    return lambda one: tuple(_of(found, one))


def _of(found: Connections, one: Connection) -> Iterator[Conditional]:
    if isinstance(one.destination, Named):
        yield from _of_name(found, one, one.destination)
        return
    for direction, subject, peer in (
        (Direction.EGRESS, one.source, one.destination),
        (Direction.INGRESS, one.destination, one.source),
    ):
        if not isinstance(subject, Group):
            continue
        standing = found.grid.standing(found.grid.keys[direction][subject.identity], direction)
        asking = [
            rule for rule in standing.every_rule() if rule.conditions is not None and rule.action is Action.ACCEPT
        ]
        passing = _by_family(found, one) if asking else ()
        families = [family for family, _ in passing]
        ruled = ((rule, speaks_of(found.grid, rule, subject, peer, families)) for rule in asking)
        some = [(rule, transports) for rule, transports in ruled if transports]
        if some:
            parts = (_asking(found.grid, standing, subject, peer, *each) for each in passing)
            left = functools.reduce(TransportSet.__or__, parts, TransportSet())
            for part, rules in by_rules(left, some):
                yield Conditional(direction, part, rules)


def _by_family(found: Connections, one: Connection) -> tuple[tuple[Family, TransportSet], ...]:
    """What passes, by each family that has to be told apart and that both ends have."""
    families = found.grid.families
    if len(families) > 1 and isinstance(one.source, Group) and isinstance(one.destination, Group):
        # Of a connection that is shown in part (`--port`), that part.
        return tuple((family, mine & one.transports) for family, mine in found.by_family(one.source, one.destination))
    return ((families[0], one.transports),)


def _asking(
    grid: Grid, standing: Isolation, subject: Group, peer: Party, family: Family, passing: TransportSet
) -> TransportSet:
    """Of what passes by addresses of a family, what a rule with conditions decides."""
    asked = TransportSet()
    for part, verdict, rule in partition(
        standing, passing, lambda rule: speaks_of(grid, rule, subject, peer, [family])
    ):
        if verdict.allows and rule is not None and rule.conditions is not None:
            asked |= part
    return asked


def _of_name(found: Connections, one: Connection, named: Named) -> Iterator[Conditional]:
    for opening in found.opened(one.source) if isinstance(one.source, Group) else ():
        if opening.named == named:
            yield from opening.conditional(one.transports)
