"""Ports without a destination.

What it does:
    Finds egress rules that have ports and no `to`. Rules for nothing but DNS are left to dns-any-destination.

Why it matters:
    A rule without `to` is a rule for every address. Such a rule is often written for the API server ("443 and 6443"),
    and opens the whole internet on these ports, the metadata services of clouds among it.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api-server, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - ports:
            - {protocol: TCP, port: 443}
            - {protocol: TCP, port: 6443}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api-server, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 192.168.50.10/32}
          ports:
            - {protocol: TCP, port: 6443}
        - to:
            - namespaceSelector:
                matchLabels: {kubernetes.io/metadata.name: kube-system}
          ports:
            - {protocol: UDP, port: 53}
            - {protocol: TCP, port: 53}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    For workloads that are meant to reach any address on these ports, such as crawlers and proxies.

References:
    - https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.clauses import clauses, opened_outside
from outgate.checks.finding import Finding, Severity
from outgate.checks.proof import beyond, sample_outside
from outgate.checks.survey import Section, Survey, some, subject_of
from outgate.model import Direction
from outgate.model.cilium import CiliumRule, PortEntry
from outgate.packets.special import INTERNET_V4, INTERNET_V6

__all__ = ["CHECK"]

_DNS = (53, 853, 5353, "dns", "dns-tcp")
_OF_THE_WEB = (80, 443, 6443, 8443, "http", "https")
"""Ports at which something listens nearly everywhere: what is opened there, is found there."""


_INTERNET = INTERNET_V4.addresses | INTERNET_V6.addresses


def _find(survey: Survey) -> Iterator[Finding]:
    yield from _find_clauses(survey)
    for section in survey.sections(Direction.EGRESS):
        ports = section.rule.ports
        if not section.counts or section.rule.peers or not ports or all(one.port in _DNS for one in ports):
            continue
        wide = any(one.port is None or one.port in _OF_THE_WEB or one.end_port is not None for one in ports)
        yield Finding(
            CHECK.name,
            CHECK.severity if wide else Severity.WARNING,
            f"{section} names ports and nobody: {survey.whom(section.policy)} may reach every address on "
            f"{_words(section)}",
            subject_of(section.policy),
            section.place / "ports",
            (),
            sample_outside(survey, section),
            "name the destination in `to`; for the API server, the endpoints of Service default/kubernetes",
        )


def _find_clauses(survey: Survey) -> Iterator[Finding]:
    """The same of Cilium's rules without peers; those that ask for requests or names are for whom they name."""
    for clause in clauses(survey, Direction.EGRESS):
        written = clause.rule
        if not isinstance(written, CiliumRule) or written.deny or written.peers is not None:
            continue
        for rule in survey.grid.rules_of(clause.policy, Direction.EGRESS):
            if rule.origin != clause.origin or rule.conditions is not None or rule.ports is None:
                continue
            packets, group = opened_outside(survey, clause, rule, _INTERNET)
            ports = [port for entry in written.ports if not _asks(entry) for port in entry.ports]
            if not packets or all(one.port in _DNS and one.end is None for one in ports):
                continue
            wide = any(one.port in {0, *_OF_THE_WEB} or one.end is not None for one in ports)
            spans = [f"{one.protocol} {one}" for one in ports]
            yield Finding(
                CHECK.name,
                CHECK.severity if wide else Severity.WARNING,
                f"{clause} names ports and nobody: {survey.whom(clause.policy)} may reach every address on "
                f"{some(spans, 4)}",
                subject_of(clause.policy),
                clause.place / "toPorts",
                (),
                beyond(survey, group, packets) if group is not None else None,
                "name the destination; for the API server, toEntities: [kube-apiserver]",
            )
            break


def _asks(entry: PortEntry) -> bool:
    return bool(entry.http or entry.dns or entry.server_names)


def _words(section: Section) -> str:
    found = []
    for one in section.rule.ports[:4]:
        span = "every port" if one.port is None else f"{one.port}-{one.end_port}" if one.end_port else f"{one.port}"
        found.append(f"{one.protocol} {span}")
    more = len(section.rule.ports) - len(found)
    return ", ".join(found) + (f" and {more} more" if more else "")


CHECK = Check("ports-without-to", Severity.ERROR, _find, __doc__)
