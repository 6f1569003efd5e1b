"""What policies of one priority say different things of.

Policies of one priority have no order (`outgate.policy.tiers`), so where two of them say different things of a packet
the API leaves open what becomes of it. Only what comes to them counts: of what is decided before, nobody asks them.

`Disputes` walks through the tiers once. It can be asked again and again what would be disputed if some rules matched
something else, as rules about names do, and then works out only what hangs on those rules.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from outgate.policy.rules import Action, Rule
from outgate.policy.tiers import STRICTEST_FIRST, Extent, Isolation, Layer, answers, first_matches

__all__ = ["Disputes"]

Packets = TypeVar("Packets", bound=Extent)


class Disputes(Generic[Packets]):
    """The disputes under the policies of one pod, within some packets. `extent`: what a rule matches."""

    def __init__(self, isolation: Isolation, everything: Packets, extent: Callable[[Rule], Packets]) -> None:
        self._isolation = isolation
        self._work_out = extent
        self._extents: dict[int, Packets] = {}
        between = (None, *isolation.baseline) if not isolation.policies else ()
        steps: list[Layer | None] = [*isolation.admin, *between]
        # None is the NetworkPolicy tier. Nothing is asked behind the last layer in which there can be a dispute.
        shared = [place for place, step in enumerate(steps) if step is not None and len(step.policies) > 1]
        self._steps = steps[: shared[-1] + 1] if shared else []
        self._shared = frozenset(shared)
        self._at = {id(rule): place for place, step in enumerate(self._steps) for rule in self._rules(step)}
        nothing = everything - everything
        self._coming = [(everything, nothing)]
        """What comes to each step, and what was passed on before it in its tier, as far as it has been asked for."""
        self._first: dict[int, list[list[tuple[Packets, Rule]]]] = {}

    def all(self) -> Iterator[tuple[Packets, Rule, Rule]]:
        """The packets that two policies say different things of, with the rule of each.

        Parts of several pairs may have packets in common.
        """
        for place, step in enumerate(self._steps):
            if step is not None and place in self._shared:
                yield from _disputed(self._first_of(place, step), self._before(place)[0])

    def supposing(self, other: Mapping[int, Packets]) -> Iterator[tuple[Packets, Rule, Rule]]:
        """The same if some rules, each by its `id`, matched this: what is disputed of what these say."""
        places = sorted({self._at[rule] for rule in other if rule in self._at})
        asked = [place for place in places if place in self._shared]
        if not asked:
            return

        def extent(rule: Rule) -> Packets:
            found = other.get(id(rule))
            return found if found is not None else self._extent(rule)

        rest, passed = self._before(places[0])
        for place in range(places[0], asked[-1] + 1):
            step = self._steps[place]
            if step is not None and place in asked:
                each = [
                    list(first_matches(rules, rest, extent))
                    if place > places[0] or any(id(rule) in other for rule in rules)
                    else known
                    for rules, known in zip(step.policies, self._first_of(place, step), strict=True)
                ]
                yield from _disputed_by(each, other)
            if place < asked[-1]:
                rest, passed = self._behind(step, rest, passed, extent)

    def _rules(self, step: Layer | None) -> Iterator[Rule]:
        if step is not None:
            return step.rules
        return iter((*self._isolation.denials, *self._isolation.rules))

    def _extent(self, rule: Rule) -> Packets:
        # The caller's isolation keeps the rules, so that no other can have the identity of one.
        found = self._extents.get(id(rule))
        if found is None:
            found = self._extents[id(rule)] = self._work_out(rule)
        return found

    def _before(self, place: int) -> tuple[Packets, Packets]:
        for step in self._steps[len(self._coming) - 1 : place]:
            self._coming.append(self._behind(step, *self._coming[-1], self._extent))
        return self._coming[place]

    def _behind(
        self, step: Layer | None, rest: Packets, passed: Packets, extent: Callable[[Rule], Packets]
    ) -> tuple[Packets, Packets]:
        """What a step leaves, and what has been passed on with it."""
        if step is None:
            rest = rest | passed
            for rule in self._rules(None):
                rest = rest - extent(rule)
            return rest, rest - rest
        for hit, rule in answers(step, rest, extent):
            rest = rest - hit
            if rule.action is Action.PASS:
                passed = passed | hit
        return rest, passed

    def _first_of(self, place: int, layer: Layer) -> list[list[tuple[Packets, Rule]]]:
        """What each policy of a layer says, by its own first match."""
        found = self._first.get(place)
        if found is None:
            rest, _ = self._before(place)
            found = [list(first_matches(rules, rest, self._extent)) for rules in layer.policies]
            self._first[place] = found
        return found


def _disputed(each: list[list[tuple[Packets, Rule]]], rest: Packets) -> Iterator[tuple[Packets, Rule, Rule]]:
    """All that two policies of a layer say different things of."""
    nothing = rest - rest
    said = dict.fromkeys(STRICTEST_FIRST, nothing)
    for hit, rule in itertools.chain.from_iterable(each):
        said[rule.action] = said[rule.action] | hit
    doubtful = nothing
    for one, other in itertools.combinations(STRICTEST_FIRST, 2):
        doubtful = doubtful | (said[one] & said[other])
    if not doubtful:
        # So it is nearly always, and then no pair of rules is looked at.
        return
    left = [[(both, rule) for hit, rule in mine if (both := hit & doubtful)] for mine in each]
    for mine, theirs in itertools.combinations(filter(None, left), 2):
        for (hit, rule), (its, against) in itertools.product(mine, theirs):
            both = hit & its if rule.action is not against.action else nothing
            if both:
                yield both, rule, against


def _disputed_by(
    each: list[list[tuple[Packets, Rule]]], concerned: Mapping[int, object]
) -> Iterator[tuple[Packets, Rule, Rule]]:
    """Those of them in which one of some rules has part."""
    said = [(number, hit, rule) for number, mine in enumerate(each) for hit, rule in mine]
    for number, hit, rule in said:
        if id(rule) not in concerned:
            continue
        for other, its, against in said:
            # Of two that are concerned the first is asked about the second.
            twice = id(against) in concerned and other < number
            if other == number or twice or rule.action is against.action:
                continue
            both = hit & its
            if both:
                yield (both, rule, against) if number < other else (both, against, rule)
