"""The order in which policies are asked, for one pod in one direction.

    1 Admin tier       its rules in order; the first that matches: Accept allows, Deny denies, Pass goes to 2
    2 NetworkPolicy    what any rule of Cilium's denies is denied; what any rule allows is allowed; where any policy
                       isolates the pod, all else is denied, and that is the end
    3 Baseline tier    as 1; Pass leaves it
    4 otherwise        allowed

network-policy-api, ClusterNetworkPolicySpec.Tier: "Admin tier [...] takes precedence over all other policies. [...]
Baseline tier [...] can be overridden by NetworkPolicy". A policy of the cluster never isolates by being there: where
no rule matches, the next one is asked. Within a tier the policies are asked by priority, and the rules of a policy from
the first to the last.

Policies of one priority have no order. They stand together in a `Layer`: each is asked by itself, by its own first
matching rule, and of the answers Deny comes before Pass and Pass before Accept. So what we do does not hang on names,
and is the strictest that any order would give; where the answers differ, the verdict is one that the API leaves open.

Rules with conditions above TCP are asked after those without: an allowance without any makes the conditions of others
void for the same peer and port (Cilium: it "wildcards L7"). Where several with conditions match, each may be fulfilled.

`partition` splits a whole set of packets, of any kind that knows union, intersection and difference; `first` follows
one packet. They are written apart, and a test holds them against each other.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Protocol, Self, TypeVar

from outgate.model import CiliumPolicy, ClusterPolicy, Direction, NetworkPolicy
from outgate.policy.rules import Action, Origin, Rule, Tier, Verdict, origin_of
from outgate.records import dataclass

__all__ = [
    "STRICTEST_FIRST",
    "Extent",
    "Isolation",
    "Layer",
    "Outcome",
    "allowed",
    "answers",
    "blamed",
    "first",
    "first_matches",
    "isolates",
    "layers",
    "partition",
    "said_by",
]

STRICTEST_FIRST = (Action.DENY, Action.PASS, Action.ACCEPT)
"""Whose answer counts among policies of one priority: an Accept is final, a Pass may still end in a denial."""


class Extent(Protocol):
    """A set of packets, in whatever form."""

    def __or__(self, other: Self) -> Self: ...
    def __and__(self, other: Self) -> Self: ...
    def __sub__(self, other: Self) -> Self: ...
    def __bool__(self) -> bool: ...


Packets = TypeVar("Packets", bound=Extent)


@dataclass(frozen=True, slots=True)
class Layer:
    """The policies of a tier that share a priority and select a pod, each with its rules in their order."""

    tier: Tier
    priority: int
    policies: tuple[tuple[Rule, ...], ...]

    @property
    def rules(self) -> Iterator[Rule]:
        """All rules, policy by policy."""
        return itertools.chain.from_iterable(self.policies)


@dataclass(frozen=True, slots=True)
class Isolation:
    """The policies that select one pod in one direction; none where nothing stands in the way."""

    policies: tuple[NetworkPolicy | CiliumPolicy, ...]
    """Those that isolate it, by name."""
    origins: tuple[Origin, ...]
    """The same, the one with the fewest rules first."""
    rules: tuple[Rule, ...]
    """What they allow, by policy name and index, and what policies of Cilium's allow that do not isolate; those with
    conditions last."""
    admin: tuple[Layer, ...] = ()
    """The Admin tier, in the order in which it is asked."""
    baseline: tuple[Layer, ...] = ()
    """The Baseline tier likewise."""
    denials: tuple[Rule, ...] = ()
    """What policies of Cilium's deny, whatever others allow."""

    @classmethod
    def of(
        cls,
        policies: tuple[NetworkPolicy | CiliumPolicy, ...],
        direction: Direction,
        rules: Iterable[Rule],
        layers: Iterable[Layer],
    ) -> Isolation:
        """What isolates a pod, the rules of the NetworkPolicy tier in the order of policies, and the tiers around it.

        The rules are asked in another order: those that deny first, and those that ask for more than ports last.
        """
        middle, around = tuple(rules), tuple(layers)
        accepting = (one for one in middle if one.action is Action.ACCEPT)
        return cls(
            policies,
            blamed(policies, direction),
            tuple(sorted(accepting, key=lambda rule: rule.conditions is not None)),
            tuple(one for one in around if one.tier is Tier.ADMIN),
            tuple(one for one in around if one.tier is Tier.BASELINE),
            tuple(one for one in middle if one.action is Action.DENY),
        )

    @property
    def governed(self) -> bool:
        """Whether any policy at all selects the pod."""
        return bool(self.policies or self.tiered or self.rules)

    @property
    def tiered(self) -> bool:
        """Whether anything denies or passes, so that the order of rules counts."""
        return bool(self.admin or self.baseline or self.denials)

    @property
    def united(self) -> bool:
        """Whether the union of `rules` is all that passes: there is neither an order nor another way."""
        return bool(self.policies) and not self.tiered

    def every_rule(self) -> Iterator[Rule]:
        """All rules of all tiers, in their order."""
        for layer in self.admin:
            yield from layer.rules
        yield from self.denials
        yield from self.rules
        for layer in self.baseline:
            yield from layer.rules


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one packet.

    `rule` None: denied by isolation alone, or allowed by nobody. `passed` are the rules that handed it on to the next
    tier. `disputed` are rules of one priority that say different things of it; the API does not say which counts.
    """

    verdict: Verdict
    rule: Rule | None = None
    passed: tuple[Rule, ...] = ()
    disputed: tuple[Rule, ...] = ()
    conditional: tuple[Rule, ...] = ()
    """The rules that allow it on a condition, of which one must be fulfilled; none where nothing more is asked."""


def layers(
    policies: Iterable[ClusterPolicy], direction: Direction, rules: Callable[[ClusterPolicy], tuple[Rule, ...]]
) -> Iterator[Layer]:
    """The layers of policies that come in their order (`Snapshot.cluster_policies`); those without a rule are none."""
    speaking = (one for one in policies if direction in one.types)
    for (tier, priority), together in itertools.groupby(speaking, lambda one: (one.tier, one.priority)):
        yield Layer(Tier[tier.upper()], priority, tuple(rules(one) for one in together))


def isolates(policy: NetworkPolicy | CiliumPolicy, direction: Direction) -> bool:
    """Whether a policy isolates the pods that it selects, for a direction."""
    return direction in (policy.isolates if isinstance(policy, CiliumPolicy) else policy.types)


def blamed(policies: Iterable[NetworkPolicy | CiliumPolicy], direction: Direction) -> tuple[Origin, ...]:
    """Policies that isolate, the one with the fewest rules first: a denial is laid to the default deny."""
    ordered = sorted(policies, key=lambda policy: (len(policy.rules(direction)), policy.name))
    return tuple(origin_of(policy, direction) for policy in ordered)


def partition(
    isolation: Isolation, everything: Packets, extent: Callable[[Rule], Packets]
) -> Iterator[tuple[Packets, Verdict, Rule | None]]:
    """Disjoint parts of `everything`, together all of it. `extent`: what a rule matches, whatever it says of it."""
    rest = yield from _through(isolation.admin, everything, extent)
    for rule in isolation.denials:
        hit = extent(rule) & rest
        if hit:
            yield hit, Verdict.DENY, rule
            rest = rest - hit
    for rule in isolation.rules:
        hit = extent(rule) & rest
        if hit:
            yield hit, Verdict.ALLOW, rule
            rest = rest - hit
    if isolation.policies:
        if rest:
            yield rest, Verdict.DENY, None
        return
    rest = yield from _through(isolation.baseline, rest, extent)
    if rest:
        yield rest, Verdict.ALLOW, None


def said_by(
    tier: tuple[Layer, ...], rest: Packets, extent: Callable[[Rule], Packets]
) -> tuple[tuple[Rule, ...], Packets]:
    """The rules of a tier that are the first for any of `rest`, and what the tier leaves of it."""
    passed = rest - rest
    said: dict[int, Rule] = {}
    for layer in tier:
        for hit, rule in answers(layer, rest, extent):
            said[id(rule)] = rule
            rest = rest - hit
            if rule.action is Action.PASS:
                passed = passed | hit
    return tuple(said.values()), rest | passed


def allowed(isolation: Isolation, everything: Packets, extent: Callable[[Rule], Packets]) -> Packets:
    """Of `everything` what may pass: the parts of `partition` that are allowed, together."""
    found = everything - everything
    for packets, verdict, _ in partition(isolation, everything, extent):
        if verdict.allows:
            found = found | packets
    return found


def _through(
    tier: tuple[Layer, ...], rest: Packets, extent: Callable[[Rule], Packets]
) -> Generator[tuple[Packets, Verdict, Rule | None], None, Packets]:
    """What a tier decides; what it leaves, by Pass or because no rule matches, is returned."""
    passed: Packets | None = None
    for layer in tier:
        for hit, rule in answers(layer, rest, extent):
            rest = rest - hit
            if rule.action is Action.PASS:
                passed = hit if passed is None else passed | hit
            else:
                yield hit, Verdict.ALLOW if rule.action is Action.ACCEPT else Verdict.DENY, rule
    return rest if passed is None else rest | passed


def answers(layer: Layer, rest: Packets, extent: Callable[[Rule], Packets]) -> Iterator[tuple[Packets, Rule]]:
    """What the policies of a layer say, each by its own first match, and the strictest first: disjoint parts."""
    said: dict[Action, list[tuple[Packets, Rule]]] = {action: [] for action in STRICTEST_FIRST}
    for rules in layer.policies:
        for hit, rule in first_matches(rules, rest, extent):
            said[rule.action].append((hit, rule))
    for action in STRICTEST_FIRST:
        for hit, rule in said[action]:
            left = hit & rest
            if left:
                yield left, rule
                rest = rest - left


def first_matches(
    rules: tuple[Rule, ...], rest: Packets, extent: Callable[[Rule], Packets]
) -> Iterator[tuple[Packets, Rule]]:
    """What each rule of one policy is the first to speak of: disjoint parts."""
    for rule in rules:
        hit = extent(rule) & rest
        if hit:
            yield hit, rule
            rest = rest - hit


def first(isolation: Isolation, matches: Callable[[Rule], bool]) -> Outcome:
    """What becomes of one packet, of which `matches` says whether a rule speaks of it."""
    passed: list[Rule] = []
    disputed: list[Rule] = []
    for tier in (isolation.admin, isolation.baseline):
        if tier is isolation.baseline:
            found = _in_the_middle(isolation, matches)
            if found is not None:
                return dataclasses.replace(found, passed=tuple(passed), disputed=tuple(disputed))
        for layer in tier:
            said = _said(layer, matches)
            if not said:
                continue
            if any(one.action is not said[0].action for one in said):
                disputed += said
            if said[0].action is Action.PASS:
                passed.append(said[0])
                break
            verdict = Verdict.ALLOW if said[0].action is Action.ACCEPT else Verdict.DENY
            return Outcome(verdict, said[0], tuple(passed), tuple(disputed))
    return Outcome(Verdict.ALLOW, None, tuple(passed), tuple(disputed))


def _in_the_middle(isolation: Isolation, matches: Callable[[Rule], bool]) -> Outcome | None:
    """What the NetworkPolicy tier says of a packet; None where it leaves it."""
    denying = next(filter(matches, isolation.denials), None)
    if denying is not None:
        return Outcome(Verdict.DENY, denying)
    for rule in isolation.rules:
        if matches(rule):
            conditional = tuple(filter(matches, isolation.rules)) if rule.conditions is not None else ()
            return Outcome(Verdict.ALLOW, rule, conditional=conditional)
    return Outcome(Verdict.DENY) if isolation.policies else None


def _said(layer: Layer, matches: Callable[[Rule], bool]) -> list[Rule]:
    """The first matching rule of each policy of a layer, the strictest first."""
    found = [rule for rules in layer.policies if (rule := next(filter(matches, rules), None)) is not None]
    return sorted(found, key=lambda rule: STRICTEST_FIRST.index(rule.action))
