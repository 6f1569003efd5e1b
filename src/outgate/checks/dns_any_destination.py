"""DNS to any resolver.

What it does:
    Finds egress rules, of every kind of policy, that open port 53 (or 853, DNS over TLS) and name nobody: every address
    may be asked. A rule of Cilium's that says which names may be asked for is left out.

Why it matters:
    Whoever may ask any resolver may ask one of their own, and a question carries data: DNS is the tunnel that is tried
    first, because it is open nearly everywhere. A rule for the cluster's resolvers alone serves the workload as well.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: allow-dns, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - ports:
            - {protocol: UDP, port: 53}
            - {protocol: TCP, port: 53}

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

When to ignore:
    For resolvers themselves, which ask the servers of the internet.

References:
    - https://attack.mitre.org/techniques/T1071/004/
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.clauses import way_out
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey, subject_of
from outgate.checks.written import Written, written_rules
from outgate.checks.written_ports import PortSaid, ports_of
from outgate.model import Direction
from outgate.policy.rules import Conditions

__all__ = ["CHECK"]

_DNS = (53, 853)


def _find(survey: Survey) -> Iterator[Finding]:
    for written in written_rules(survey, Direction.EGRESS):
        ports = _dns_ports(written) if written.accepts and written.world else []
        if ports:
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{written} lets {survey.whom(written.policy)} ask any resolver on the internet",
                subject_of(written.policy),
                ports[0].entry,
                (),
                way_out(survey, written),
                "name the cluster's resolvers in " + ("toEndpoints" if written.is_ciliums else "`to`"),
            )


def _dns_ports(written: Written) -> list[PortSaid]:
    """The ports of DNS that a rule names; not those of ranges, nor where it is said which names may be asked for."""
    return [
        one
        for one in ports_of(written)
        if one.port in _DNS and one.end is None and not one.conditions.http and _any_name(one.conditions)
    ]


def _any_name(conditions: Conditions) -> bool:
    return not conditions.dns or any(set(text) == {"*"} for one in conditions.dns for text in one.texts)


CHECK = Check("dns-any-destination", Severity.WARNING, _find, __doc__)
