"""A small estate for questions of exposure: two namespaces, two nodes, a control plane, cluster DNS."""

from __future__ import annotations

from outgate.analysis.exposure import ExposureReport, Standing, exposure
from outgate.policy import OUTGATE, Profile
from outgate.testing import Manifest, namespace, node, pod, policy, service, snapshot_of
from tests.analysis.shop import owned

__all__ = ["WEB", "allow", "api_service", "api_slice", "estate", "report_of", "standing_of"]

WEB = "shop/Deployment/web"


def estate(*more: Manifest) -> list[Manifest]:
    """A web workload of two pods, a database elsewhere, a host-network agent, DNS, and two nodes."""
    web = [
        owned(pod(f"shop/web-{n}", [f"10.1.0.{n}", f"fd00:1::{n}"], on="worker", app="web"), "Deployment", "web")
        for n in (1, 2)
    ]
    dns = [{"name": "dns", "containerPort": 53, "protocol": "UDP"}, {"name": "dns-tcp", "containerPort": 53}]
    return [
        namespace("shop", team="red"),
        namespace("data", team="blue"),
        namespace("kube-system"),
        node("control", ["192.168.50.1"], **{"node-role.kubernetes.io/control-plane": ""}),
        node("worker", ["192.168.50.2", "fd00:50::2"]),
        *web,
        pod("data/db", ["10.1.1.1"], on="worker", app="db", ports=[{"name": "sql", "containerPort": 5432}]),
        pod("data/agent", ["192.168.50.2"], on="worker", host_network=True, app="agent"),
        *(
            pod(
                f"kube-system/dns-{n}",
                [f"10.1.2.{n}"],
                on="worker",
                ports=dns,
                labels={"k8s-app": "kube-dns"},
            )
            for n in (1, 2)
        ),
        service(
            "kube-system/kube-dns",
            "10.96.0.10",
            [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}],
            **{"k8s-app": "kube-dns"},
        ),
        *more,
    ]


def api_service() -> Manifest:
    """The Service of the API server, which has no selector."""
    return service("default/kubernetes", "10.96.0.1", [{"name": "https", "port": 443, "targetPort": 6443}])


def api_slice(*addresses: str, ready: bool = True) -> Manifest:
    """What is behind it."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [one], "conditions": {"ready": ready}} for one in addresses],
        "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
    }


def allow(*egress: object, name: str = "out", where: str = "shop") -> Manifest:
    """A policy that isolates every pod of a namespace for egress and allows these rules."""
    return policy(f"{where}/{name}", {"podSelector": {}, "policyTypes": ["Egress"], "egress": list(egress)})


def report_of(*more: Manifest, profile: Profile = OUTGATE) -> ExposureReport:
    """The report of the estate with these objects."""
    return exposure(snapshot_of(estate(*more)), profile)


def standing_of(*more: Manifest, workload: str = WEB, profile: Profile = OUTGATE) -> Standing:
    """What is said of one workload."""
    (found,) = [one for one in report_of(*more, profile=profile).workloads if str(one.group) == workload]
    return found.standing
