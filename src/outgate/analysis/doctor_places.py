"""DNS, metadata services and default denies: what people look for next, from the same answers as `exposure`."""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.doctor_facts import Facts, Line, Mark, few, many, plain
from outgate.analysis.exposure import ExposureReport
from outgate.analysis.exposure_places import NODE_CACHE, Found, cluster_dns_services
from outgate.model import Direction, Pod, Service, Snapshot
from outgate.records import dataclass

__all__ = [
    "SYSTEM_NAMESPACES",
    "Coverage",
    "Dns",
    "NamespaceCover",
    "cover",
    "cover_line",
    "dns_line",
    "find_dns",
    "metadata",
    "metadata_line",
]

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
"""The cluster's own: a default deny there is not expected, and not counted."""


# ---- DNS -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dns:
    """The resolvers of the cluster. `ports` are those of the pods, at which policies are judged."""

    services: tuple[Service, ...]
    pods: tuple[Pod, ...]
    ready: int
    ports: tuple[str, ...]
    node_cache: bool


def find_dns(snapshot: Snapshot, report: ExposureReport) -> Dns:
    """What the input says of cluster DNS."""
    services = cluster_dns_services(snapshot)
    selected = {
        pod.key: pod
        for service in services
        if service.selector
        for pod in snapshot.pods_by_namespace.get(service.namespace, ())
        if service.selector.items() <= pod.labels.items()
    }
    selected.update({door.end.pod.key: door.end.pod for door in report.dns.doors if door.end.pod is not None})
    pods = tuple(pod for _, pod in sorted(selected.items()))
    ports = {
        f"{door.protocol.name} {door.port}": None
        for door in sorted(report.dns.doors, key=lambda door: (door.port, door.protocol))
        if door.end.address != NODE_CACHE
    }
    cache = any(door.end.address == NODE_CACHE for door in report.dns.doors)
    return Dns(services, pods, sum(pod.ready for pod in pods), tuple(ports), cache)


def dns_line(facts: Facts, report: ExposureReport, dns: Dns) -> Line:
    """Which DNS there is, and at which ports policies have to allow it."""
    if report.dns.found is Found.UNKNOWN and not dns.pods and not dns.services:
        look = f"{facts.kubectl} get services,pods -A | grep -i dns"
        return Line("dns", Mark.UNKNOWN, "no cluster DNS is in the input", (), (look,))
    details = [f"Service {one} at {_dialled(one)}" for one in dns.services]
    where = min({pod.namespace for pod in dns.pods} or {one.namespace for one in dns.services})
    look = f"{facts.kubectl} -n {plain(where)} get pods,endpointslices"
    if dns.pods and not dns.ready:
        words = f"none of {many(len(dns.pods), 'pod')} of the cluster's DNS is ready: no name is resolved"
        return Line("dns", Mark.WRONG, words, tuple(details), (look,))
    if not dns.pods:
        words = "the Service of the cluster's DNS is in the input, and no pod behind it"
        return Line("dns", Mark.UNKNOWN, words, tuple(details), (look,))
    words = f"{dns.ready} of {many(len(dns.pods), 'pod')} ready ({few((str(pod) for pod in dns.pods), 2)})"
    if dns.ports:
        words = f"{words}; policies have to allow {', '.join(dns.ports)} of the pods"
    if any(not port.endswith(" 53") for port in dns.ports):
        details.append("the port of the pods is not the 53 that is dialled: policies are judged at the pods")
    mark = Mark.OK if dns.ready == len(dns.pods) else Mark.ATTENTION
    steps = () if mark is Mark.OK else (look,)
    if dns.node_cache:
        mark = Mark.ATTENTION
        details.append(
            f"the node-local cache answers at {NODE_CACHE}, which no selector of pods matches: an address block has to"
        )
        steps = (*steps, facts.outgate("lint --select dns-link-local-unmatched"))
    return Line("dns", mark, words, tuple(details), steps)


def _dialled(service: Service) -> str:
    at = ", ".join(str(one) for one in service.cluster_ips) or "no address of its own"
    ports = ", ".join(f"{port.protocol} {port.port}" for port in service.ports)
    return f"{at}, {ports}" if ports else at


# ---- metadata --------------------------------------------------------------------------------------------------------


def metadata(report: ExposureReport) -> tuple[int, dict[str, int]]:
    """How many workloads reach a metadata address of a cloud, and how many reach which."""
    counted: dict[str, int] = {}
    total = 0
    for one in report.workloads:
        reached = one.standing.metadata() if not one.standing.host_network else ()
        total += bool(reached)
        for each in reached:
            counted[str(each.place.address)] = counted.get(str(each.place.address), 0) + 1
    return total, counted


def metadata_line(facts: Facts, report: ExposureReport) -> Line:
    """Who reaches a metadata service. Host-network pods do, as their nodes do, and are not counted."""
    everybody = sum(not one.standing.host_network for one in report.workloads)
    total, counted = metadata(report)
    if not everybody:
        return Line("metadata", Mark.UNKNOWN, "no workload is in the input", (), (f"{facts.kubectl} get pods -A",))
    if not total:
        return Line("metadata", Mark.OK, f"none of {many(everybody, 'workload')} reaches a metadata address of a cloud")
    words = f"{total} of {many(everybody, 'workload')} reach a metadata address of a cloud, as far as policies decide"
    shown = few((f"{address} ({many(count, 'workload')})" for address, count in counted.items()), 3)
    steps = (facts.outgate("exposure --fail-on metadata"), facts.outgate("lint --select metadata-open"))
    return Line("metadata", Mark.ATTENTION, words, (shown,), steps)


# ---- default deny ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of the workloads of a namespace policies isolate in one direction."""

    isolated: int
    total: int

    def __str__(self) -> str:
        if not self.isolated:
            return "none"
        return "all" if self.isolated == self.total else "some"


@dataclass(frozen=True, slots=True)
class NamespaceCover:
    """A namespace, in both directions."""

    name: str
    egress: Coverage
    ingress: Coverage


def cover(report: ExposureReport) -> tuple[NamespaceCover, ...]:
    """The namespaces that have workloads. One on a host network is none of them: policies do not hold it.

    A workload counts as isolated if all of its pods are.
    """
    isolated: dict[str, dict[tuple[str, str, str], dict[Direction, bool]]] = {}
    for one in report.workloads:
        if one.standing.host_network:
            continue
        known = isolated.setdefault(one.group.namespace, {}).setdefault(one.group.workload, {})
        for direction in Direction:
            known[direction] = known.get(direction, True) and bool(one.standing.isolated[direction])
    return tuple(
        NamespaceCover(
            name,
            *(Coverage(sum(one[way] for one in several.values()), len(several)) for way in Direction),
        )
        for name, several in sorted(isolated.items())
    )


def cover_line(facts: Facts, covers: tuple[NamespaceCover, ...]) -> Line:
    """In how many namespaces everything is isolated, and which those are where it is not."""
    ours = [one for one in covers if one.name not in SYSTEM_NAMESPACES]
    if not ours:
        words = "no namespace with workloads is in the input, but for the cluster's own"
        return Line("default deny", Mark.UNKNOWN, words, (), (f"{facts.kubectl} get pods -A",))
    whole = {way: [one for one in ours if str(_of(one, way)) == "all"] for way in Direction}
    words = "; ".join(
        f"{way.value.lower()}: every workload is isolated in {len(whole[way])} of {many(len(ours), 'namespace')}"
        for way in Direction
    )
    details = tuple(f"{way.value.lower()} {line}" for way in Direction for line in _open(ours, way))
    if not details:
        return Line("default deny", Mark.OK, words)
    worst = next(one for way in Direction for one in ours if str(_of(one, way)) != "all")
    first = facts.outgate("lint --select no-default-deny")
    return Line(
        "default deny", Mark.ATTENTION, words, details, (first, facts.outgate(f"exposure -n {plain(worst.name)}"))
    )


def _of(one: NamespaceCover, way: Direction) -> Coverage:
    return one.egress if way is Direction.EGRESS else one.ingress


def _open(ours: list[NamespaceCover], way: Direction) -> Iterator[str]:
    for state in ("none", "some"):
        named = [
            one.name if state == "none" else f"{one.name} ({_of(one, way).isolated} of {_of(one, way).total})"
            for one in ours
            if str(_of(one, way)) == state
        ]
        if named:
            yield f"{state}: {few(named, 8)}"
