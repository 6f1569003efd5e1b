"""A rule about one name that opens another, behind the same address.

What it does:
    Finds rules about names (`toFQDNs`, `domainNames`) that open an address behind which other names are, which no rule
    opens for the workload. What names lead to is told by `--dns-name NAME=ADDRESS`, by `names` in `.outgate.yaml`, and
    by what the pods of a snapshot were told.

Why it matters:
    Such a rule opens addresses, and a content network has thousands of names behind each of its own: who may reach the
    one mirror may reach whatever anybody rents there. Only what is asked there tells names apart: the server that TLS
    names, or the host of a request.

Example:
    # outgate lint --dns-name deb.example.com=151.101.2.132 --dns-name paste.example.net=151.101.2.132
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: mirror, namespace: shop}
    spec:
      endpointSelector:
        matchLabels: {app: web}
      egress:
        - toFQDNs:
            - matchName: deb.example.com
          toPorts:
            - ports:
                - {port: "443", protocol: TCP}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    # outgate lint --dns-name deb.example.com=151.101.2.132 --dns-name paste.example.net=151.101.2.132
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: mirror, namespace: shop}
    spec:
      endpointSelector:
        matchLabels: {app: web}
      egress:
        - toFQDNs:
            - matchName: deb.example.com
          toPorts:
            - ports:
                - {port: "443", protocol: TCP}
              serverNames: [deb.example.com]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where whoever has the address answers for all names behind it.

References:
    - https://docs.cilium.io/en/stable/security/policy/language/#dns-based
    - https://www.rfc-editor.org/rfc/rfc6066#section-3
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from outgate.analysis.groups import Group
from outgate.analysis.opened import Opening, openings
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.named_peers import NamedPeer, NamingRule, naming_rules
from outgate.checks.survey import Survey, some, subject_of
from outgate.model import CiliumPolicy, Direction
from outgate.packets import Address, TransportSet
from outgate.policy.requests import lets_name, opens_host
from outgate.policy.rules import Conditions

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    behind: dict[Address, list[str]] = {}
    for name, addresses in survey.names.items():
        for address in addresses:
            behind.setdefault(address, []).append(name)
    shared = {address: sorted(names) for address, names in behind.items() if len(names) > 1}
    if not shared:
        return
    if survey.snapshot.learned:
        # What a pod was told counts as the name alone from here on, and not as an address that is open anyway.
        untold = dataclasses.replace(survey.snapshot, learned=())
        survey = Survey(untold, survey.policies.profile)
    known: dict[int, tuple[Opening, ...]] = {}
    for rule in naming_rules(survey):
        groups = survey.selected_groups(rule.policy)
        for group in groups:
            known.setdefault(group.identity, openings(survey.grid, group.identity))
        for peer in rule.peers:
            yield from _of_peer(survey, rule, peer, groups, shared, known)


def _of_peer(
    survey: Survey,
    rule: NamingRule,
    peer: NamedPeer,
    groups: tuple[Group, ...],
    shared: dict[Address, list[str]],
    known: dict[int, tuple[Opening, ...]],
) -> Iterator[Finding]:
    for address in sorted(shared, key=lambda one: (one.version, one)):
        meant = [name for name in shared[address] if any(one.pattern.matches(name) for one in rule.peers)]
        mine = [name for name in meant if peer.pattern.matches(name)]
        others = {
            name: opened
            for name in shared[address]
            if mine and name not in meant and not _tells_apart(rule, name)
            if (opened := [one for one in groups if _leaks(survey, one, known[one.identity], mine[0], name, address)])
        }
        if others:
            whom = [one for one in groups if any(one in opened for opened in others.values())]
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{rule.origin} opens {some(list(others))} to {some(whom)} as well: {some(mine)} "
                f"{'leads' if len(mine) == 1 else 'lead'} to the same address, {address}",
                subject_of(rule.policy),
                peer.place,
                help="serverNames (TLS), or rules about the host of requests, beside the name"
                if isinstance(rule.policy, CiliumPolicy)
                else "domainNames cannot tell them apart; toFQDNs of a CiliumNetworkPolicy with serverNames (TLS), or "
                "with rules about the host of requests, can",
            )


def _leaks(survey: Survey, group: Group, opened: tuple[Opening, ...], mine: str, other: str, address: Address) -> bool:
    """Whether a workload gets to a name on ports on which only the other name behind its address was opened."""
    outside = survey.grid.outside(group.identity, Direction.EGRESS).transports(address)
    wanted = _transports(opened, other, address) | outside
    return not _transports(opened, mine, address, told_from=other) <= wanted


def _transports(opened: tuple[Opening, ...], name: str, address: Address, told_from: str = "") -> TransportSet:
    """What is opened by a name at an address; without what is let through for another name only by a condition."""
    found = TransportSet()
    for one in opened:
        if not one.named.means(name) or address not in one.named.addresses:
            continue
        found |= one.transports
        if told_from and not any(_opens(rule.conditions or Conditions(), told_from) for rule in one.rules):
            found -= one.asked
    return found


def _tells_apart(rule: NamingRule, other: str) -> bool:
    """Whether whatever a rule lets through asks for something that who wants the other name does not have."""
    return bool(rule.entries) and not any(
        _opens(Conditions(one.http, one.dns, one.server_names), other) for one in rule.entries
    )


def _opens(conditions: Conditions, name: str) -> bool:
    """Whether somebody who wants that name may meet the conditions."""
    if conditions.server_names:
        return lets_name(conditions.server_names, name)
    return not conditions.http or any(opens_host(one, name) for one in conditions.http)


CHECK = Check("fqdn-shared-ip", Severity.WARNING, _find, __doc__)
