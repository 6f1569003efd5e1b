"""The lines of a policy class whose pods policies of the whole cluster select: there the order of rules counts.

    Admin      rule by rule. Accept: count, and return (allowed, as everywhere). Deny: to the denial of that rule.
               Pass: count, and go to …
    what follows the Admin tier, a chain of its own where there is one:
      what Cilium's policies deny, rule by rule, and then
      isolated by any policy         the lines of `outgate.nft.lines`, and their denial
      not isolated                   the same without, and the Baseline tier, likewise, and return at the end

Chains are left by `goto` alone, so that `return` has one meaning wherever it stands. Therefore the lines are made from
the end to the beginning: each part must know where it leads.

Of policies that share a priority the strictest answer counts (`outgate.policy.tiers`), so a layer of several is asked
in rounds: does one of them deny, by its own first match; does one pass; and what is left may be accepted by any. One
round is one chain for each policy.

A rule that denies and is only audited counts and logs, and is then passed over as if it were not there. But if it is
one that passes on whom nobody knows, what follows the tier is called first: what that denies is denied, and what it
allows comes back and is asked on, so that the packet passes only where it would whomever the rule means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from outgate.model import Direction
from outgate.nft.denial import denial, warning
from outgate.nft.lines import Registry, View, class_lines, rule_lines, rule_parts, rule_title
from outgate.nft.names import named
from outgate.nft.objects import RETURN, ChainRule, Counter, Judgement, goto, jump
from outgate.nft.redirects import proxied_way, unseen
from outgate.packets import TransportSet
from outgate.policy import Action, NamedPort, Origin, PodMatch, Policies, Rule
from outgate.policy.requests import is_looked_into
from outgate.policy.tiers import Isolation, Layer

__all__ = ["TierLines"]

_Lines = tuple[ChainRule, ...]
_OPEN: _Lines = (ChainRule((RETURN,)),)


class TierLines:
    """Makes the lines of one class in one view. `index` fills with the rules behind the chains that it makes."""

    def __init__(
        self,
        policies: Policies,
        meanings: Mapping[NamedPort, TransportSet],
        view: View,
        registry: Registry,
        audited: Callable[[Rule], bool],
    ) -> None:
        self.index: dict[str, tuple[Origin, ...]] = {}
        self.looks_into = False
        """Whether there is a line that only what the proxy has looked into passes."""
        self._policies = policies
        self._meanings = meanings
        self._view = view
        self._registry = registry
        self._audited = audited

    def lines(self, isolation: Isolation, end: Judgement | None) -> _Lines:
        """All lines. `end`: what becomes of a packet that no NetworkPolicy allows; None where none isolates."""
        ruled = class_lines(self._policies, isolation.rules, self._meanings, self._view, self._registry)
        looked = self._looked_into(isolation, end)
        after: _Lines = (*ruled, *looked)
        after += self._tier(isolation.baseline, _OPEN, RETURN) if end is None else (ChainRule((end,)),)
        denied = (line for rule in isolation.denials for line in self._rule(rule, self._target(rule, RETURN)))
        after = (*denied, *after)
        if not isolation.admin:
            return after
        passing = self._chain(after) if after != _OPEN else RETURN
        return self._tier(isolation.admin, (ChainRule((passing,)),), passing)

    def _looked_into(self, isolation: Isolation, end: Judgement | None) -> Iterator[ChainRule]:
        """What only the proxy can allow: behind all that is allowed without it.

        Where all that isolates is watched alone, nobody's requests are refused, and so nothing is caught. Without a
        proxy nothing is known to fulfil such a rule, nor ever what is asked on ingress or of a question of DNS that
        does not go to its own proxy; where nothing isolates, it still closes what it is about.
        """
        options = self._registry.options
        for rule in isolation.rules:
            if rule.conditions is None or (options.unfiltered and rule.conditions.dns):
                continue
            proxied = options.proxied and is_looked_into(rule) and self._view.direction is Direction.EGRESS
            watched = self._audited(rule) if end is None else end.chain.startswith("w_")
            if watched or not (proxied or end is None):
                continue
            self.looks_into |= proxied
            self.index[unseen(rule, self._registry).chain] = (rule.origin,)
            way = proxied_way(rule, self._registry) if proxied else unseen(rule, self._registry)
            yield from self._rule(rule, way)

    def _chain(self, lines: Iterable[ChainRule]) -> Judgement:
        return goto(self._registry.add_chain(self._view.letter, tuple(lines)))

    def _tier(self, layers: tuple[Layer, ...], tail: _Lines, passing: Judgement) -> _Lines:
        for layer in reversed(layers):
            tail = self._layer(layer, tail, passing)
        return tail

    def _layer(self, layer: Layer, tail: _Lines, passing: Judgement) -> _Lines:
        if len(layer.policies) == 1 or len({rule.action for rule in layer.rules}) == 1:
            return (*(line for rule in layer.rules for line in self._ruling(rule, passing)), *tail)
        accepting = (rule for rule in layer.rules if rule.action is Action.ACCEPT)
        accepted = (line for rule in accepting for line in self._rule(rule, self._target(rule, passing)))
        way = self._chain((*accepted, *tail))
        for action in (Action.PASS, Action.DENY):
            for rules in reversed(layer.policies):
                if any(rule.action is action for rule in rules):
                    way = self._chain((*self._round(rules, action, way, passing), ChainRule((way,))))
        return (ChainRule((way,)),)

    def _round(
        self, rules: tuple[Rule, ...], action: Action, way: Judgement, passing: Judgement
    ) -> Iterator[ChainRule]:
        """Whether the first match of a policy has this action; whatever else it is leads on."""
        last = max(index for index, rule in enumerate(rules) if rule.action is action)
        for rule in rules[: last + 1]:
            if rule.action is action:
                yield from self._ruling(rule, passing)
            elif rule.action is not Action.DENY:
                # A packet that a Deny matches first is not here any more: the round of denials comes before.
                yield from self._rule(rule, way)

    def _ruling(self, rule: Rule, passing: Judgement) -> Iterator[ChainRule]:
        """What a rule does with what it matches.

        What it perhaps passes on (an address that several pods claim, of which it means one) is not to be judged by
        what comes after it in this tier, nor by what comes behind the tier: it is denied, or judged by both.
        """
        yield from self._rule(rule, self._target(rule, passing))
        pods = tuple(peer for peer in rule.peers or () if isinstance(peer, PodMatch))
        if rule.action is Action.PASS and (
            pods or (rule.peers is None and rule.ports is not None and rule.ports.names)
        ):
            peers = None if rule.peers is None else pods
            rule = replace(rule, action=Action.DENY, peers=peers, perhaps_passes=True)
            yield from self._rule(rule, self._target(rule, passing))
        if rule.perhaps_passes and passing.chain and self._audited(rule):
            yield from self._rule(rule, jump(passing.chain))

    def _rule(self, rule: Rule, target: Judgement) -> Iterator[ChainRule]:
        return rule_lines(self._policies, rule, self._meanings, self._view, self._registry, target)

    def _target(self, rule: Rule, passing: Judgement) -> Judgement:
        """Where a packet goes that a rule matches."""
        identity = rule_parts(rule)
        what = rule_title(rule)
        if rule.action is Action.ACCEPT:
            target = self._registry.rule_chain(rule)
        elif rule.action is Action.PASS:
            name = named("s", (*identity, passing.act, passing.chain))
            target = goto(self._registry.add_named(name, lambda: (ChainRule((Counter(), passing), what),)))
        else:
            audited = self._audited(rule)
            name = named("w" if audited else "d", identity)
            rules = warning if audited else denial
            comment = f"{'would be ' if audited else ''}denied by {what}"
            chain = self._registry.add_named(name, lambda: rules(name, comment, self._registry.options))
            target = jump(chain) if audited else goto(chain)
        self.index[target.chain] = (rule.origin,)
        return target
