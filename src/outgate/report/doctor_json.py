"""The document `DoctorReport` (docs/schema/DoctorReport.json)."""

from __future__ import annotations

from outgate.analysis.doctor import DoctorReport
from outgate.analysis.doctor_facts import Line, Mark
from outgate.analysis.doctor_networks import Network
from outgate.analysis.doctor_places import Coverage, Dns, NamespaceCover
from outgate.analysis.doctor_probe import ProbeResult
from outgate.report.terms import API_VERSION, Json

__all__ = ["doctor_json"]


def doctor_json(report: DoctorReport) -> Json:
    """The report as plain data: the lines as people read them, and what they were made of."""
    facts = report.facts
    return {
        "apiVersion": API_VERSION,
        "kind": "DoctorReport",
        "summary": {mark.value: report.having(mark) for mark in Mark},
        "lines": [_line(one) for one in report.lines],
        "networks": [_network(one) for one in report.networks],
        "enforces": report.enforces.value,
        "policies": len(facts.snapshot.policies),
        "probe": None if facts.probe is None else _probe(facts.probe),
        "dns": _dns(report.dns),
        "metadata": {"workloads": report.metadata_reached_by, "addresses": report.metadata},
        "namespaces": [_namespace(one) for one in report.namespaces],
        "versions": {
            "server": (facts.served.version if facts.served is not None else "") or None,
            "kubelets": report.nodes.kubelets,
            "kernels": report.nodes.kernels,
        },
        "otherPolicies": [{"name": one.name, "count": one.count, "certain": one.certain} for one in facts.others],
        "nodes": {
            "total": report.nodes.total,
            "unmanaged": {why: list(names) for why, names in report.nodes.unmanaged.items()},
            "kernelTooOld": list(report.nodes.old),
            "kernelNotKnown": list(report.nodes.unsaid),
            "proxyMode": report.proxy_mode or None,
        },
    }


def _line(one: Line) -> Json:
    return {
        "topic": one.topic,
        "mark": one.mark.value,
        "message": one.words,
        "details": list(one.details),
        "next": list(one.next_steps),
    }


def _network(one: Network) -> Json:
    daemon = one.daemon
    return {
        "plugin": one.plugin,
        "daemonSet": None if daemon is None else {"namespace": daemon.namespace, "name": daemon.name},
        "enforces": one.enforces.value,
        "switch": None if one.switch is None else one.switch.value,
        "reason": one.why,
        "readyOn": list(one.ready_on),
        "missingOn": None if one.missing_on is None else list(one.missing_on),
    }


def _probe(one: ProbeResult) -> Json:
    return {
        "outcome": one.outcome.value,
        "namespace": one.namespace,
        "image": one.image,
        "reason": one.reason,
        "left": one.left,
        "directions": [
            {"direction": each.direction.value, "outcome": each.outcome.value, "seconds": round(each.seconds, 3)}
            for each in one.tried
        ],
        "steps": [{"step": each.words, "seen": each.seen, "seconds": round(each.seconds, 3)} for each in one.steps],
    }


def _dns(one: Dns) -> Json:
    return {
        "services": [
            {
                "namespace": service.namespace,
                "name": service.name,
                "addresses": [str(address) for address in service.cluster_ips],
                "ports": [f"{port.protocol} {port.port}" for port in service.ports],
            }
            for service in one.services
        ],
        "pods": len(one.pods),
        "ready": one.ready,
        "podPorts": list(one.ports),
        "nodeLocalCache": one.node_cache,
    }


def _namespace(one: NamespaceCover) -> Json:
    return {"name": one.name, "egress": _coverage(one.egress), "ingress": _coverage(one.ingress)}


def _coverage(one: Coverage) -> Json:
    return {"coverage": str(one), "isolated": one.isolated, "total": one.total}
