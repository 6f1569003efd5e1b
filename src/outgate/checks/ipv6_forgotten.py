"""Rules for IPv4 alone where pods have IPv6.

What it does:
    Finds rules for the whole IPv4 internet (0.0.0.0/0) of policies that have no rule for the IPv6 one (::/0). Where
    pods, nodes or Services of the input have IPv6 addresses it is a warning; where nothing in the input has an
    address, a note. Rules of every kind of policy are looked at. One that denies the IPv4 internet is found where pods
    may leave by IPv6 all the same.

Why it matters:
    An address block is of one family. In a cluster with both, a name that resolves to IPv6 is dialled by IPv6 first,
    and fails; and an exception that is written for IPv4 says nothing about the IPv6 address of the same service.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: internet, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 0.0.0.0/0}
          ports:
            - {protocol: TCP, port: 443}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}
    status: {podIP: 10.1.0.4, podIPs: [{ip: 10.1.0.4}, {ip: 'fd00:1::4'}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: internet, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 0.0.0.0/0}
            - ipBlock: {cidr: '::/0', except: ['fc00::/7', 'fe80::/10']}
          ports:
            - {protocol: TCP, port: 443}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}
    status: {podIP: 10.1.0.4, podIPs: [{ip: 10.1.0.4}, {ip: 'fd00:1::4'}]}

When to ignore:
    In a cluster with IPv4 alone.

References:
    - https://kubernetes.io/docs/concepts/services-networking/dual-stack/
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey, some, subject_of
from outgate.checks.written import Written, title_of, written_rules
from outgate.model import Direction
from outgate.model.cilium import EntityPeer
from outgate.packets import PacketSet, TransportSet
from outgate.packets.special import INTERNET_V6
from outgate.policy import Action

__all__ = ["CHECK"]

_WIDE = 3
"""``2000::/3`` is what is given out of IPv6 (RFC 4291)."""
_WORLD = (EntityPeer("world"),)
_INTERNET_V6 = INTERNET_V6.addresses


def _find(survey: Survey) -> Iterator[Finding]:
    speakers = _speakers(survey)
    if speakers is None:
        return
    for written in written_rules(survey):
        whole = next((one for one in written.blocks if one.cidr.version == 4 and one.cidr.prefixlen == 0), None)
        if whole is None or written.is_icmp or any(map(_is_about_ipv6, _beside(survey, written))):
            continue
        if written.accepts:
            what = f"is for all of IPv4, no rule of {title_of(written.policy)} is for IPv6"
            advice = "add ::/0 with the exceptions that it needs (fc00::/7, fe80::/10), or say that it is not wanted"
        elif written.action is Action.DENY and _is_open(survey, written):
            what = f"denies all of IPv4, and {survey.whom(written.policy)} may leave by IPv6"
            advice = "deny ::/0 as well"
        else:
            continue
        known = f", and {some(speakers)} {'has' if len(speakers) == 1 else 'have'} IPv6" if speakers else ""
        yield Finding(
            CHECK.name,
            CHECK.severity if speakers else Severity.INFO,
            f"{written} {what}{known}",
            subject_of(written.policy),
            whole.place,
            help=advice,
        )


def _beside(survey: Survey, written: Written) -> Iterator[Written]:
    """The rules of the same policy that say the same, itself among them."""
    for one in survey.once(_by_policy)[id(written.policy)]:
        if (one.direction, one.action) == (written.direction, written.action):
            yield one


def _by_policy(survey: Survey) -> dict[int, list[Written]]:
    found: dict[int, list[Written]] = {}
    for one in written_rules(survey):
        found.setdefault(id(one.policy), []).append(one)
    return found


def _is_about_ipv6(written: Written) -> bool:
    if (written.anybody and not written.narrowed) or any(peer in _WORLD for peer in written.rule.peers or ()):
        return True
    return any(one.cidr.version == 6 and one.cidr.prefixlen <= _WIDE for one in written.blocks)


def _is_open(survey: Survey, written: Written) -> bool:
    """Whether a workload of the policy may send to the internet by IPv6 what the rule denies it by IPv4."""
    if written.direction is not Direction.EGRESS:
        return False
    ports = [TransportSet.any() if rule.ports is None else rule.ports.numbers for rule in written.made(survey)]
    denied = PacketSet.union_of((_INTERNET_V6, each) for each in ports)
    numbers = dict.fromkeys(one.identity for one in survey.selected_groups(written.policy))
    return any(survey.grid.outside(number, Direction.EGRESS) & denied for number in numbers)


def _speakers(survey: Survey) -> list[str] | None:
    """Who has IPv6; nobody known where nobody has an address; None where those who have one have IPv4 alone."""
    addressed = [pod for pod in survey.snapshot.endpoints if pod.addressed and pod.addresses]
    nodes = [node for node in survey.snapshot.nodes.values() if node.addresses]
    named = [*((str(pod), pod.addresses) for pod in addressed), *((f"node {one.name}", one.addresses) for one in nodes)]
    found = [name for name, addresses in named if any(address.version == 6 for address in addresses)]
    return found if found or not named else None


CHECK = Check("ipv6-forgotten", Severity.WARNING, _find, __doc__)
