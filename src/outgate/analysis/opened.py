"""What the rules of a workload open by names: the patterns, as they are written, with the ports that pass.

A rule about names opens the addresses that a pod was told for them, and nobody knows these beforehand. So each pattern
is asked for by itself: of a name that it means, whatever address it leads to, which packets pass? The answer is a set
of packets like any other, after the tiers, the denials and the conditions of all rules together. Nearly always it is
the same for every address; where a denial by addresses tells some of them apart, the parts are said one by one.

A name that several patterns mean gets what all of these open. Under a name that is written without a star the others
that mean it are counted, so that its line is the whole answer about it.

What is within the cluster is opened by no name (Cilium: "IPs that belong to the cluster are not matched"), so such
addresses make no difference here.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.model import Direction
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.policy import Action, Rule
from outgate.policy.grid import Grid
from outgate.policy.names import Pattern
from outgate.policy.rules import NamesMatch
from outgate.policy.tiers import Isolation, partition
from outgate.records import dataclass

__all__ = ["Named", "Opening", "names_of", "openings", "opens"]

_EVERYWHERE = AddressSet.any()


@dataclass(frozen=True, slots=True)
class Named:
    """The addresses that a pod is told for the names that a pattern means.

    `addresses`: only those of them that are among these; every one, where policies tell none of them apart.
    """

    pattern: Pattern
    addresses: AddressSet = _EVERYWHERE

    @property
    def name(self) -> str:
        """The pattern as it is written."""
        return self.pattern.text

    @property
    def limited(self) -> bool:
        """Whether only some of the addresses that the name may have are meant."""
        return self.addresses != _EVERYWHERE

    def __str__(self) -> str:
        if not self.limited:
            return self.name
        rest = (_EVERYWHERE - self.addresses).cidrs()
        mine = self.addresses.cidrs()
        if len(rest) < len(mine):
            return f"{self.name} outside of {', '.join(rest)}"
        return f"{self.name} within {', '.join(mine)}"


@dataclass(frozen=True, slots=True)
class Opening:
    """What passes to the addresses of a name. Of `transports` those in `asked` pass only if one of `rules` is met."""

    named: Named
    transports: TransportSet
    asked: TransportSet = TransportSet()
    rules: tuple[Rule, ...] = ()


def openings(grid: Grid, number: int) -> tuple[Opening, ...]:
    """What rules about names open for an identity, in the order in which the patterns are written."""
    standing = grid.standing(grid.keys[Direction.EGRESS][number], Direction.EGRESS)
    return tuple(one for pattern in _patterns(standing) for one in _opened(grid, number, standing, pattern))


def _patterns(standing: Isolation) -> tuple[Pattern, ...]:
    found = (pattern for rule in standing.every_rule() for pattern in names_of(rule))
    return tuple(dict.fromkeys(found))


def names_of(rule: Rule) -> Iterator[Pattern]:
    """The names that a rule opens, as patterns."""
    if rule.action is Action.ACCEPT:
        for peer in rule.peers or ():
            if isinstance(peer, NamesMatch):
                yield from peer.patterns


def opens(rule: Rule, pattern: Pattern) -> bool:
    """Whether a rule opens what a pattern means: it has the same, or the pattern is a name that it means."""
    exact = "*" not in pattern.text
    return any(one == pattern or (exact and one.matches(pattern.text)) for one in names_of(rule))


def _opened(grid: Grid, number: int, standing: Isolation, pattern: Pattern) -> Iterator[Opening]:
    def extent(rule: Rule) -> PacketSet:
        addresses = _EVERYWHERE if opens(rule, pattern) else grid.outside_of(rule)
        return PacketSet.cube(addresses, grid.ports_outside(rule, number))

    mine = [rule for rule in standing.every_rule() if opens(rule, pattern)]
    asked_for = PacketSet.union_of(cube for rule in mine for cube in extent(rule))
    plain, asking = PacketSet.none(), PacketSet.none()
    for packets, verdict, rule in partition(standing, asked_for, extent):
        if not verdict.allows:
            continue
        if rule is not None and rule.conditions is not None:
            asking |= packets
        else:
            plain |= packets
    conditional = [rule for rule in standing.rules if rule.conditions is not None]
    for addresses, transports, asked in _apart(grid, plain | asking, asking):
        part = PacketSet.cube(addresses, asked)
        rules = tuple(rule for rule in conditional if extent(rule) & part) if asked else ()
        yield Opening(Named(pattern, addresses), transports, asked, rules)


def _apart(
    grid: Grid, passing: PacketSet, asking: PacketSet
) -> Iterator[tuple[AddressSet, TransportSet, TransportSet]]:
    """The parts in which the same passes, and the same of it on a condition."""
    inside = _inside(grid)
    parts = []
    for addresses, transports in passing:
        if not transports & TransportSet.governed():
            continue
        rest = addresses
        for some, asked in asking.restrict(addresses):
            parts.append((some, transports, asked))
            rest = rest - some
        if rest:
            parts.append((rest, transports, TransportSet()))
    for addresses, transports, asked in parts:
        # What is the cluster's is left out, or filled up: it is told apart from the rest for nothing.
        if addresses <= inside:
            continue
        whole = (_EVERYWHERE - addresses) <= inside
        yield (_EVERYWHERE if whole else addresses), transports, asked


def _inside(grid: Grid) -> AddressSet:
    snapshot = grid.policies.snapshot
    pods = (address for pod in snapshot.endpoints if pod.addressed for address in pod.addresses)
    nodes = (address for node in snapshot.nodes.values() for address in node.addresses)
    return AddressSet.of((*pods, *nodes))
