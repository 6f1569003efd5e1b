"""A range of ports, which not every network plugin reads.

What it does:
    Finds policies with `endPort`, and says what is left of their rules where a plugin does not know the field.

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
from outgate.model import Direction

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    for policy in survey.snapshot.policies:
        ranges = [
            port
            for direction in Direction
            for rule in (policy.rules(direction) if direction in policy.types else ())
            for port in rule.ports
            if isinstance(port.port, int) and (port.end_port or port.port) > port.port
        ]
        if ranges:
            shown = dict.fromkeys(f"{one.protocol} {one.port}-{one.end_port}" for one in ranges)
            left = dict.fromkeys(f"{one.protocol} {one.port}" for one in ranges)
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{policy} allows {some(list(shown))}; a network plugin that does not know endPort allows "
                f"{some(list(left))} alone",
                subject_of(policy),
                ranges[0].place,
                help="make sure that the plugin of every cluster reads endPort; a short range can be listed",
            )


CHECK = Check("endport-ignored", Severity.INFO, _find, __doc__)
