"""A name that opens nothing, or another than was meant.

What it does:
    Finds names in rules (`toFQDNs`, `domainNames`) that no answer of DNS can open: addresses, names within the cluster,
    and names without a dot. It also finds stars that do not mean what they look like: `*.example.com` leaves out
    `example.com` itself, and `*example.com` of Cilium's means `my-example.com` and not `www.example.com`.

Why it matters:
    Names open what is outside of the cluster. The addresses of pods, nodes and Services are never opened by one, so a
    rule for `db.data.svc.cluster.local` lets nothing through; but for a Service that is an alias of a name outside
    (ExternalName), and for one without an address (headless) in a policy of the network-policy-api. A name without a
    dot is asked for with the suffixes of the search list, and the answer belongs to that longer name. And a star
    without a dot opens whatever anybody registers that ends so.

Example:
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: data, namespace: shop}
    spec:
      endpointSelector: {}
      egress:
        - toFQDNs:
            - matchName: db.data.svc.cluster.local
            - matchPattern: "*example.com"

Fixed example:
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: data, namespace: shop}
    spec:
      endpointSelector: {}
      egress:
        - toEndpoints:
            - matchLabels: {"k8s:io.kubernetes.pod.namespace": data, app: db}
        - toFQDNs:
            - matchName: example.com
            - matchPattern: "*.example.com"

When to ignore:
    Where the apex of a domain is not used, or every name that ends so is one's own.

References:
    - https://docs.cilium.io/en/stable/security/policy/language/#dns-based
    - https://network-policy-api.sigs.k8s.io/npeps/npep-133-fqdn-egress-selector/
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.named_peers import NamedPeer, NamingRule, naming_rules
from outgate.checks.survey import Survey, subject_of
from outgate.model import CiliumPolicy, Service
from outgate.policy.names import Dialect, Pattern, canonical

__all__ = ["CHECK"]

_WITHIN = (".cluster.local", ".svc")
"""What the names of a cluster end with, if nobody has changed it."""


def _find(survey: Survey) -> Iterator[Finding]:
    for rule in naming_rules(survey):
        for peer in rule.peers:
            words, advice = _dead(survey, rule, peer)
            if words:
                yield _finding(rule, peer, Severity.ERROR, words, advice)
                continue
            words, advice, severity = _other(rule, peer)
            if words:
                yield _finding(rule, peer, severity, words, advice)


def _dead(survey: Survey, rule: NamingRule, peer: NamedPeer) -> tuple[str, str]:
    """Why a name opens nothing, and what to do."""
    text = canonical(peer.pattern.text)
    if _is_address(text):
        block = "toCIDR" if isinstance(rule.policy, CiliumPolicy) else "networks"
        return "is an address, and no name that anybody asks for", f"write it in {block}"
    if text.endswith(_WITHIN) and not any(_opens(peer.pattern, one) for one in survey.snapshot.services):
        return "is within the cluster, of which names open nothing", "select the pods, or the Service, by labels"
    if "." not in text and "*" not in text:
        return (
            "has no dot: it is asked for with the suffixes of the search list, and the answers belong to those names",
            "write the whole name",
        )
    return "", ""


def _opens(pattern: Pattern, service: Service) -> bool:
    """Whether a pattern means a name of a Service that leads to what it may open."""
    if service.external_name:
        return pattern.matches(service.dns_name)
    # In front of it stand the names of its pods (NPEP-133: headless Services work).
    names = (service.dns_name, f"pod.{service.dns_name}", canonical(pattern.text))
    mine = (one for one in names if f".{one}".endswith(f".{service.dns_name}"))
    return service.headless and pattern.dialect is Dialect.NETWORK_POLICY and any(map(pattern.matches, mine))


def _other(rule: NamingRule, peer: NamedPeer) -> tuple[str, str, Severity]:
    """What a pattern leaves out, or means beside what it looks like."""
    text = canonical(peer.pattern.text)
    behind = text.lstrip("*")
    if text == behind or "*" in behind or "." not in behind.strip("."):
        return "", "", Severity.INFO
    apex = behind.removeprefix(".")
    if not behind.startswith("."):
        return (
            f"means every name of as many labels that ends so, as my-{apex}, and not www.{apex}",
            f'write {apex} and "*.{apex}"',
            Severity.WARNING,
        )
    if any(one.pattern.matches(apex) for one in rule.peers):
        return "", "", Severity.INFO
    return f"leaves out {apex} itself", f"add {apex} if it is meant as well", Severity.INFO


def _finding(rule: NamingRule, peer: NamedPeer, severity: Severity, words: str, advice: str) -> Finding:
    message = f"{rule.origin} opens {peer.pattern.text}, which {words}"
    return Finding(CHECK.name, severity, message, subject_of(rule.policy), peer.place, help=advice)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


CHECK = Check("fqdn-matches-nothing", Severity.ERROR, _find, __doc__)
