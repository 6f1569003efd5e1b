"""DNS over UDP alone.

What it does:
    Finds workloads whose policies let them ask the cluster's resolvers over UDP and not over TCP.

Why it matters:
    An answer that does not fit into a datagram comes back marked as truncated, and the resolver library asks again
    over TCP (RFC 7766: "support for DNS over TCP [is] a requirement"). Names with few addresses work, names with many
    fail, so the outage comes with the growth of somebody else's service, and looks like chance.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: allow-dns, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - namespaceSelector:
                matchLabels: {kubernetes.io/metadata.name: kube-system}
          ports:
            - {protocol: UDP, port: 53}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop}
    spec: {containers: [{name: web, image: web}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: allow-dns, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - namespaceSelector:
                matchLabels: {kubernetes.io/metadata.name: kube-system}
          ports:
            - {protocol: UDP, port: 53}
            - {protocol: TCP, port: 53}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop}
    spec: {containers: [{name: web, image: web}]}

When to ignore:
    Where every name that is asked for is known to have short answers, and DNSSEC is not used.

References:
    - https://www.rfc-editor.org/rfc/rfc7766
    - https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from outgate.checks.check import Check
from outgate.checks.edit import Edit
from outgate.checks.finding import Finding, Severity, Subject
from outgate.checks.overlaps import policy_of
from outgate.checks.resolvers import DNS_NUMBERS, Beside, Resolvers, is_aimed
from outgate.checks.survey import Isolated, Section, Survey, by_section, some, subject_of
from outgate.model import Direction, Place, PolicyPort
from outgate.packets import Protocol
from outgate.policy import Origin

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    resolvers = survey.once(Resolvers)
    found = [
        (rule, whom)
        for whom in survey.isolated(Direction.EGRESS)
        if resolvers.reached(whom, Protocol.UDP) and not resolvers.reached(whom, Protocol.TCP)
        for rule in islice(resolvers.rules_for(whom, Protocol.UDP), 1)
    ]
    own = ((survey.section_of(rule.origin), whom) for rule, whom in found if rule.origin.kind == "NetworkPolicy")
    beside = Beside(survey)
    for section, many in by_section(own):
        twins = _twins(section)
        place = section.rule.ports[twins[0][0]].place if twins else section.place
        groups = (group for whom in many for group in whom.groups)
        vain = resolvers.in_vain(groups, Protocol.TCP)
        if vain:
            fix: tuple[Edit, ...] = ()
        elif is_aimed(section):
            fix = tuple(Edit.add_item(section.place / "ports", twin) for _, twin in twins)
        else:
            # In the rule itself it would open TCP to a network, and to the internet perhaps.
            fix = beside.of(section)
        yield _finding(resolvers, str(section), subject_of(section.policy), place, many, fix)
    others: dict[Origin, list[Isolated]] = {}
    for rule, whom in found:
        if rule.origin.kind != "NetworkPolicy":
            others.setdefault(rule.origin, []).append(whom)
    for origin, many in others.items():
        yield _finding(resolvers, str(origin), subject_of(policy_of(survey, origin)), origin.place, many)


def _finding(
    resolvers: Resolvers,
    rule: str,
    subject: Subject,
    place: Place,
    many: list[Isolated],
    fix: tuple[Edit, ...] = (),
) -> Finding:
    groups = [group for one in many for group in one.groups]
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{rule} lets {some(groups)} ask cluster DNS over UDP, and nothing lets "
        f"{'it' if len(groups) == 1 else 'them'} ask over TCP",
        subject,
        place,
        (),
        resolvers.denied(many[0], Protocol.TCP),
        "allow TCP beside UDP on the same port",
        fix,
    )


def _twins(section: Section) -> list[tuple[int, dict[str, object]]]:
    """For each UDP port of DNS in a rule, its place in the list and the same port for TCP."""
    return [
        (number, {"protocol": "TCP", "port": entry.port})
        for number, entry in enumerate(section.rule.ports)
        if _is_dns(entry)
    ]


def _is_dns(entry: PolicyPort) -> bool:
    return entry.protocol == "UDP" and entry.end_port is None and entry.port in DNS_NUMBERS


CHECK = Check("dns-tcp-missing", Severity.WARNING, _find, __doc__, fixable=True)
