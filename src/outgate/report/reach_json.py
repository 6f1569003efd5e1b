"""The document `Reachability` (docs/schema/Reachability.json).

The fields that every answer has come first and never change. Those behind them are there where they say something:
`flows` where the question stood for several, `ports` where no port was asked, `some` for a part of a block,
`profile` where the open points of the API were read in another way than ours.
"""

from __future__ import annotations

from outgate.analysis.notes import Hint
from outgate.analysis.on_condition import Asked
from outgate.analysis.reach_asked import AskedOf, asked_of
from outgate.analysis.reachability import Judged, Reachability, Split, by_address
from outgate.analysis.spelling import spell_protocol
from outgate.policy import OUTGATE, Side
from outgate.report.conditions import asked_json, conditions_json, entries_json
from outgate.report.terms import API_VERSION, Json, end_json, origin_json, target_json, transports_json, without_empty

__all__ = ["MOST_FLOWS_SHOWN", "reach_json", "side_json"]

MOST_FLOWS_SHOWN = 1000
"""Single flows in one document. Denied ones come first, and `flowsLeftOut` says how many are missing."""


def reach_json(answer: Reachability) -> Json:
    """The answer as plain data."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Reachability",
        "source": target_json(answer.question.source),
        "destination": target_json(answer.question.destination),
        "packet": {
            "protocol": None if answer.protocol is None else spell_protocol(answer.protocol),
            "port": answer.port,
            "address": None if answer.address is None else str(answer.address),
        },
        "verdict": answer.verdict.value,
        "specified": answer.specified,
        "egress": side_json(answer.egress),
        "ingress": side_json(answer.ingress),
        **without_empty(
            {
                "profile": None if answer.profile == OUTGATE else answer.profile.name,
                "failure": answer.failure,
                "some": _some(answer.split),
                "ports": _ports(answer),
                "flows": _flows(answer.flows),
                "flowsLeftOut": max(0, len(answer.flows) - MOST_FLOWS_SHOWN) or None,
                "openPoints": list(answer.open_points),
                "hints": [_hint(hint) for hint in answer.hints],
                "notes": list(answer.notes),
            }
        ),
    }


def side_json(side: Side) -> Json:
    """One end: its verdict, and who decided."""
    return {
        "verdict": side.verdict.value,
        "isolated": side.isolated,
        "decidedBy": origin_json(side.decided_by),
        "reason": side.reason,
        **({"onlyIf": conditions_json(side.conditional)} if side.conditional else {}),
    }


def _some(split: Split | None) -> Json | None:
    if split is None or not (split.allowed and split.denied):
        return None
    return {"allowed": list(split.allowed.cidrs()), "denied": list(split.denied.cidrs())}


def _ports(found: Reachability) -> Json | None:
    ports = found.ports
    if ports is None:
        return None
    answer = transports_json(ports.everywhere)
    asked = asked_of(found)
    if asked:
        answer["allowed"] = entries_json(ports.everywhere, (one.part for one in asked if not one.among))
        answer["onlyIf"] = [_asked(one) for one in asked]
    if parts := by_address(found):
        answer["byAddress"] = [
            {"cidrs": list(addresses.cidrs()), **transports_json(transports)} for addresses, transports in parts
        ]
    return answer


def _asked(one: AskedOf) -> Json:
    """OnlyIf (`asked_json`), and between whom, where that is not all of the ends."""
    found = asked_json(Asked(one.part))
    if one.among:
        found["between"] = [
            {
                "source": end_json(each.source),
                "destination": end_json(each.destination),
                **({"cidrs": list(each.addresses.cidrs())} if each.addresses is not None else {}),
            }
            for each in one.among[:MOST_FLOWS_SHOWN]
        ]
    return found


def _flows(flows: tuple[Judged, ...]) -> list[Json]:
    if len(flows) == 1 and flows[0].trace.flow.dialled is None:
        return []
    ordered = sorted(flows, key=lambda one: one.trace.verdict.allows)
    return [_flow(one) for one in ordered[:MOST_FLOWS_SHOWN]]


def _flow(one: Judged) -> Json:
    trace = one.trace
    flow = trace.flow
    pod = flow.destination.pod
    known = pod is None or pod.addressed
    return {
        "source": end_json(flow.source),
        "destination": end_json(flow.destination),
        "packet": {
            "protocol": spell_protocol(flow.protocol),
            "port": flow.coordinate if _has_port(flow.protocol) else None,
            "address": str(flow.destination.address) if known else None,
        },
        "verdict": trace.verdict.value,
        "specified": trace.specified,
        "egress": side_json(trace.egress),
        "ingress": side_json(trace.ingress),
        **({"cidrs": list(one.addresses.cidrs())} if one.addresses is not None else {}),
    }


def _has_port(protocol: int) -> bool:
    return spell_protocol(protocol) in {"TCP", "UDP", "SCTP"}


def _hint(hint: Hint) -> Json:
    return {
        "direction": hint.direction.value,
        "rule": origin_json(hint.origin),
        **transports_json(hint.transports),
    }
