"""A proxy in the environment that policies do not let through.

What it does:
    Finds workloads whose environment names a proxy (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, in either case) that their
    policies do not let them reach. A proxy that is named by its address, or as a Service of the input, is asked for
    itself; of any other name it is known where the proxy listens and not where it is, so only workloads are found none
    of whose rules speaks of that port.

Why it matters:
    With the variable set, a program asks the proxy and nobody else: the rule for the internet that it had is of no use,
    and each request times out with the name of the site that was meant, and not that of the proxy.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: web, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 0.0.0.0/0}
          ports:
            - {protocol: TCP, port: 443}
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec:
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec:
          containers:
            - name: web
              image: web
              env:
                - {name: HTTPS_PROXY, value: "http://proxy.example.com:3128"}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: web, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 192.0.2.8/32}
          ports:
            - {protocol: TCP, port: 3128}
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec:
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec:
          containers:
            - name: web
              image: web
              env:
                - {name: HTTPS_PROXY, value: "http://proxy.example.com:3128"}

When to ignore:
    Where the program does not look at these variables.

References:
    - https://www.gnu.org/software/wget/manual/html_node/Proxies.html
    - https://curl.se/docs/manpage.html#ENVIRONMENT
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from outgate.analysis.exposure_places import doors_of
from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.doors import denied, doors_at, endpoint_of, narrowed, speaks_of
from outgate.checks.finding import Finding, Related, Severity, Witness
from outgate.checks.survey import Isolated, Survey, by_blamed, isolation_place, some, subject_of
from outgate.model import Direction, Service
from outgate.model.hints import PROXIES
from outgate.packets import Protocol

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    missing = narrowed(survey, Direction.EGRESS, lambda whom, group: bool(_missing(survey, whom, group)))
    for policy, many in by_blamed(missing):
        groups = [group for one in many for group in one.groups]
        found = {
            name: seen for one in many for group in one.groups for name, seen in _missing(survey, one, group).items()
        }
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{policy} isolates {some(groups)} for egress, and no policy lets {'it' if len(groups) == 1 else 'them'} "
            f"reach the proxy that the environment names: {some(list(found))}",
            subject_of(policy),
            isolation_place(policy, Direction.EGRESS),
            tuple(Related(group.pods[0].place, f"{group} is told to use the proxy") for group in groups[:3]),
            next(filter(None, found.values()), None),
            "allow the proxy by its pods or its address, on the port on which it listens",
        )


def _missing(survey: Survey, whom: Isolated, group: Group) -> dict[str, Witness | None]:
    """The proxies of a workload that it cannot reach, each with a packet where its address is known."""
    found: dict[str, Witness | None] = {}
    for url in dict.fromkeys(group.pods[0].hints.values(*PROXIES)):
        host, port = endpoint_of(url)
        if not host or not port or "$" in host:
            continue
        closed, witness = _closed(survey, whom, group, host, port)
        if closed:
            found[f"{host}:{port}"] = witness
    return found


def _closed(survey: Survey, whom: Isolated, group: Group, host: str, port: int) -> tuple[bool, Witness | None]:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        witness = denied(survey, group, doors_at(survey, address, port))
        return witness is not None, witness
    if host == "localhost":
        return False, None
    service = _service(survey, group.namespace, host)
    if service is None or service.external_name:
        return not speaks_of(whom, port), None
    doors = [
        door
        for door in doors_of(survey.snapshot, service)
        if door.protocol is Protocol.TCP and (door.dialled is None or door.dialled[1] == port)
    ]
    witness = denied(survey, group, doors)
    return witness is not None, witness


def _service(survey: Survey, namespace: str, host: str) -> Service | None:
    """The Service that a name means in a pod of a namespace: ``name``, ``name.namespace``, ``name.namespace.svc``..."""
    name, _, rest = host.rstrip(".").partition(".")
    space, _, more = rest.partition(".")
    if more and more != "svc" and not more.startswith("svc."):
        return None
    return survey.snapshot.service(space or namespace, name)


CHECK = Check("proxy-env-unmatched", Severity.WARNING, _find, __doc__)
