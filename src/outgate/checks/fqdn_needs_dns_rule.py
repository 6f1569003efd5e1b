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

from outgate.analysis.exposure_places import passage, speaks_of
from outgate.analysis.groups import Group
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
        as_cilium = survey.policies.profile.names_need_dns_rules
        if not isinstance(rule.policy, CiliumPolicy) and not as_cilium:
            continue
        reported = {id(group) for _, many in deaf for group in many}
        heard = [group for group in groups if id(group) not in reported]
        for peers, many in _by_peers(rule, heard, ways.is_not_heard):
            # What Cilium never learns, Outgate's agent hears all the same.
            severity = Severity.ERROR if as_cilium else Severity.WARNING
            yield _finding(
                survey,
                rule,
                peers,
                many,
                f"and no rule with rules.dns is about the questions of {some(many)}: Cilium learns no address of "
                f"{'it' if len(peers) == 1 else 'them'}",
                severity,
            )


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
    """One more rule in a policy of Cilium's. In one of the whole cluster it would be for more pods than are meant."""
    if not isinstance(rule.policy, CiliumPolicy) or not rule.policy.namespace or _is_denied(survey, rule):
        return ()
    # The rule stands in the list that the new one goes to: `spec.egress`, or that of one of `specs`.
    at = peers[0].place.at
    egress = at[: at.index("egress") + 1]
    place = rule.policy.place
    return (Edit.add_item(type(place)(place.document, egress), cilium_dns_rule(survey)),)


def _is_denied(survey: Survey, rule: NamingRule) -> bool:
    """Whether one more rule that allows would be in vain."""
    resolvers = survey.once(Resolvers)
    return any(resolvers.in_vain((group,), Protocol.UDP) for group in survey.selected_groups(rule.policy))


class _Ways:
    """What the workloads of a survey can ask the cluster's resolvers."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._resolvers = survey.once(Resolvers)
        self._known: dict[int, tuple[tuple[Trace, ...], tuple[tuple[Rule, ...], ...]]] = {}

    def cannot_ask(self, group: Group, pattern: Pattern) -> bool:
        """Whether no question for any name of a pattern passes."""
        traces, _ = self._of(group)
        if self._resolvers.known:
            return not any(may_ask_some(trace.egress.outcome, pattern) for trace in traces)
        standing = self._survey.policies.isolation(group.pods[0], Direction.EGRESS)
        candidates = [one for one in standing.every_rule() if one.action is not Action.DENY and self._may_be_dns(one)]
        if not standing.policies:
            return False
        return not any(asks_some(one.conditions, pattern) for one in candidates)

    def is_not_heard(self, group: Group, pattern: Pattern) -> bool:
        """Whether Cilium hears no question for any name of a pattern: rules with ``rules.dns`` lead to its DNS proxy.

        Where others let the same questions pass, all names may be asked there, as `outgate.analysis.learning` has it.
        """
        _, rules = self._of(group)
        return not any(
            any(one.says_what_may_be_asked for one in together)
            and any(asks_some(one.conditions, pattern) for one in together)
            for together in rules
        )

    def _may_be_dns(self, rule: Rule) -> bool:
        return may_be_dns(self._survey, rule, Protocol.UDP)

    def _of(self, group: Group) -> tuple[tuple[Trace, ...], tuple[tuple[Rule, ...], ...]]:
        """The ways that are open, and for each all rules that allow and are about it."""
        found = self._known.get(id(group))
        if found is None:
            found = self._known[id(group)] = self._find(group)
        return found

    def _find(self, group: Group) -> tuple[tuple[Trace, ...], tuple[tuple[Rule, ...], ...]]:
        judge, pod = self._survey.judge, group.pods[0]
        rules = judge.policies.isolation(pod, Direction.EGRESS).rules
        if not self._resolvers.known:
            return (), (tuple(filter(self._may_be_dns, rules)),)
        passing: list[Trace] = []
        speaking: list[tuple[Rule, ...]] = []
        for door, trace in passage(judge, pod, self._survey.dns.doors):
            if trace.egress.verdict.allows:
                passing.append(trace)
                speaking.append(tuple(one for one in rules if speaks_of(judge, one, door.end, door)))
        return tuple(passing), tuple(speaking)


CHECK = Check("fqdn-needs-dns-rule", Severity.ERROR, _find, __doc__, fixable=True)
