"""The document `TestReport` (docs/schema/TestReport.json)."""

from __future__ import annotations

from collections.abc import Sequence

from outgate.analysis.coverage import Coverage
from outgate.analysis.spelling import spell_protocol
from outgate.analysis.verdicts import Failure, Outcome
from outgate.packets import Address, Protocol
from outgate.policy import Endpoint
from outgate.report.reach_json import side_json
from outgate.report.terms import API_VERSION, Json, end_json, origin_json, transports_json, without_empty

__all__ = ["MOST_PAIRS_SHOWN", "assertions_json"]

MOST_PAIRS_SHOWN = 100
"""Further pairs of ends in one failure; `moreLeftOut` says how many are missing."""


def assertions_json(outcomes: Sequence[Outcome], coverage: Coverage | None = None) -> Json:
    """All outcomes as plain data, in the order of the files."""
    return {
        "apiVersion": API_VERSION,
        "kind": "TestReport",
        "passed": sum(one.holds for one in outcomes),
        "failed": sum(not one.holds for one in outcomes),
        "assertions": [_outcome(one) for one in outcomes],
        **({} if coverage is None else {"coverage": _coverage(coverage)}),
    }


def _outcome(outcome: Outcome) -> Json:
    assertion = outcome.assertion
    return {
        "name": assertion.title,
        "verb": assertion.verb.value,
        "file": assertion.place.file,
        "line": assertion.place.line or None,
        "holds": outcome.holds,
        "specified": not outcome.open_points,
        **without_empty(
            {
                "because": assertion.because,
                "failure": None if outcome.failure is None else _failure(outcome.failure),
                "openPoints": list(outcome.open_points),
                "notes": list(outcome.notes),
            }
        ),
    }


def _failure(failure: Failure) -> Json:
    trace = failure.trace
    flow = trace.flow
    return {
        "source": end_json(flow.source),
        "destination": end_json(flow.destination),
        "packet": {
            "source": _address(flow.source),
            "destination": _address(flow.destination),
            "protocol": spell_protocol(flow.protocol),
            "port": flow.coordinate if Protocol(flow.protocol).has_ports else None,
        },
        "wanted": failure.wanted.value,
        "verdict": trace.verdict.value,
        "egress": side_json(trace.egress),
        "ingress": side_json(trace.ingress),
        "packets": [
            {"cidrs": list(addresses.cidrs()), **transports_json(transports)}
            for addresses, transports in failure.packets
        ],
        **without_empty(
            {
                "name": failure.name,
                "request": "" if flow.about is None else str(flow.about),
                "more": [
                    {
                        "source": end_json(one.source),
                        "destination": end_json(one.destination),
                        **without_empty({"name": one.name}),
                    }
                    for one in failure.more[:MOST_PAIRS_SHOWN]
                ],
                "moreLeftOut": max(0, len(failure.more) - MOST_PAIRS_SHOWN) or None,
            }
        ),
    }


def _address(end: Endpoint) -> str | None:
    """The address in the packet; null where the input gives the pod none."""
    known: Address | None = end.address if end.pod is None or end.pod.addressed else None
    return None if known is None else str(known)


def _coverage(found: Coverage) -> Json:
    return {
        "total": found.total,
        "exercised": found.exercised,
        "percent": found.percent,
        "missing": [{"direction": one.direction.value, "origin": origin_json(one)} for one in found.missing],
    }
