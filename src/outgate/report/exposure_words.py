"""What an exposure report says, in words that the text, the table and the Markdown share.

rule words     ``production/app-egress egress[1] (02-app-egress.yaml:21)``, or that no policy isolates
part words     ``all of it``, ``all but 8.8.8.0/24``, ``1.1.1.0/24``: of a range, whichever is shorter
summary        a sentence for each finding that is true of any workload
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.analysis.exposure import ExposureReport, Finding, Standing
from outgate.analysis.exposure_outside import Extent, Share
from outgate.analysis.exposure_places import Reach
from outgate.analysis.exposure_strangers import Opening
from outgate.analysis.spelling import spell_addresses, spell_transports
from outgate.errors import one_line
from outgate.model import Direction
from outgate.model.labels import LabelSelector, Operator
from outgate.model.snapshot import NAME_LABEL
from outgate.packets import AddressSet, TransportSet
from outgate.packets.special import INTERNET_V4, INTERNET_V6, AddressRange
from outgate.policy import Origin
from outgate.report.terms import place_text

__all__ = [
    "FINDINGS",
    "blame_words",
    "dns_cell",
    "extent_words",
    "internet_cell",
    "isolation_words",
    "legend",
    "listed",
    "opening_words",
    "part_cidrs",
    "part_of_words",
    "ports_words",
    "reach_cell",
    "summary",
    "table",
]

MOST_RULES = 3
"""Rules that are named for one thing; the others are counted. JSON and CSV have them all."""

FINDINGS = {
    Finding.METADATA: "reach a metadata address of a cloud",
    Finding.UNISOLATED: "are isolated for egress by no policy",
    Finding.INTERNET: "reach the internet, or most of it",
    Finding.DNS: "reach any DNS resolver of the internet, which is a way out for data",
    Finding.API_SERVER: "reach the API server",
    Finding.NODES: "reach nodes",
    Finding.PART: "reach some address of the internet",
    Finding.NAMESPACES: "reach pods of other namespaces",
    Finding.ANY_POD: "may reach any pod that is made tomorrow, in any namespace",
    Finding.OPEN: "may be reached by any pod that is made tomorrow, in any namespace",
}
"""Each finding as what several workloads do."""


def listed(words: Iterable[str], most: int) -> str:
    """``a, b and 3 more``."""
    many = list(words)
    more = f" and {len(many) - most} more" if len(many) > most else ""
    return ", ".join(many[:most]) + more


def _with_place(origin: Origin) -> str:
    place = place_text(origin)
    return f"{origin} ({place})" if place else str(origin)


def blame_words(standing: Standing, origins: tuple[Origin, ...], direction: Direction = Direction.EGRESS) -> str:
    """Which rules let it through, or that there is none to blame."""
    if origins:
        return "by " + listed(map(_with_place, origins), MOST_RULES)
    return "" if standing.isolated[direction] else "no policy isolates it"


def isolation_words(standing: Standing, direction: Direction) -> str:
    """Who isolates a workload in a direction, if anybody does."""
    policies = standing.isolated[direction]
    if policies:
        return "isolated by " + listed(map(_with_place, policies), MOST_RULES)
    if standing.host_network:
        return "not isolated: it is on the host network, where policies do not apply"
    return "not isolated: no policy selects it"


def ports_words(transports: TransportSet, most: int = 6) -> str:
    """Ports of TCP, UDP and SCTP."""
    return "every port" if TransportSet.governed() <= transports else spell_transports(transports, most)


def part_cidrs(where: AddressRange, addresses: AddressSet) -> tuple[tuple[str, ...], bool]:
    """The blocks of a part of a range, or those of the rest of it (True), whichever are fewer."""
    rest = (where.addresses - addresses).cidrs()
    mine = addresses.cidrs()
    return (rest, True) if len(rest) < len(mine) else (mine, False)


def part_of_words(where: AddressRange, addresses: AddressSet, most: int = 4) -> str:
    """A part of a range in words."""
    cidrs, but = part_cidrs(where, addresses)
    if not but:
        return listed(cidrs, most)
    return f"all but {listed(cidrs, most)}" if cidrs else "all of it"


def extent_words(one: Extent, most: int = 4) -> str:
    """``all of it on TCP 443``; several parts where they have other ports."""
    parts = [f"{part_of_words(one.range, addresses)} on {ports_words(ports)}" for addresses, ports in one.parts]
    if len(parts) > most:
        parts = [*parts[:most], f"and {len(parts) - most} more parts"]
    return "; ".join(parts)


def _namespace_words(namespaces: LabelSelector) -> str:
    if not namespaces:
        return "any namespace"
    if len(namespaces.requirements) == 1:
        (one,) = namespaces.requirements
        if one.key == NAME_LABEL and one.operator is Operator.IN:
            return f"namespace {listed(one.values, 6)}"
        if one.key == NAME_LABEL and one.operator is Operator.NOT_IN:
            return f"any namespace but {listed(one.values, 6)}"
    return f"namespaces with {namespaces}"


def opening_words(one: Opening) -> str:
    """``pods with app=db in namespace shop on TCP 5432``."""
    if one.addresses is not None:
        whom = f"any pod whose address is in {spell_addresses(one.addresses)}"
    else:
        whom = f"{f'pods with {one.pods}' if one.pods else 'any pod'} in {_namespace_words(one.namespaces)}"
    ports = [ports_words(one.transports)] if one.transports else []
    ports += [f"the {name.protocol.name} port that they call {name.name}" for name in one.names]
    return f"{whom} on {', '.join(ports)}"


def summary(report: ExposureReport) -> Iterator[str]:
    """What is true of how many, a sentence each, the worst first."""
    total = len(report.workloads)
    for finding, words in FINDINGS.items():
        count = report.having(finding)
        if not count or (finding is Finding.PART and count == report.having(Finding.INTERNET)):
            continue
        more = ""
        if finding is Finding.METADATA:
            more = f" ({report.reaching_link_local_metadata()} reach 169.254.169.254)"
        if finding is Finding.INTERNET:
            unheld = sum(
                {Finding.INTERNET, Finding.UNISOLATED} <= set(one.standing.findings) for one in report.workloads
            )
            more = f" ({unheld} because no policy isolates them, {count - unheld} by a rule)"
        yield f"{count} of {total} {words}{more}"


def internet_cell(standing: Standing) -> str:
    """``all``, ``most``, ``some`` or ``-`` for IPv4 and IPv6, as ``all/some``."""
    shares = {one.range: one.share for one in standing.outside.internet}
    return "/".join(_SHARES[shares.get(where, Share.NONE)] for where in (INTERNET_V4, INTERNET_V6))


_SHARES = {Share.WHOLE: "all", Share.MOST: "most", Share.SOME: "some", Share.NONE: "-"}


def dns_cell(standing: Standing) -> str:
    """``any`` resolver, some of the ``internet``, the ``cluster``'s, none, or ``?``."""
    if Finding.DNS in standing.findings:
        return "any"
    if any(one.share is not Share.NONE for one in standing.outside.resolvers):
        return "some"
    return {Reach.YES: "cluster", Reach.NO: "-", Reach.UNKNOWN: "?"}[standing.dns.reach]


def reach_cell(reach: Reach) -> str:
    """``yes``, ``-`` or ``?``."""
    return {Reach.YES: "yes", Reach.NO: "-", Reach.UNKNOWN: "?"}[reach]


def table(report: ExposureReport) -> Iterator[tuple[str, ...]]:
    """A row for each workload, behind a row of headings."""
    yield (
        "#",
        "workload",
        "egress",
        "metadata",
        "internet v4/v6",
        "DNS",
        "API server",
        "nodes",
        "namespaces",
        "ingress",
    )
    for rank, one in enumerate(report.workloads, 1):
        standing = one.standing
        nodes = standing.outside.nodes
        yield (
            str(rank),
            one_line(str(one.group)),
            "isolated" if standing.isolated[Direction.EGRESS] else "open",
            str(len(standing.metadata()) or "-"),
            internet_cell(standing),
            dns_cell(standing),
            reach_cell(standing.api_server.reach),
            f"{len(nodes.names)}/{len(report.nodes)}" if nodes.names else reach_cell(nodes.reach),
            f"{len(standing.neighbours.reaches)}/{standing.neighbours.others}",
            "isolated" if standing.isolated[Direction.INGRESS] else "open",
        )


def legend() -> str:
    """What the cells of the table mean."""
    return (
        "metadata: addresses of clouds; nodes, namespaces: how many of those in the input; open: no policy isolates; "
        "-: none; ?: the input does not say"
    )
