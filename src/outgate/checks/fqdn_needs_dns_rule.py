"""Names that their pods cannot ask for.

What it does:
    Finds rules that open names (`toFQDNs`, `domainNames`) for workloads that may not ask the cluster's resolvers for
    them: no policy lets them through to port 53, or `rules.dns` let them ask for other names only. It also finds rules
    of Cilium's whose names no rule with `rules.dns` covers.

Why it matters:
    A rule about a name grants no DNS. It opens the addresses that the pod was told, so where nothing can be asked,
    nothing is opened, and the connection fails with a timeout as if the rule were not there. Cilium learns addresses
    only from answers that pass its DNS proxy, and only rules with `rules.dns` lead questions there; Outgate's agent
    hears every question of such pods.

Example:
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: payments, namespace: shop}
    spec:
      endpointSelector:
        matchLabels: {app: web}
      egress:
        - toFQDNs:
            - matchName: api.example.com
          toPorts:
            - ports:
                - {port: "443", protocol: TCP}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: payments, namespace: shop}
    spec:
      endpointSelector:
        matchLabels: {app: web}
      egress:
        - toFQDNs:
            - matchName: api.example.com
          toPorts:
            - ports:
                - {port: "443", protocol: TCP}
        - toEndpoints:
            - matchLabels:
                k8s:io.kubernetes.pod.namespace: kube-system
                k8s:k8s-app: kube-dns
          toPorts:
            - ports:
                - {port: "53", protocol: ANY}
              rules:
                dns:
                  - matchPattern: "*"
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where the pods get their answers another way that the enforcement sees: a resolver that is not the cluster's.

References:
    - https://docs.cilium.io/en/stable/security/policy/language/#dns-based
    - https://network-policy-api.sigs.k8s.io/npeps/npep-133-fqdn-egress-selector/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from outgate.analysis.exposure_places import passage
from outgate.analysis.groups import Group
from outgate.analysis.learning import Learning, Way
from outgate.checks.check import Check
from outgate.checks.doors import denied
from outgate.checks.edit import Edit
from outgate.checks.finding import Finding, Severity
from outgate.checks.named_peers import NamedPeer, NamingRule, naming_rules
from outgate.checks.resolvers import Resolvers, cilium_dns_rule, may_be_dns
from outgate.checks.survey import Survey, some, subject_of
from outgate.model import CiliumPolicy, Direction
from outgate.packets import Protocol
from outgate.policy import Action, Rule, Trace
from outgate.policy.name_overlap import asks_some, may_ask_some
from outgate.policy.names import Pattern

__all__ = ["CHECK"]

_UNHEARD = "and no rule with rules.dns is about the questions of"


def _find(survey: Survey) -> Iterator[Finding]:
    ways = _Ways(survey)
    for rule in naming_rules(survey):
        groups = [
            one
            for one in survey.selected_groups(rule.policy)
            if not one.pods[0].host_network and survey.once(Resolvers).meet(one)
        ]
        deaf = _by_peers(rule, groups, ways.cannot_ask)
        for peers, many in deaf:
            yield _finding(
                survey,
                rule,
                peers,
                many,
                f"and {some(many)} may not ask cluster DNS for {'it' if len(peers) == 1 else 'them'}: the rule opens "
                "nothing",
                CHECK.severity,
            )
        if isinstance(rule.policy, CiliumPolicy) or _as_cilium(survey):
            reported = {id(group) for _, many in deaf for group in many}
            yield from _unheard(survey, ways, rule, [group for group in groups if id(group) not in reported])


def _as_cilium(survey: Survey) -> bool:
    return survey.policies.profile.names_need_dns_rules


def _unheard(survey: Survey, ways: _Ways, rule: NamingRule, groups: list[Group]) -> Iterator[Finding]:
    """Names of which Cilium learns nothing from the questions of these pods, and what comes of it."""
    # What Cilium never learns, Outgate's agent hears all the same.
    severity = Severity.ERROR if _as_cilium(survey) else Severity.WARNING
    for peers, many in _by_peers(rule, groups, ways.is_not_heard):
        words = f"Cilium learns no address of {'it' if len(peers) == 1 else 'them'}"
        yield _finding(survey, rule, peers, many, f"{_UNHEARD} {some(many)}: {words}", severity)
    for peers, many in _by_peers(rule, groups, ways.is_heard_beside):
        words = "Cilium opens what another pod of the node has asked for, and for as long"
        yield _finding(survey, rule, peers, many, f"{_UNHEARD} {some(many)}: {words}", Severity.WARNING)


def _by_peers(
    rule: NamingRule, groups: list[Group], fails: Callable[[Group, Pattern], bool]
) -> list[tuple[tuple[NamedPeer, ...], list[Group]]]:
    """The workloads for which the same of the names fail, together."""
    found: dict[tuple[int, ...], list[Group]] = {}
    for group in groups:
        failing = tuple(number for number, peer in enumerate(rule.peers) if fails(group, peer.pattern))
        if failing:
            found.setdefault(failing, []).append(group)
    return [(tuple(rule.peers[number] for number in failing), many) for failing, many in found.items()]


def _finding(
    survey: Survey,
    rule: NamingRule,
    peers: tuple[NamedPeer, ...],
    many: list[Group],
    words: str,
    severity: Severity,
) -> Finding:
    resolvers = survey.once(Resolvers)
    names = some([peer.pattern.text for peer in peers])
    return Finding(
        CHECK.name,
        severity,
        f"{rule.origin} opens {names}, {words}",
        subject_of(rule.policy),
        peers[0].place,
        witness=denied(survey, many[0], resolvers.doors or resolvers.caches),
        help="let the same pods ask the cluster's resolvers, over UDP and TCP"
        + (", by a rule with rules.dns" if isinstance(rule.policy, CiliumPolicy) else ""),
        fix=_fix(survey, rule, peers),
    )


def _fix(survey: Survey, rule: NamingRule, peers: tuple[NamedPeer, ...]) -> tuple[Edit, ...]:
    """One more rule in a policy of Cilium's. In one of the whole cluster it would be for more pods than are meant.

    Where the pods may ask for some names alone, these are what is missing: a question for any name is a way out.
    """
    if not isinstance(rule.policy, CiliumPolicy) or not rule.policy.namespace or _is_denied(survey, rule):
        return ()
    # The rule stands in the list that the new one goes to: `spec.egress`, or that of one of `specs`.
    at = peers[0].place.at
    egress = at[: at.index("egress") + 1]
    place = rule.policy.place
    groups = survey.selected_groups(rule.policy)
    standing = (survey.policies.isolation(one.pods[0], Direction.EGRESS) for one in groups)
    if any(one.says_what_may_be_asked for many in standing for one in many.rules):
        names = [{"matchPattern" if "*" in peer.pattern.text else "matchName": peer.pattern.text} for peer in peers]
        made = cilium_dns_rule(survey, names)
    else:
        made = cilium_dns_rule(survey)
    return (Edit.add_item(type(place)(place.document, egress), made),)


def _is_denied(survey: Survey, rule: NamingRule) -> bool:
    """Whether one more rule that allows would be in vain."""
    resolvers = survey.once(Resolvers)
    return any(resolvers.in_vain((group,), Protocol.UDP) for group in survey.selected_groups(rule.policy))


class _Ways:
    """What the workloads of a survey can ask the cluster's resolvers."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._resolvers = survey.once(Resolvers)
        self._known: dict[int, tuple[Trace, ...]] = {}

    @cached_property
    def _learning(self) -> Learning:
        """What Cilium learns, whichever profile is asked for."""
        return Learning(self._survey.judge, self._survey.grid, heard_alone=True)

    def cannot_ask(self, group: Group, pattern: Pattern) -> bool:
        """Whether no question for any name of a pattern passes."""
        if self._resolvers.known:
            return not any(may_ask_some(trace.egress.outcome, pattern) for trace in self._open(group))
        candidates = [one for one in self._candidates(group) if one.action is not Action.DENY]
        if not self._survey.policies.isolation(group.pods[0], Direction.EGRESS).policies:
            return False
        return not any(asks_some(one.conditions, pattern) for one in candidates)

    def is_not_heard(self, group: Group, pattern: Pattern) -> bool:
        """Whether Cilium hears no question for any name of a pattern: rules with ``rules.dns`` lead to its proxy."""
        if self._resolvers.known:
            return self._learning.some(group.pods[0], (pattern,)) in {Way.NOWHERE, Way.ELSEWHERE}
        allowing = [one for one in self._candidates(group) if one.action is Action.ACCEPT]
        listing = any(one.says_what_may_be_asked for one in allowing)
        return not (listing and any(asks_some(one.conditions, pattern) for one in allowing))

    def is_heard_beside(self, group: Group, pattern: Pattern) -> bool:
        """Whether it hears none, but those of another pod that may be on the same node."""
        return self._resolvers.known and self._learning.some(group.pods[0], (pattern,)) is Way.BESIDE

    def _candidates(self, group: Group) -> list[Rule]:
        """The rules that may be about resolvers which the input does not have."""
        standing = self._survey.policies.isolation(group.pods[0], Direction.EGRESS)
        return [one for one in standing.every_rule() if may_be_dns(self._survey, one, Protocol.UDP)]

    def _open(self, group: Group) -> tuple[Trace, ...]:
        """The ways that are open."""
        found = self._known.get(id(group))
        if found is None:
            asked = passage(self._survey.judge, group.pods[0], self._survey.dns.doors)
            found = self._known[id(group)] = tuple(trace for _, trace in asked if trace.egress.verdict.allows)
        return found


CHECK = Check("fqdn-needs-dns-rule", Severity.ERROR, _find, __doc__, fixable=True)
