"""Requests that are asked for where TLS is spoken.

What it does:
    Finds rules of Cilium's that ask for requests (`rules.http`) on ports of TLS: 443, 8443, and those that are called
    https, in the rule or by the pods that it is about. Ranges of ports, and ports that these pods call http, are left
    out, and so are rules that have the connection opened (`terminatingTLS`).

Why it matters:
    Requests within TLS cannot be read. What comes is no HTTP to the proxy, so it refuses every connection: the rule
    opens nothing, whatever it asks for. Where the connection need not be opened, its name (SNI) can still be asked for.

Example:
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: payments, namespace: shop}
    spec:
      endpointSelector:
        matchLabels: {app: web}
      egress:
        - toCIDR: [203.0.113.0/24]
          toPorts:
            - ports:
                - {port: "443", protocol: TCP}
              rules:
                http:
                  - host: api.example.com
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
        - toCIDR: [203.0.113.0/24]
          toPorts:
            - ports:
                - {port: "443", protocol: TCP}
              serverNames: [api.example.com]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where the server speaks plain HTTP on such a port.

References:
    - https://docs.cilium.io/en/stable/security/tls-visibility/
    - https://docs.cilium.io/en/stable/security/policy/language/#layer-7-examples
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from outgate.checks.check import Check
from outgate.checks.clauses import clauses
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey, some, subject_of
from outgate.checks.written import Written
from outgate.model import Direction, Pod
from outgate.model.cilium import CiliumPort, CiliumRule, PortEntry
from outgate.policy import PodMatch

__all__ = ["CHECK"]

_TLS = (443, 8443)
_NAME = re.compile(r"[a-z0-9-]+(\\?\.[a-z0-9-]+)+")
"""A host that is written as a name, with its dots escaped or not."""


def _find(survey: Survey) -> Iterator[Finding]:
    for clause in clauses(survey):
        rule = clause.rule
        for entry in rule.ports if isinstance(rule, CiliumRule) else ():
            if entry.http and not _is_opened(clause, entry):
                pods = _servers(survey, clause)
                ports = [one for one in entry.ports if _speaks_tls(one, pods)]
                if ports:
                    yield _finding(clause, entry, ports)


def _finding(clause: Written, entry: PortEntry, ports: Sequence[CiliumPort]) -> Finding:
    hosts = [one.host.replace("\\.", ".") for one in entry.http if _NAME.fullmatch(one.host)]
    names = f": [{', '.join(dict.fromkeys(hosts))}]" if hosts and len(hosts) == len(entry.http) else ""
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{clause} asks for requests on {'port' if len(ports) == 1 else 'ports'} {some([one.port for one in ports])}, "
        "where TLS is spoken: none of them can be read, so all are refused",
        subject_of(clause.policy),
        ports[0].place,
        help=f"ask for the name of the server in their place, serverNames{names}, or have the connection opened "
        "(terminatingTLS and originatingTLS)",
    )


def _is_opened(clause: Written, entry: PortEntry) -> bool:
    unenforced = clause.rule.unenforced if isinstance(clause.rule, CiliumRule) else ()
    return any(one.feature == "terminatingTLS" and one.place.at[:-1] == entry.place.at for one in unenforced)


def _servers(survey: Survey, clause: Written) -> Sequence[Pod]:
    """The pods that listen on the ports of a rule."""
    if clause.direction is Direction.INGRESS:
        return [pod for group in survey.selected_groups(clause.policy) for pod in group.pods]
    rules = survey.grid.rules_of(clause.policy, clause.direction)
    peers = (peer for rule in rules if rule.origin == clause.origin for peer in rule.peers or ())
    return [pod for peer in peers if isinstance(peer, PodMatch) for pod in survey.policies.selection.pods(peer)]


def _speaks_tls(port: CiliumPort, pods: Sequence[Pod]) -> bool:
    if isinstance(port.port, str):
        return port.port.startswith("https")
    if port.end is not None:
        return False
    called = {one.name for pod in pods for one in pod.ports if one.port == port.port and one.name.startswith("http")}
    secret = any(name.startswith("https") for name in called)
    return secret or (port.port in _TLS and not called)


CHECK = Check("l7-on-tls", Severity.WARNING, _find, __doc__)
