"""What the rules of a workload open by names: the patterns, as they are written, with the ports that pass.

A rule about names opens the addresses that a pod was told for them, and nobody knows these beforehand. So each pattern
is asked for by itself: of a name that it means, whatever address it leads to, which packets pass? The answer is a set
of packets like any other, after the tiers, the denials and the conditions of all rules together. Nearly always it is
the same for every address; where a denial by addresses tells some of them apart, the parts are said one by one.

A name that several patterns mean gets what all of these open. Under a name that is written without a star the others
that mean it are counted, so that its line is the whole answer about it.

It may get more than that. Policies of one priority have no order, and each is asked by its own first matching rule
(`outgate.policy.tiers`): where two allow a pattern each and deny all else, only a name that both patterns mean passes.
Such names have a line of their own, ``*.example.com & api.*.com``. So the lines whose patterns all mean a name are
together the answer about it. An Accept never takes anything away, wherever it stands. It adds to what others open only
in one place: before a denial (or a Pass) of its own policy, beside another policy of that priority. So a line needs one
pattern for each such policy, and one more by which the packet passes in the end.

What is within the cluster is opened by no name (Cilium: "IPs that belong to the cluster are not matched"), nor is what
the DNS proxy keeps out (`outgate.packets.special.NEVER_NAMED`), so such addresses make no difference here.

A pod that may ask nobody for a name is never told it, so that the rule opens nothing for it (`learnable`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from outgate.analysis.learning import Learning
from outgate.analysis.on_condition import Conditional, apart, by_rules
from outgate.errors import TooComplex
from outgate.model import Direction, Pod
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.packets.special import NEVER_NAMED
from outgate.policy import Action, Rule
from outgate.policy.grid import Grid
from outgate.policy.name_overlap import have_a_name_in_common
from outgate.policy.names import Dialect, Pattern, canonical, plain
from outgate.policy.rules import NamesMatch
from outgate.policy.tiers import Isolation, Layer, partition
from outgate.records import dataclass

__all__ = ["Named", "Opening", "learnable", "names_of", "openings", "opens", "together_opened"]

_EVERYWHERE = AddressSet.any()
_MOST = 2000
"""Sets of patterns that are looked at for one workload: each takes about a millisecond."""


@dataclass(frozen=True, slots=True)
class Named:
    """The addresses that a pod is told for the names that a pattern means, and all of `also`.

    `addresses`: only those of them that are among these; every one, where policies tell none of them apart.
    """

    pattern: Pattern
    addresses: AddressSet = _EVERYWHERE
    also: tuple[Pattern, ...] = ()

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """All that mean such a name."""
        return self.pattern, *self.also

    @property
    def name(self) -> str:
        """The patterns as they are written."""
        return " & ".join(one.text for one in self.patterns)

    def means(self, name: str) -> bool:
        """Whether a name is among these."""
        return all(one.matches(name) for one in self.patterns)

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

    def conditional(self, transports: TransportSet) -> Iterator[Conditional]:
        """What is asked of some of these ports, part by part."""
        mine = [(rule, TransportSet.any() if rule.ports is None else rule.ports.numbers) for rule in self.rules]
        for part, rules in by_rules(self.asked & transports, mine):
            yield Conditional(Direction.EGRESS, part, rules)


def openings(grid: Grid, number: int) -> tuple[Opening, ...]:
    """What rules about names open for an identity, in the order in which the patterns are written.

    Raises:
        TooComplex: there are too many sets of patterns of which a name may have more than of each.
    """
    standing = grid.standing(grid.keys[Direction.EGRESS][number], Direction.EGRESS)
    patterns = _patterns(standing)
    found: dict[tuple[Pattern, ...], tuple[PacketSet, PacketSet]]
    found = {(one,): _passing(grid, number, standing, (one,)) for one in patterns}
    for together in together_opened(standing, patterns):
        passing, asking = _passing(grid, number, standing, together)
        less = [part for some, part in found.items() if set(some) < set(together)]
        if passing - PacketSet.union_of(cube for one, _ in less for cube in one) or (
            (passing - asking) - PacketSet.union_of(cube for one, only in less for cube in one - only)
        ):
            found[together] = passing, asking
    return tuple(
        one
        for together, (passing, asking) in found.items()
        for one in _opened(grid, number, standing, together, passing, asking)
    )


def learnable(learning: Learning, pod: Pod, opened: tuple[Opening, ...]) -> tuple[Opening, ...]:
    """Those of some openings whose names lead anywhere, and that a pod may ask for: the rest opens nothing."""
    return tuple(one for one in opened if learning.opens(pod, one.named.patterns))


def _patterns(standing: Isolation) -> tuple[Pattern, ...]:
    found: dict[tuple[str, Dialect | None], Pattern] = {}
    for pattern in (one for rule in standing.every_rule() for one in names_of(rule)):
        name = canonical(pattern.text)
        # A name without a star is the same name in every dialect, and in any case.
        found.setdefault((name, pattern.dialect if "*" in name else None), pattern)
    return tuple(found.values())


def names_of(rule: Rule) -> Iterator[Pattern]:
    """The names that a rule opens, as patterns."""
    if rule.action is Action.ACCEPT:
        for peer in rule.peers or ():
            if isinstance(peer, NamesMatch):
                yield from map(plain, peer.patterns)


def opens(rule: Rule, patterns: Sequence[Pattern]) -> bool:
    """Whether a rule opens what all of some patterns mean: it has one of them, or one is a name that it means."""
    exact = [one.text for one in patterns if "*" not in one.text]
    return any(one in patterns or any(one.matches(name) for name in exact) for one in names_of(rule))


def together_opened(standing: Isolation, patterns: Sequence[Pattern]) -> Iterator[tuple[Pattern, ...]]:
    """The sets of patterns of which a name may have more than of each, the smaller ones first; they share a name."""
    order = {one: at for at, one in enumerate(patterns) if "*" in one.text}
    turned = [names for layer in (*standing.admin, *standing.baseline) for names in _turned(layer)]
    found: set[frozenset[Pattern]] = {frozenset()}
    for names in (*turned, patterns) if turned else ():
        # Under a name without a star all that mean it are counted already.
        for one, added in itertools.product(tuple(found), [name for name in names if name in order]):
            together = one | {added}
            if together not in found and have_a_name_in_common(*together):
                found.add(together)
            if len(found) > _MOST:
                raise TooComplex(
                    f"{_policies_of(standing)}: there are too many sets of names that policies of one priority open",
                    hint="give these policies priorities of their own",
                )
    chosen = [tuple(sorted(one, key=order.__getitem__)) for one in found if len(one) > 1]
    yield from sorted(chosen, key=lambda one: (len(one), [order[name] for name in one]))


def _turned(layer: Layer) -> Iterator[tuple[Pattern, ...]]:
    """For each policy of a layer that is not alone: the names that it allows before it denies, or passes on."""
    for rules in layer.policies if len(layer.policies) > 1 else ():
        last = max((at for at, rule in enumerate(rules) if rule.action is not Action.ACCEPT), default=0)
        names = tuple(dict.fromkeys(name for rule in rules[:last] for name in names_of(rule)))
        if names:
            yield names


def _policies_of(standing: Isolation) -> str:
    crowded = (layer for layer in (*standing.admin, *standing.baseline) if any(_turned(layer)))
    return ", ".join(dict.fromkeys(f"{one.origin.kind} {one.origin.name}" for layer in crowded for one in layer.rules))


def _extent(grid: Grid, number: int, rule: Rule, patterns: Sequence[Pattern]) -> PacketSet:
    addresses = _EVERYWHERE if opens(rule, patterns) else grid.outside_of(rule)
    return PacketSet.cube(addresses, grid.ports_outside(rule, number))


def _passing(grid: Grid, number: int, standing: Isolation, patterns: Sequence[Pattern]) -> tuple[PacketSet, PacketSet]:
    """Of what rules about these names speak of: what passes to their addresses, and what of it on a condition alone."""

    def extent(rule: Rule) -> PacketSet:
        return _extent(grid, number, rule, patterns)

    mine = [rule for rule in standing.every_rule() if opens(rule, patterns)]
    asked_for = PacketSet.union_of(cube for rule in mine for cube in extent(rule))
    plain, asking = PacketSet.none(), PacketSet.none()
    for packets, verdict, rule in partition(standing, asked_for, extent):
        if not verdict.allows:
            continue
        if rule is not None and rule.conditions is not None:
            asking |= packets
        else:
            plain |= packets
    return plain | asking, asking


def _opened(
    grid: Grid, number: int, standing: Isolation, patterns: Sequence[Pattern], passing: PacketSet, asking: PacketSet
) -> Iterator[Opening]:
    conditional = [
        (rule, _extent(grid, number, rule, patterns)) for rule in standing.rules if rule.conditions is not None
    ]
    inside = grid.policies.selection.places.taken | NEVER_NAMED
    for some, transports, asked in _by_condition(passing, asking):
        for addresses, rules in _by_rules(some, asked, conditional):
            # What is the cluster's is left out, or filled up: it is told apart from the rest for nothing.
            if not addresses <= inside:
                whole = (_EVERYWHERE - addresses) <= inside
                shown = _EVERYWHERE if whole else addresses
                yield Opening(Named(patterns[0], shown, tuple(patterns[1:])), transports, asked, rules)


def _by_condition(passing: PacketSet, asking: PacketSet) -> Iterator[tuple[AddressSet, TransportSet, TransportSet]]:
    """The parts in which the same passes, and the same of it on a condition."""
    for addresses, transports in passing:
        if not transports & TransportSet.governed():
            continue
        rest = addresses
        for some, asked in asking.restrict(addresses):
            yield some, transports, asked
            rest = rest - some
        if rest:
            yield rest, transports, TransportSet()


def _by_rules(
    addresses: AddressSet, asked: TransportSet, conditional: Sequence[tuple[Rule, PacketSet]]
) -> Iterator[tuple[AddressSet, tuple[Rule, ...]]]:
    """The parts of some addresses of which the same is asked: to what a name asks, a block may add conditions."""
    alike: dict[object, tuple[list[AddressSet], dict[Rule, None]]] = {}
    for some, mine in apart(addresses, asked, conditional if asked else ()):
        # What another rule asks as well makes no difference, wherever it does.
        many, rules = alike.setdefault(frozenset((rule.conditions, ports) for rule, ports in mine), ([], {}))
        many.append(some)
        rules.update((rule, None) for rule, _ in mine)
    yield from ((AddressSet.union_of(many), tuple(rules)) for many, rules in alike.values())
