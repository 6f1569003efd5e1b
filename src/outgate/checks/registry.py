"""All checks, by name. Each is the module of its name, read when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from outgate.checks.check import Check
from outgate.checks.finding import Finding
from outgate.checks.survey import Survey
from outgate.errors import UsageError

__all__ = ["GROUPS", "NAMES", "check_names", "load", "run"]

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "DNS": (
            "dns-egress-missing",
            "dns-tcp-missing",
            "dns-selector-mismatch",
            "dns-target-port",
            "dns-link-local-unmatched",
            "dns-any-destination",
        ),
        "Names": (
            "fqdn-needs-dns-rule",
            "fqdn-shared-ip",
            "fqdn-matches-nothing",
        ),
        "Selectors": (
            "namespace-label-missing",
            "peer-and-or-confusion",
            "selector-matches-nothing",
            "hostnetwork-peer",
            "hostnetwork-subject",
        ),
        "Types, ports and addresses": (
            "policytypes-mismatch",
            "service-port-not-target-port",
            "clusterip-in-ipblock",
            "pod-ip-in-ipblock",
            "own-loadbalancer-hairpin",
            "port-name-unknown",
            "headless-service-port",
            "peer-ingress-denies",
        ),
        "What is open": (
            "no-default-deny",
            "ports-without-to",
            "allow-all-egress-rule",
            "union-widens",
            "metadata-open",
            "azure-wireserver",
            "ipv6-forgotten",
            "external-by-static-ip",
        ),
        "What must be reached": (
            "apiserver-unreachable",
            "webhook-cut-off",
            "workload-identity-blocked",
            "proxy-env-unmatched",
            "mesh-control-plane-blocked",
        ),
        "The network plugin": (
            "secondary-interface-uncovered",
            "startup-race",
            "cni-not-enforcing",
            "endport-ignored",
        ),
        "What is superfluous": (
            "empty-block",
            "rule-redundant",
            "policy-redundant",
            "policy-too-large",
        ),
        "Order, denials and conditions": (
            "rule-shadowed",
            "priority-disputed",
            "cilium-denies-all",
            "l7-rule-void",
            "l7-on-tls",
            "l7-kinds-conflict",
        ),
    }
)
"""What each group of checks is about, and their names, in the order in which they are documented."""

NAMES: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names)


def check_names(names: Iterable[str]) -> None:
    """Nothing, where all of these are checks. Raises UsageError with those that are not, and the nearest name."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        from difflib import get_close_matches  # noqa: PLC0415 - only a mistake pays for it

        near = get_close_matches(unknown[0], NAMES, n=1)
        advice = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"there is no check {', '.join(unknown)}{advice}", hint="outgate explain lists them")


def load(name: str) -> Check:
    """The check of that name. Raises KeyError where there is none."""
    if name not in NAMES:
        raise KeyError(name)
    found: Check = importlib.import_module(f"outgate.checks.{name.replace('-', '_')}").CHECK
    return found


def run(survey: Survey, names: Iterable[str] = NAMES) -> Iterator[Finding]:
    """What these checks find, in their order."""
    for name in names:
        yield from load(name).find(survey)
