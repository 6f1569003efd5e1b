"""What an exposure report says, in words that the text, the table and the Markdown share.

rule words     ``production/app-egress egress[1] (02-app-egress.yaml:21)``, or that no policy isolates
part words     ``all of it``, ``all but 8.8.8.0/24``, ``1.1.1.0/24``: of a range, whichever is shorter
summary        a sentence for each finding that is true of any workload
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from outgate.analysis.exposure import ExposureReport, Finding, PlaceReached, Standing
from outgate.analysis.exposure_namespaces import Purpose
from outgate.analysis.exposure_outside import Extent, Share
from outgate.analysis.exposure_places import Door, Reach
from outgate.analysis.exposure_strangers import Opening
from outgate.analysis.on_condition import Asked, Conditional
from outgate.analysis.spelling import spell_addresses, spell_transports
from outgate.errors import one_line
from outgate.model import Direction
from outgate.model.labels import LabelSelector, Operator
from outgate.model.snapshot import NAME_LABEL
from outgate.packets import AddressSet, TransportSet
from outgate.packets.special import INTERNET_V4, INTERNET_V6, AddressRange
from outgate.policy import Origin
from outgate.policy.rules import NamedPort
from outgate.report.conditions import asked_words
from outgate.report.terms import place_text

__all__ = [
    "FINDINGS",
    "asked_at_doors",
    "asked_bracket",
    "asked_within",
    "blame_words",
    "bracket",
    "dns_cell",
    "extent_words",
    "internet_cell",
    "isolation_words",
    "legend",
    "listed",
    "names_asked_words",
    "opening_words",
    "part_cidrs",
    "part_of_words",
    "ports_words",
    "purposes_words",
    "reach_cell",
    "summary",
    "table",
]

MOST_RULES = 3
"""Rules that are named for one thing; the others are counted. JSON and CSV have them all."""
MOST_ASKED = 4
"""Conditions of one thing, of which one must be met; the others are counted. JSON and CSV have them all."""

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


def asked_bracket(asked: Iterable[Asked], transports: TransportSet) -> str:
    """`` (TCP 80 only for requests of HTTP GET /v1)``, of these ports; empty where nothing is asked."""
    return bracket("; ".join(asked_words(list(asked), transports, most=MOST_ASKED)))


def asked_at_doors(one: PlaceReached, most: int | None = MOST_ASKED) -> str:
    """What is asked at a place: at all its doors alike, or at which it is asked."""
    alike: dict[str, list[Door]] = {}
    for door, asked in zip(one.doors, one.asked, strict=False):
        transports = TransportSet.ports(door.protocol, door.port)
        mine = asked_words([Asked(part) for part in asked], transports, most=most)
        alike.setdefault("; ".join(mine), []).append(door)
    if len(alike) == 1:
        return next(iter(alike))
    return "; ".join(f"{listed(map(str, doors), 3)} {words}" for words, doors in alike.items() if words)


def asked_within(one: Extent, most: int | None = MOST_ASKED) -> str:
    """What is asked of a range, or of which parts of it."""
    found = []
    for addresses, ports, asked in one.pieces:
        words = "; ".join(asked_words(asked, ports, most=most))
        everywhere = addresses == one.addresses
        found.append(words if everywhere or not words else f"{part_of_words(one.range, addresses)} {words}")
    return "; ".join(filter(None, found))


def bracket(words: str) -> str:
    """Words behind others; none where there are none."""
    return f" ({words})" if words else ""


def purposes_words(purposes: Sequence[Purpose], names: Sequence[str], most: int | None = MOST_ASKED) -> str:
    """What is asked of all that passes between namespaces, of those of which anything is."""
    several = Counter(name for one in purposes for name in one.namespaces)
    found = []
    for one in purposes[:most]:
        asked = asked_words([Asked(part) for part in one.asked], one.transports, most=most)
        who = [f"some pods of {name}" if several[name] > 1 else name for name in one.namespaces]
        all_of_it = " and ".join(asked)
        everybody = len(purposes) == 1 and len(who) == len(names)
        colon = "" if all_of_it.startswith("only") else ":"
        found.append(all_of_it if everybody else f"{listed(who, 6)}{colon} {all_of_it}")
    if most is not None and len(purposes) > most:
        found.append(f"and {len(purposes) - most} more of them")
    return "; ".join(found)


def extent_words(one: Extent, most: int = 4) -> str:
    """``all of it on TCP 443``; several parts where they have other ports."""
    parts = [
        f"{part_of_words(one.range, addresses)} on {ports_words(ports)}{asked_bracket(asked, ports)}"
        for addresses, ports, asked in one.pieces
    ]
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


def names_asked_words(one: Opening, most: int | None = MOST_ASKED) -> Iterator[tuple[NamedPort, str]]:
    """What is asked of ports that new pods give a name to."""
    for name, rules in one.names_asked:
        part = Conditional(Direction.EGRESS, TransportSet(), rules)
        yield name, "; ".join(asked_words([Asked(part)], TransportSet(), most=most))


def opening_words(one: Opening, *, with_asked: bool = True) -> str:
    """``pods with app=db in namespace shop on TCP 5432``, and what is asked of it."""
    if one.addresses is not None:
        whom = f"any pod whose address is in {spell_addresses(one.addresses)}"
    else:
        whom = f"{f'pods with {one.pods}' if one.pods else 'any pod'} in {_namespace_words(one.namespaces)}"
    asked = asked_bracket(map(Asked, one.asked), one.transports) if with_asked else ""
    ports = [ports_words(one.transports) + asked] if one.transports else []
    named = dict(names_asked_words(one)) if with_asked else {}
    ports += [
        f"the {name.protocol.name} port that they call {name.name}{bracket(named.get(name, ''))}" for name in one.names
    ]
    return f"{whom} on {', '.join(ports)}"


def summary(report: ExposureReport) -> Iterator[str]:
    """What is true of how many, a sentence each, the worst first."""
    total = len(report.workloads)
    for finding, words in FINDINGS.items():
        count, asked = report.having(finding), report.having_on_condition(finding)
        internet = report.having(Finding.INTERNET), report.having_on_condition(Finding.INTERNET)
        if not count or (finding is Finding.PART and (count, asked) == internet):
            continue
        more = ""
        if finding is Finding.METADATA:
            every, openly = (report.reaching_link_local_metadata(openly=one) for one in (False, True))
            more = f" ({every} reach 169.254.169.254{_of_them(every, every - openly)})"
        if finding is Finding.INTERNET:
            unheld = sum(
                {Finding.INTERNET, Finding.UNISOLATED} <= set(one.standing.findings) for one in report.workloads
            )
            more = f" ({unheld} because no policy isolates them, {count - unheld} by a rule)"
        yield f"{count} of {total} {words}{_of_them(count, asked)}{more}"


def _of_them(count: int, asked: int) -> str:
    if not asked:
        return ""
    return ", only on a condition" if asked == count else f", {asked} of them only on a condition"


def internet_cell(standing: Standing) -> str:
    """``all``, ``most``, ``some`` or ``-`` for IPv4 and IPv6, as ``all/some``; a star where it is on a condition."""
    found = {one.range: _starred(_SHARES[one.share], _SHARES[one.openly]) for one in standing.outside.internet}
    return "/".join(found.get(where, "-") for where in (INTERNET_V4, INTERNET_V6))


def _starred(every: str, openly: str) -> str:
    """What is reached, with a star where that is so only on a condition, behind what is reached without."""
    if every == openly:
        return every
    return f"{every}*" if openly == "-" else f"{openly}+{every}*"


def _counted(every: int, openly: int) -> str:
    """``3``, ``2*`` on a condition, ``1+2*`` of both."""
    if every == openly:
        return str(every)
    return f"{openly}+{every - openly}*" if openly else f"{every}*"


_SHARES = {Share.WHOLE: "all", Share.MOST: "most", Share.SOME: "some", Share.NONE: "-"}


def dns_cell(standing: Standing) -> str:
    """``any`` resolver, some of the ``internet``, the ``cluster``'s, none, or ``?``."""
    resolvers = standing.outside.resolvers
    some = any(one.openly is not Share.NONE for one in resolvers)
    if Finding.DNS in standing.findings:
        return _starred("any", "any" if Finding.DNS not in standing.on_condition else "some" if some else "-")
    if any(one.share is not Share.NONE for one in resolvers):
        return _starred("some", "some" if some else "-")
    return reach_cell(standing.dns.reach, openly=standing.dns.openly, yes="cluster")


def reach_cell(reach: Reach, *, openly: bool = True, yes: str = "yes") -> str:
    """``yes``, ``-`` or ``?``; ``yes*`` on a condition."""
    return {Reach.YES: yes if openly else f"{yes}*", Reach.NO: "-", Reach.UNKNOWN: "?"}[reach]


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
        nodes, near, metadata = standing.outside.nodes, standing.neighbours, standing.metadata()
        yield (
            str(rank),
            one_line(str(one.group)),
            "isolated" if standing.isolated[Direction.EGRESS] else "open",
            _counted(len(metadata), sum(each.openly for each in metadata)) if metadata else "-",
            internet_cell(standing),
            dns_cell(standing),
            reach_cell(standing.api_server.reach, openly=standing.api_server.openly),
            f"{_counted(len(nodes.names), len(nodes.openly))}/{len(report.nodes)}"
            if nodes.names
            else reach_cell(nodes.reach),
            f"{_counted(len(near.reaches), len(near.reaches_openly))}/{near.others}",
            "isolated" if standing.isolated[Direction.INGRESS] else "open",
        )


def legend(report: ExposureReport) -> str:
    """What the cells of the table mean."""
    starred = any(one.standing.asks for one in report.workloads)
    return (
        "metadata: addresses of clouds; nodes, namespaces: how many of those in the input; open: no policy isolates; "
        "-: none; ?: the input does not say"
        + ("; *: only on a condition (some requests of HTTP, questions of DNS, names of TLS)" if starred else "")
    )
