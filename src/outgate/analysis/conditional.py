"""What of a connection passes only on a condition above TCP: a request, a question of DNS, the name of a server.

Of all that an end lets through to a peer, the conditional part is what no rule lets through without a condition: an
allowance of the same peer and port that asks for nothing makes the conditions of others void.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from outgate.analysis.connections import Connection, Connections
from outgate.analysis.deciding import saying
from outgate.analysis.groups import Group
from outgate.analysis.opened import Named
from outgate.model import Direction
from outgate.packets import TransportSet
from outgate.policy import Action, Rule
from outgate.records import dataclass

__all__ = ["Conditional", "Conditionals", "conditionals"]


@dataclass(frozen=True, slots=True)
class Conditional:
    """Ports of a connection that one end lets through only where one of these rules has its condition met."""

    direction: Direction
    transports: TransportSet
    rules: tuple[Rule, ...]


Conditionals = Callable[[Connection], tuple[Conditional, ...]]


def conditionals(found: Connections) -> Conditionals:
    """What asks for the conditional parts of connections; it costs nothing where no rule has conditions."""
    if all(rule.conditions is None for rule in found.grid.all_rules()):
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
        plain, asked, some = TransportSet(), TransportSet(), []
        for rule, transports in saying(Action.ACCEPT, found, subject, peer, direction, found.grid.families):
            if rule.conditions is None:
                plain |= transports
            else:
                asked |= transports
                some.append((rule, transports))
        # Where nothing isolates, what no rule speaks of passes without a condition.
        left = (one.transports & asked) - plain
        for part, rules in _by_rules(left, some):
            yield Conditional(direction, part, rules)


def _by_rules(
    transports: TransportSet, rules: Sequence[tuple[Rule, TransportSet]]
) -> Iterator[tuple[TransportSet, tuple[Rule, ...]]]:
    """The parts of some ports, each with the rules of which one must be met there: 443 for a name, 80 for a request."""
    parts: list[tuple[TransportSet, tuple[Rule, ...]]] = [(transports, ())]
    for rule, its in rules:
        cut = ((part & its, (*mine, rule)) for part, mine in parts), ((part - its, mine) for part, mine in parts)
        parts = [one for many in zip(*cut, strict=True) for one in many if one[0]]
    return (one for one in parts if one[1])


def _of_name(found: Connections, one: Connection, named: Named) -> Iterator[Conditional]:
    for opening in found.opened(one.source) if isinstance(one.source, Group) else ():
        asked = opening.asked & one.transports
        if opening.named == named and asked:
            mine = [(rule, TransportSet.any() if rule.ports is None else rule.ports.numbers) for rule in opening.rules]
            for part, rules in _by_rules(asked, mine):
                yield Conditional(Direction.EGRESS, part, rules)
