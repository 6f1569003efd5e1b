"""Two inputs that differ in one thing: what the tests of the diff compare."""

from __future__ import annotations

from collections.abc import Iterable

from outgate.analysis.changes import Change
from outgate.analysis.diff import ConnectionDiff, diff
from outgate.testing import Manifest, namespace, pod, policy, snapshot_of
from tests.analysis.shop import owned

__all__ = ["CLUSTER", "DENY", "allow", "compared", "lines", "outwards", "pods", "two"]


def pods(name: str, count: int, *, kind: str = "Deployment", first: int = 10, **labels: str) -> list[Manifest]:
    """The pods of one workload of the namespace shop, each with an address of its own."""
    made = (
        pod(
            f"shop/{name}-{number}",
            [f"10.1.{first}.{number}", f"fd00:{first}::{number:x}"],
            labels={"app": name, **labels},
        )
        for number in range(1, count + 1)
    )
    return [owned(one, kind, name) for one in made]


CLUSTER = [namespace("shop"), *pods("web", 2, first=10), *pods("db", 1, kind="StatefulSet", first=20)]
DENY = policy("shop/deny", {"podSelector": {}, "policyTypes": ["Egress", "Ingress"]})


def allow(name: str, spec: Manifest, **labels: str) -> Manifest:
    """A policy of the namespace shop for the pods with these labels."""
    return policy(f"shop/{name}", {"podSelector": {"matchLabels": labels}, **spec})


def outwards(cidr: str, port: int, name: str = "out", **labels: str) -> Manifest:
    """A policy that lets the pods with these labels out to a block alone."""
    rule = {"to": [{"ipBlock": {"cidr": cidr}}], "ports": [{"port": port}]}
    return allow(name, {"policyTypes": ["Egress"], "egress": [rule]}, **labels)


def two(old: Iterable[Manifest], new: Iterable[Manifest]) -> ConnectionDiff:
    """The diff of two lists of manifests, read as they would be from files of these names."""
    return diff(snapshot_of(old, file="old.yaml"), snapshot_of(new, file="new.yaml"))


def compared(old: Iterable[Manifest], new: Iterable[Manifest]) -> list[str]:
    """The same, as `lines`."""
    return lines(two(old, new))


def lines(found: Iterable[Change]) -> list[str]:
    """What became of what, in a line each: ``closed shop/Deployment/web → shop/StatefulSet/db``."""
    return [f"{one.kind.value} {one.source} → {one.destination}" for one in found]
