"""All checks, by name. Each is the module of its name, read when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from outgate.checks.check import Check
from outgate.checks.finding import Finding
from outgate.checks.survey import Survey

__all__ = ["GROUPS", "NAMES", "load", "run"]

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
    }
)
"""What each group of checks is about, and their names, in the order in which they are documented."""

NAMES: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names)


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
