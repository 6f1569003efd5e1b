"""A range of ports, which not every network plugin reads.

What it does:
    Finds rules with `endPort`, and says what is left of them where a plugin does not know the field.

Why it matters:
    "If a network plugin does not support the endPort field and you specify a NetworkPolicy with that, the policy will
    be applied only for the single port field." Nothing else tells: the API server takes the rule, `kubectl describe`
    of some versions shows the first port alone, and the other connections time out.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: ftp, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 192.0.2.0/24}
          ports:
            - {protocol: TCP, port: 20000, endPort: 20003}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: ftp, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 192.0.2.0/24}
          ports:
            - {protocol: TCP, port: 20000}
            - {protocol: TCP, port: 20001}
            - {protocol: TCP, port: 20002}
            - {protocol: TCP, port: 20003}

When to ignore:
    Once it is known that the plugin reads it: all that are kept up to date do.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#targeting-a-range-of-ports
    - https://github.com/cilium/cilium/issues/28684
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey, some, subject_of

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    for section in survey.sections():
        ranges = [
            one for one in section.rule.ports if isinstance(one.port, int) and (one.end_port or one.port) > one.port
        ]
        if section.counts and ranges:
            shown = [f"{one.protocol} {one.port}-{one.end_port}" for one in ranges]
            left = [str(one.port) for one in ranges]
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{section} allows {some(shown)}; a network plugin that does not know endPort allows "
                f"{some(left)} alone",
                subject_of(section.policy),
                ranges[0].place,
                help="make sure that the plugin of every cluster reads endPort; a short range can be listed",
            )


CHECK = Check("endport-ignored", Severity.INFO, _find, __doc__)
