"""Clusters for the tests of the lab, written as a user would write them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from outgate.cluster.files import documents_of
from outgate.cluster.reading import Unreadable
from outgate.lab import run, session
from outgate.lab.addressing import address
from outgate.lab.build import Stage
from outgate.lab.enforce import enforce
from outgate.lab.everything import planner
from outgate.lab.names import Zone
from outgate.lab.plan import Planner, Probe
from outgate.lab.run import Prepared, Wishes
from outgate.lab.topology import Topology
from outgate.model import Snapshot
from outgate.model.objects import Address
from outgate.model.parse import parse
from outgate.policy import Policies
from outgate.report.lab_json import lab_json

__all__ = ["DNS", "SHOP", "outcome", "planned", "planner_of", "probes_between", "snapshot_of"]

SHOP = """
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: c, image: x, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {nodeName: n2, containers: [{name: c, image: x, ports: [{name: pg, containerPort: 5432}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {selector: {app: db}, ports: [{name: pg, port: 5432, targetPort: pg}]}
---
"""
"""Two pods on two nodes, and a Service."""

DNS = """
apiVersion: v1
kind: Pod
metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec: {nodeName: n1, containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {selector: {k8s-app: kube-dns}, ports: [{name: dns, port: 53, protocol: UDP}, {name: tcp, port: 53}]}
---
"""


def snapshot_of(text: str) -> Snapshot:
    """The snapshot of some YAML; it must be without errors."""
    unreadable = Unreadable()
    parsed = parse(documents_of(text.encode(), "test.yaml", unreadable))
    assert (unreadable.errors, list(parsed.errors)) == ([], [])
    return parsed.snapshot


def planned(text: str, wishes: Wishes | None = None) -> Prepared:
    """The run that would be made of some YAML."""
    return run.prepare(snapshot_of(text), wishes or Wishes())


def planner_of(text: str, names: Mapping[str, tuple[Address, ...]] | None = None) -> Planner:
    """An empty plan for some YAML."""
    snapshot = address(snapshot_of(text))
    return planner(Topology.of(snapshot), Policies(snapshot), Zone.of(snapshot, names))


def probes_between(prepared: Prepared, source: str, destination: str) -> list[Probe]:
    """The probes from one end to another, as their words say."""
    return [one for one in prepared.plan.probes if (str(one.source), str(one.destination)) == (source, destination)]


def outcome(prepared: Prepared, before_probing: Callable[[Stage], None] | None = None) -> dict[str, Any]:
    """Runs a lab and gives its report as JSON has it. `before_probing` may break something first."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "report.json")

        def inside() -> int:
            if before_probing is not None:

                def broken(stage: Stage, policies: Policies, *, proxied: bool) -> object:
                    done = enforce(stage, policies, proxied=proxied)
                    before_probing(stage)
                    return done

                # In this process alone, which ends with the lab.
                pytest.MonkeyPatch().setattr(run, "enforce", broken)
            report, _, _ = run.perform(prepared)
            target.write_text(json.dumps(lab_json(report)))
            return 0

        assert session.run_in_lab(inside) == 0
        found: dict[str, Any] = json.loads(target.read_text())
    return found
