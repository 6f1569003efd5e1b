"""A cluster on which recipes are proved: its DNS listens on 5353, its API server on 6443, a Service hides a port."""

from __future__ import annotations

from typing import Any

import yaml

from outgate.checks.finding import Finding, Severity
from outgate.checks.lint import lint
from outgate.checks.survey import Survey
from outgate.cluster import Text, load
from outgate.model import Snapshot
from outgate.policy import Judge, Policies
from outgate.recipes import Asked, scaffold
from outgate.report.assertions_text import outcome_text
from outgate.report.scaffold_yaml import scaffold_yaml
from tests.analysis.suites import outcomes

__all__ = ["DNS", "TOWN", "findings", "made", "notes", "objects", "proved", "snapshot", "survey"]

DNS = "{to: kube-system/coredns, port: [5353/UDP, 5353/TCP]}"
"""What every workload is allowed where DNS is."""

_POD = """\
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}
spec:
  nodeName: worker
  containers: [{{name: main, image: app, ports: [{ports}]}}]
status: {{phase: Running, podIP: 10.1.0.{number}, podIPs: [{{ip: 10.1.0.{number}}}, {{ip: 'fd00:1::{number}'}}]}}
"""


def _pod(name: str, labels: str, number: int, ports: str = "") -> str:
    namespace, _, bare = name.partition("/")
    return _POD.format(name=bare, namespace=namespace, labels=labels, number=number, ports=ports)


TOWN = (
    "".join(
        f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"
        for name in ("shop", "monitoring", "edge", "kube-system")
    )
    + """\
---
apiVersion: v1
kind: Node
metadata: {name: control, labels: {node-role.kubernetes.io/control-plane: ''}}
status: {addresses: [{type: InternalIP, address: 192.168.0.10}]}
---
apiVersion: v1
kind: Node
metadata: {name: worker}
status: {addresses: [{type: InternalIP, address: 192.168.0.20}]}
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: 10.96.0.10
  selector: {k8s-app: kube-dns}
  ports:
    - {name: dns, port: 53, targetPort: 5353, protocol: UDP}
    - {name: dns-tcp, port: 53, targetPort: 5353}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: 10.96.0.20, selector: {app: db}, ports: [{name: sql, port: 3306, targetPort: pg}]}
---
apiVersion: v1
kind: Service
metadata: {name: db-headless, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: sql, port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.21
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: admin, port: 81, targetPort: 9000}]
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: shop}
spec: {clusterIP: 10.96.0.22, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: front, namespace: shop}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
"""
    + _pod("shop/web", "{app: web, version: v1}", 10, "{name: http, containerPort: 8080}, {containerPort: 9000}")
    + _pod("shop/db", "{app: db}", 11, "{name: pg, containerPort: 5432}")
    + _pod("shop/batch", "{app: batch}", 12)
    + _pod("shop/suspect", "{outgate.dev/quarantine: 'true'}", 13)
    + _pod("monitoring/prometheus", "{app: prometheus}", 14)
    + _pod("edge/gateway", "{app: gateway}", 15)
    + _pod("kube-system/coredns", "{k8s-app: kube-dns}", 53)
)


def snapshot(*texts: str) -> Snapshot:
    """The cluster, with more manifests."""
    sources = [Text(f"{number}.yaml", text.encode()) for number, text in enumerate((TOWN, *texts))]
    loaded = load(sources, namespace="default")
    assert loaded.errors == ()
    assert loaded.warnings == ()
    return loaded.snapshot


def survey(*texts: str) -> Survey:
    """The same, as checks and recipes see it."""
    return Survey(snapshot(*texts))


def made(recipe: str, **asked: Any) -> str:
    """What a recipe writes, as YAML; for namespace shop and this cluster unless told otherwise."""
    return scaffold_yaml(scaffold(recipe, Asked(**{"namespace": "shop", "survey": survey(), **asked})))


def notes(recipe: str, **asked: Any) -> tuple[str, ...]:
    """What is said beside it."""
    return scaffold(recipe, Asked(**{"namespace": "shop", "survey": survey(), **asked})).notes


def objects(text: str) -> list[Any]:
    """The documents of a text, as another reader of YAML has them."""
    return list(yaml.safe_load_all(text))


def proved(text: str, *assertions: str) -> None:
    """Hold the cluster with these policies against assertions."""
    for one in outcomes(Judge(Policies(snapshot(text))), *assertions):
        assert one.holds, outcome_text(one)


def findings(text: str, *others: str) -> list[Finding]:
    """What lint finds in the policies, or elsewhere and not without them; but for what is only worth knowing."""
    before = {_about(one.finding) for one in lint(survey(*others)).findings}
    there = [one.finding for one in lint(survey(text, *others)).findings]
    return [
        one
        for one in there
        if one.severity > Severity.INFO and (one.place.file == "1.yaml" or _about(one) not in before)
    ]


def _about(finding: Finding) -> tuple[str, str]:
    return finding.rule, str(finding.subject)
