"""The document `ExposureReport` (docs/schema/ExposureReport.json)."""

from __future__ import annotations

from collections.abc import Iterable

from outgate.analysis.exposure import Exposure, ExposureReport, Finding, NodesReached, PlaceReached, Standing
from outgate.analysis.exposure_metadata import Opened
from outgate.analysis.exposure_namespaces import Neighbours, Purpose
from outgate.analysis.exposure_outside import Extent, Share
from outgate.analysis.exposure_places import Door, Place
from outgate.analysis.exposure_strangers import Opening
from outgate.analysis.on_condition import Asked
from outgate.analysis.opened import Opening as OpenedName
from outgate.model import Direction
from outgate.model.labels import LabelSelector, Operator
from outgate.packets import AddressSet, TransportSet
from outgate.packets.special import RANGES, AddressRange
from outgate.policy import Origin, Rule
from outgate.report.conditions import asked_json, conditions_json
from outgate.report.exposure_words import part_cidrs
from outgate.report.parties import party_json
from outgate.report.terms import API_VERSION, Json, end_json, origin_json, transports_json, without_empty

__all__ = ["exposure_json"]


def exposure_json(report: ExposureReport) -> Json:
    """The report as plain data, the most exposed workload first."""
    # Thousands of pods may share one standing: it is written once and then repeated.
    written: dict[int, Json] = {}
    return {
        "apiVersion": API_VERSION,
        "kind": "ExposureReport",
        "profile": report.profile.name,
        "summary": {
            "workloads": len(report.workloads),
            "findings": {finding.value: report.having(finding) for finding in Finding},
            "linkLocalMetadata": report.reaching_link_local_metadata(),
            **without_empty({"onCondition": _counts(report)}),
        },
        "ranges": [
            {"name": one.name, "family": one.family, "cidrs": list(one.addresses.cidrs()), "source": one.source}
            for one in RANGES
        ],
        "apiServer": _place(report.api_server),
        "clusterDNS": _place(report.dns),
        "nodes": {"names": list(report.nodes), "ownNodeExempt": report.profile.own_node_exempt},
        "undeclaredNamespaces": list(report.undeclared),
        "workloads": [_workload(rank, one, written) for rank, one in enumerate(report.workloads, 1)],
    }


def _counts(report: ExposureReport) -> Json:
    counts = {finding.value: report.having_on_condition(finding) for finding in Finding}
    return {name: count for name, count in counts.items() if count}


def _workload(rank: int, one: Exposure, written: dict[int, Json]) -> Json:
    found = written.get(id(one.standing))
    if found is None:
        found = written[id(one.standing)] = _standing(one.standing)
    return {"rank": rank, "workload": party_json(one.group), "podCount": len(one.group.pods), **found}


def _standing(one: Standing) -> Json:
    outside = one.outside
    return {
        "families": list(one.families),
        "hostNetwork": one.host_network,
        "findings": [finding.value for finding in one.findings],
        **without_empty({"onCondition": [finding.value for finding in one.on_condition]}),
        "egress": _isolation(one, Direction.EGRESS),
        "ingress": _isolation(one, Direction.INGRESS),
        "ranges": [_extent(each) for each in outside.ranges],
        "names": [_name(each) for each in outside.names],
        "metadata": [_opened(each) for each in outside.clouds],
        "dns": {
            "cluster": _reached(one.dns),
            "resolvers": _some(outside.resolvers),
            "resolversTLS": _some(outside.resolvers_tls),
        },
        "apiServer": _reached(one.api_server),
        "nodes": _nodes(outside.nodes),
        "namespaces": _namespaces(one.neighbours),
        "futurePods": {
            "reaches": [_opening(each) for each in one.openings[Direction.EGRESS]],
            "reachedFrom": [_opening(each) for each in one.openings[Direction.INGRESS]],
        },
    }


def _isolation(one: Standing, direction: Direction) -> Json:
    policies = one.isolated[direction]
    return {"isolated": bool(policies), "by": _origins(policies)}


def _origins(origins: Iterable[Origin]) -> list[Json | None]:
    return [origin_json(one) for one in origins]


def _place(place: Place) -> Json:
    return {"found": place.found.value, "source": place.source, "doors": [_door(door) for door in place.doors]}


def _door(door: Door) -> Json:
    return {
        "destination": end_json(door.end),
        **without_empty({"address": _address(door)}),
        "protocol": door.protocol.name,
        "port": door.port,
    }


def _address(door: Door) -> str:
    """Empty for a pod without an address: what it has here is a stand-in."""
    pod = door.end.pod
    return str(door.end.address) if pod is None or pod.addressed else ""


def _only_if(asked: Iterable[Asked]) -> Json:
    return without_empty({"onlyIf": [asked_json(one) for one in asked]})


def _reached(one: PlaceReached) -> Json:
    asked = one.asked or ((),) * len(one.doors)
    return {
        "reached": one.reach.value,
        "doors": [_door(door) | _only_if(map(Asked, mine)) for door, mine in zip(one.doors, asked, strict=True)],
        "allowedBy": _origins(one.origins),
    }


def _some(extents: Iterable[Extent]) -> list[Json]:
    return [_extent(one) for one in extents if one.share is not Share.NONE]


def _extent(one: Extent) -> Json:
    return {
        "range": one.range.name,
        "family": one.range.family,
        "share": one.share.value,
        "parts": [_part(one.range, *piece) for piece in one.pieces],
        "allowedBy": _origins(one.origins),
    }


def _part(where: AddressRange, addresses: AddressSet, transports: TransportSet, asked: Iterable[Asked]) -> Json:
    """`cidrs`, or `allBut`: the blocks that the rest of the range is made of."""
    blocks, but = part_cidrs(where, addresses)
    return {("allBut" if but else "cidrs"): list(blocks), **transports_json(transports), **_only_if(asked)}


def _opened(one: Opened) -> Json:
    return {
        "address": str(one.place.address),
        "use": one.place.use.value,
        "services": [{"provider": provider, "what": what} for provider, what in one.place.what],
        "knownPorts": transports_json(one.place.ports)["allowed"],
        "exposed": one.exposes_metadata,
        **transports_json(one.transports),
        **_only_if(one.asked),
        "allowedBy": _origins(one.origins),
        **without_empty({"note": one.place.note}),
    }


def _name(one: OpenedName) -> Json:
    asked = map(Asked, one.conditional(one.transports))
    return {**party_json(one.named), **transports_json(one.transports), **_only_if(asked)}


def _nodes(one: NodesReached) -> Json:
    return {
        "reached": one.reach.value,
        "names": list(one.names),
        "kubelet": one.kubelet,
        **transports_json(one.transports),
        **_only_if(one.asked),
        "allowedBy": _origins(one.origins),
    }


def _namespaces(one: Neighbours) -> Json:
    return {
        "others": one.others,
        "reaches": list(one.reaches),
        "allowedBy": _origins(one.out_by),
        "reachedFrom": list(one.reached_from),
        "letInBy": _origins(one.in_by),
        **without_empty({"reachesOnlyIf": _purposes(one.reaches_for), "reachedOnlyIf": _purposes(one.reached_for)}),
    }


def _purposes(purposes: Iterable[Purpose]) -> list[Json]:
    return [
        {"namespaces": list(one.namespaces), **transports_json(one.transports), **_only_if(map(Asked, one.asked))}
        for one in purposes
    ]


def _conditions(rules: Iterable[Rule]) -> Json:
    return without_empty({"conditions": conditions_json(rules)})


def _opening(one: Opening) -> Json:
    whom: Json = {"anyPod": one.anybody}
    named = dict(one.names_asked)
    if one.addresses is not None:
        whom["cidrs"] = _cidrs(one.addresses)
    else:
        whom |= {"namespaceSelector": _selector(one.namespaces), "podSelector": _selector(one.pods)}
    return {
        **whom,
        **transports_json(one.transports),
        **_only_if(map(Asked, one.asked)),
        "portNames": [
            {"protocol": name.protocol.name, "name": name.name, **_conditions(named.get(name, ()))}
            for name in one.names
        ],
        "allowedBy": _origins(one.origins),
    }


def _cidrs(addresses: AddressSet) -> list[str]:
    return list(addresses.cidrs())


def _selector(selector: LabelSelector) -> Json:
    """As the API writes it; `{}` is everything."""
    labels: Json = {}
    expressions: list[Json] = []
    for one in selector.requirements:
        if one.operator is Operator.IN and len(one.values) == 1:
            labels[one.key] = one.values[0]
        else:
            values = {"values": list(one.values)} if one.values else {}
            expressions.append({"key": one.key, "operator": one.operator.value, **values})
    return without_empty({"matchLabels": labels, "matchExpressions": expressions})
