"""The document `LabReport` (docs/schema/LabReport.json).

The fields that every probe has come first and never change; those behind them are there where they say
something. `destination` is who was meant: the pod behind a Service, or the Service itself where several are behind
it; `address` and `port` are what was dialled, `via` how.
"""

from __future__ import annotations

from outgate.report.lab import KernelRule, LabReport, ProbeResult
from outgate.report.lab_names import name_json, question_json
from outgate.report.lab_requests import request_json
from outgate.report.terms import API_VERSION, Json, end_json, origin_json, without_empty

__all__ = ["lab_json"]


def lab_json(report: LabReport) -> Json:
    """The report as plain data."""
    return {
        "apiVersion": API_VERSION,
        "kind": "LabReport",
        "topology": dict(report.topology),
        "enforced": report.enforced,
        "policies": [origin_json(one) for one in report.policies],
        "probes": [_probe(one) for one in report.probes],
        "disagreements": report.count,
        "seconds": round(report.seconds, 3),
        **without_empty(
            {
                "requests": [request_json(one) for one in report.requests],
                "names": [name_json(one) for one in report.names],
                "questions": [question_json(one) for one in report.questions],
                "moved": list(report.moved),
                "notes": list(report.notes),
            }
        ),
    }


def _probe(probe: ProbeResult) -> Json:
    return {
        "source": end_json(probe.source),
        "destination": _destination(probe),
        "protocol": probe.protocol.name.replace("ICMPV6", "ICMPv6"),
        "port": probe.port if probe.protocol.has_ports else None,
        "via": probe.via,
        "expected": probe.expected.value,
        "observed": probe.observed.value,
        "evidence": probe.evidence,
        "specified": probe.specified,
        "disagreement": probe.disagrees,
        "sourceAddress": str(probe.source.address),
        "address": str(probe.address),
        "family": probe.address.version,
        **without_empty(
            {
                "service": probe.service,
                "name": probe.name,
                "reason": probe.reason,
                "backendsDiffer": probe.mixed or None,
                "demanded": probe.demanded.value if probe.demanded else None,
                "decidedBy": origin_json(probe.decided_by),
                "kernel": [_kernel(one) for one in probe.kernel],
            }
        ),
    }


def _destination(probe: ProbeResult) -> Json:
    if probe.backends > 1:
        namespace, _, name = probe.service.partition("/")
        return {"kind": "Service", "namespace": namespace, "name": name}
    return end_json(probe.destination)


def _kernel(rule: KernelRule) -> Json:
    return {
        "node": rule.node,
        "hook": rule.hook,
        "chain": rule.chain,
        "comment": rule.comment,
        "verdict": rule.verdict,
    }
