"""A cluster under policies of all kinds, for `outgate lint`: each check by itself.

    python -m benchmarks.linting                    2000 workloads, 520 policies
    python -m benchmarks.linting --only rule-shadowed --profile
    python -m benchmarks.linting --only priority-disputed --disputed 60
    python -m benchmarks.linting --wide             rules of egress for every address

The applications and their NetworkPolicies are those of `benchmarks.manifests`. Around them stands what the people of a
platform write: an Admin tier that denies blocks, accepts names and passes on, with two policies of each priority;
denials of Cilium's for everybody, and for some applications allowances by block, name and request; a Baseline tier
below. So the order of rules counts for every workload, and much is before much else.
"""

from __future__ import annotations

import argparse
import cProfile
import ipaddress
import pstats
import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.cluster import Shape
from benchmarks.manifests import manifests
from benchmarks.tables import Row, print_table
from outgate.checks import Survey, load
from outgate.checks.registry import NAMES
from outgate.model import Document
from outgate.model.parse import parse
from outgate.testing import cluster_policy
from outgate.testing_cilium import cilium_policy

__all__ = ["governed", "measured"]

Manifest = dict[str, Any]

_ADMIN, _BASELINE, _DENIALS, _ALLOWANCES = 16, 4, 10, 60
_OUTSIDE = int(ipaddress.IPv4Address("198.51.100.0"))


def governed(shape: Shape, disputed: int = 0, *, wide: bool = False) -> Iterator[Manifest]:
    """The whole cluster; of `shape.policies`, so many are NetworkPolicies as the others leave.

    So many of `disputed` as well: policies of one priority, each of which accepts a name and denies a block. With
    `wide` what NetworkPolicies let out goes anywhere, and ten policies more of each other kind do the same.
    """
    around = list(_around(shape))
    kept = Shape(shape.pods, shape.policies - len(around), shape.namespaces, shape.kinds, shape.local, shape.seed)
    for one in manifests(kept):
        if one["kind"] == "Node":
            one["metadata"]["labels"]["kubernetes.azure.com/cluster"] = "bench"
        if wide and one.get("spec", {}).get("egress"):
            one["spec"]["egress"] = [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]} for _ in one["spec"]["egress"]]
        yield one
    yield from around
    for number in range(10 if wide else 0):
        everything = [{"action": "Accept", "to": [{"networks": ["0.0.0.0/0"]}]}]
        yield cluster_policy(f"wide-{number}", priority=500 + number, egress=everything)
        yield cilium_policy(f"wide-{number}", {"endpointSelector": {}, "egress": [{"toEntities": ["world"]}]})
    for number in range(disputed):
        name = {"action": "Accept", "to": [{"domainNames": [f"partner-{number}.example.com"]}]}
        block = {"action": "Deny", "to": [{"networks": [f"100.64.{number}.0/24"]}]}
        yield cluster_policy(f"partner-{number}", priority=900, egress=[name, block])


def _around(shape: Shape) -> Iterator[Manifest]:
    for number in range(_ADMIN):
        yield _admin(number)
    for number in range(_BASELINE):
        yield _baseline(number)
    for number in range(_DENIALS):
        spec: Manifest = {"endpointSelector": {}, "enableDefaultDeny": {"egress": False}}
        yield cilium_policy(f"never-{number}", spec | {"egressDeny": [{"toCIDR": [_block(number, 28)]}]})
    for number in range(_ALLOWANCES):
        kind = number * shape.kinds // _ALLOWANCES
        yield _allowance(f"team-{kind % shape.namespaces:03}", kind, number)


def _block(number: int, bits: int) -> str:
    return str(ipaddress.ip_network((_OUTSIDE + (number % 16 << 4), bits), strict=False))


def _admin(number: int) -> Manifest:
    team = {"namespaces": {"matchLabels": {"team": f"t{number % 10}"}}}
    rules: list[Manifest] = [
        {"action": "Deny", "to": [{"networks": [_block(number, 28)]}]},
        {"action": "Accept", "to": [{"networks": [_block(number + 1, 29)]}]},
        {"action": "Accept", "to": [{"domainNames": [f"api-{number}.example.com"]}]},
        {"action": "Deny", "to": [{"namespaces": {"matchLabels": {"team": f"t{(number + 3) % 10}"}}}]},
        {"action": "Pass", "to": [{"namespaces": {}}]},
    ]
    more: list[Manifest] = [
        {"action": "Deny", "from": [{"namespaces": {"matchLabels": {"team": f"t{(number + 4) % 10}"}}}]},
        {"action": "Pass", "from": [{"namespaces": {}}]},
    ]
    subject = {"namespaces": {}} if number % 4 == 0 else team
    return cluster_policy(f"admin-{number}", priority=number // 2 * 2, subject=subject, egress=rules, ingress=more)


def _baseline(number: int) -> Manifest:
    rules: list[Manifest] = [
        {"action": "Accept", "to": [{"namespaces": {"matchLabels": {"team": f"t{number}"}}}]},
        {"action": "Deny", "to": [{"networks": [_block(number, 27)]}]},
    ]
    return cluster_policy(
        f"baseline-{number}", tier="Baseline", priority=number, subject={"namespaces": {}}, egress=rules
    )


def _allowance(space: str, kind: int, number: int) -> Manifest:
    resolver = {"matchLabels": {"k8s-app": "kube-dns", "io.kubernetes.pod.namespace": "kube-system"}}
    web, tls = {"port": "8080", "protocol": "TCP"}, {"port": "8443", "protocol": "TCP"}
    rules: list[Manifest] = [
        {"toCIDR": [_block(number, 29)], "toPorts": [{"ports": [{"port": "443"}]}]},
        {"toFQDNs": [{"matchName": f"api-{number}.example.com"}, {"matchPattern": "*.example.org"}]},
        {"toEndpoints": [{"matchLabels": {"app": f"app-{kind + 1}", "io.kubernetes.pod.namespace": space}}]},
        {
            "toEndpoints": [resolver],
            "toPorts": [{"ports": [{"port": "53"}], "rules": {"dns": [{"matchPattern": "*"}]}}],
        },
        {"toEntities": ["world"], "toPorts": [{"ports": [web], "rules": {"http": [{"path": f"/v{number}"}]}}]},
        {"toEntities": ["world"], "toPorts": [{"ports": [tls], "serverNames": [f"api-{number}.example.com"]}]},
    ]
    spec: Manifest = {"endpointSelector": {"matchLabels": {"app": f"app-{kind}"}}, "egress": rules}
    spec["egressDeny"] = [{"toCIDR": [_block(number, 30)]}]
    return cilium_policy(f"{space}/allow-{number}", spec)


def measured(
    shape: Shape, only: str | None = None, *, disputed: int = 0, wide: bool = False, profile: bool = False
) -> Iterator[Row]:
    """A row for each check, in the order of `outgate lint`: what is worked out for one, those after it have."""
    read = parse(Document("bench", one) for one in governed(shape, disputed, wide=wide))
    if read.errors:
        raise RuntimeError(str(read.errors[0]))
    survey = Survey(read.snapshot)
    begin = time.process_time()
    workloads = len(survey.groups)
    yield {"check": "who may talk to whom", "CPU s": round(time.process_time() - begin, 2), "findings": workloads}
    for name in NAMES if only is None else (only,):
        check, watching = load(name), cProfile.Profile()
        begin = time.process_time()
        found = len(list(watching.runcall(check.find, survey) if profile else check.find(survey)))
        yield {"check": name, "CPU s": round(time.process_time() - begin, 2), "findings": found}
        if profile:
            pstats.Stats(watching).sort_stats("tottime").print_stats(25)


def main() -> int:
    """Parse the few options, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.linting", description=__doc__)
    parser.add_argument("--pods", type=int, default=4_000)
    parser.add_argument("--workloads", type=int, default=2_000)
    parser.add_argument("--policies", type=int, default=520, help="of all kinds together")
    parser.add_argument("--namespaces", type=int, default=50)
    parser.add_argument("--disputed", type=int, default=0, help="policies of one priority beside them")
    parser.add_argument("--wide", action="store_true", help="rules of egress for every address")
    parser.add_argument("--only", choices=NAMES, metavar="CHECK", help="one check, and not all")
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    chosen = parser.parse_args()
    shape = Shape(chosen.pods, chosen.policies, chosen.namespaces, chosen.workloads)
    print_table(list(measured(shape, chosen.only, disputed=chosen.disputed, wide=chosen.wide, profile=chosen.profile)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
