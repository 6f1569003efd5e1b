"""A small shop, as manifests: what the tests of this room ask questions about."""

from __future__ import annotations

from typing import Any

from outgate.analysis.lookup import Lookup
from outgate.analysis.reach import reach
from outgate.analysis.reachability import Question, Reachability
from outgate.analysis.targets import TransportAsked, parse, parse_destination
from outgate.model import Snapshot
from outgate.policy import Judge, Policies
from outgate.testing import Manifest, namespace, node, pod, policy, service, snapshot_of

__all__ = ["EGRESS_TO_DB", "INGRESS_OF_DB", "ask", "deployment", "judge_of", "owned", "shop", "snapshot"]

HTTP: dict[str, Any] = {"name": "http", "containerPort": 8080}
METRICS: dict[str, Any] = {"name": "metrics", "containerPort": 9100}
SQL: dict[str, Any] = {"name": "sql", "containerPort": 5432}


def owned(manifest: Manifest, kind: str, name: str) -> Manifest:
    """A pod that belongs to a workload."""
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": name, "controller": True}
    return manifest | {"metadata": manifest["metadata"] | {"ownerReferences": [owner]}}


def deployment(path: str, **labels: str) -> Manifest:
    """A Deployment without pods."""
    space, _, name = path.rpartition("/")
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "example/main"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": space},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def shop(*policies: Manifest) -> list[Manifest]:
    """Two namespaces, two nodes: `web` (a ReplicaSet of two), a database, a lone pod, a host-network agent."""
    web = [
        owned(
            pod(f"shop/web-{n}", [f"10.1.0.{10 + n}", f"fd00:1::{10 + n}"], on="node-a", ports=[HTTP], app="web"),
            "ReplicaSet",
            "web",
        )
        for n in (1, 2)
    ]
    return [
        namespace("shop", team="red"),
        namespace("data", team="blue"),
        node("node-a", ["192.168.50.11"]),
        node("node-b", ["192.168.50.12"]),
        *web,
        pod("data/db", ["10.1.1.20", "fd00:1:1::20"], on="node-b", ports=[SQL, METRICS], app="db"),
        pod("data/lone", ["10.1.1.21"], on="node-b"),
        pod("data/agent", ["192.168.50.12"], on="node-b", host_network=True, ports=[METRICS]),
        pod("data/done", ["10.1.1.99"], on="node-b", phase="Succeeded"),
        service("data/db", "10.96.0.1", [{"name": "sql", "port": 5000, "targetPort": "sql"}], app="db"),
        service("data/headless", "None", [{"name": "sql", "port": 5000, "targetPort": "sql"}], app="db"),
        service("data/empty", "10.96.0.2", [{"port": 80}], app="nobody"),
        deployment("shop/planned", app="planned"),
        *policies,
    ]


EGRESS_TO_DB = policy(
    "shop/to-db",
    {
        "podSelector": {"matchLabels": {"app": "web"}},
        "policyTypes": ["Egress"],
        "egress": [
            {
                "to": [{"namespaceSelector": {"matchLabels": {"team": "blue"}}}],
                "ports": [{"port": 5432}, {"port": 8000, "endPort": 8100}],
            },
            {"to": [{"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.128/25"]}}], "ports": [{"port": 443}]},
        ],
    },
)
INGRESS_OF_DB = policy(
    "data/db-in",
    {
        "podSelector": {"matchLabels": {"app": "db"}},
        "ingress": [
            {
                "from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}],
                "ports": [{"port": "sql"}, {"port": 8050, "endPort": 9000}],
            }
        ],
    },
)


def snapshot(*policies: Manifest) -> Snapshot:
    """The shop under these policies."""
    return snapshot_of(shop(*policies))


def judge_of(*policies: Manifest) -> Judge:
    """Who answers for the shop under these policies."""
    return Judge(Policies(snapshot(*policies)))


def ask(
    judge: Judge,
    source: str,
    destination: str,
    *,
    protocol: str | None = None,
    family: int | None = None,
    namespace: str | None = None,
) -> Reachability:
    """One question, written as on the command line."""
    lookup = Lookup(judge.policies.snapshot, namespace)
    end, suffix = parse_destination(destination)
    transport = suffix.joined(TransportAsked.read(None, protocol))
    return reach(judge, Question(lookup.find(parse(source)), lookup.find(end), transport, family))
