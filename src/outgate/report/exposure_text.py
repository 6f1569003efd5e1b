"""The exposure report for people: how many do what, then the worst workloads in full, then a line for each.

4 workloads, the most exposed first
  3 of 4 reach a metadata address of a cloud (3 reach 169.254.169.254)

1  shop/Deployment/web
  egress      not isolated: no policy selects it
  internet    IPv4: all of it on every port   no policy isolates it
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.exposure import Exposure, ExposureReport, Standing
from outgate.analysis.exposure_metadata import Opened
from outgate.analysis.exposure_outside import Extent, Share
from outgate.analysis.exposure_places import Found, Place, Reach
from outgate.analysis.exposure_strangers import Opening
from outgate.errors import one_line
from outgate.model import Direction
from outgate.packets import AddressSet
from outgate.packets.special import INTERNET, PRIVATE, SHARED, UNIQUE_LOCAL
from outgate.policy import Origin
from outgate.report.conditions import name_words
from outgate.report.exposure_words import (
    MOST_ASKED,
    asked_at_doors,
    asked_bracket,
    asked_within,
    bracket,
    extent_words,
    isolation_words,
    legend,
    listed,
    opening_words,
    ports_words,
    purposes_words,
    summary,
    table,
)
from outgate.report.terms import place_text

__all__ = ["MOST_BLOCKS", "exposure_text"]

MOST_BLOCKS = 3
"""Blocks that are shown, each of all workloads that it is true of, unless all are asked for."""
MOST_NAMES = 4
"""Workloads that are named above one block; the others are in the table."""
MOST_RULES = 12
"""Rules whose places are given under one block."""
MOST_ROWS = 200
"""Rows of the table; JSON and CSV have every workload."""
MOST_LINES = 6
"""Lines of one question in a block; what is left out is counted."""

_BESIDE = AddressSet.union_of(one.addresses for one in (PRIVATE, SHARED, UNIQUE_LOCAL))


def exposure_text(report: ExposureReport, *, blocks: int = MOST_BLOCKS) -> str:
    """The report. `blocks`: how many workloads are shown in full."""
    return "\n".join(one_line(line) for line in _lines(report, blocks)) + "\n"


def _lines(report: ExposureReport, blocks: int) -> Iterator[str]:
    total = len(report.workloads)
    if not total:
        yield "no workloads"
        return
    if total == 1:
        yield f"1  {_named(report.workloads[0])}"
        yield from _block(report, report.workloads[0].standing)
        return
    yield f"{total} workloads, the most exposed first"
    found = list(summary(report))
    yield from (f"  {sentence}" for sentence in found or ["none of them reaches anything that this report asks about"])
    for ranks, groups, body in _blocks(report, blocks):
        yield ""
        more = f" to {ranks[-1]}" if len(ranks) > 1 and ranks[-1] - ranks[0] == len(ranks) - 1 else ""
        yield f"{ranks[0]}{more}  {listed(groups, MOST_NAMES)}"
        yield from body
    yield ""
    yield from _table(report)


def _blocks(report: ExposureReport, most: int) -> Iterator[tuple[list[int], list[str], tuple[str, ...]]]:
    """The first blocks, each with all workloads of which it is true word for word."""
    bodies: dict[int, tuple[str, ...]] = {}
    shared: dict[tuple[str, ...], list[tuple[int, Exposure]]] = {}
    for rank, one in enumerate(report.workloads, 1):
        body = bodies.get(id(one.standing))
        if body is None:
            body = bodies[id(one.standing)] = tuple(_block(report, one.standing))
        shared.setdefault(body, []).append((rank, one))
    for body, many in list(shared.items())[:most]:
        yield [rank for rank, _ in many], [_named(one) for _, one in many], body


def _named(one: Exposure) -> str:
    pods = len(one.group.pods)
    return f"{one.group} ({pods} pods)" if pods > 1 else str(one.group)


def _block(report: ExposureReport, standing: Standing) -> Iterator[str]:
    yield _line("egress", isolation_words(standing, Direction.EGRESS))
    yield from _metadata(standing)
    yield from _outside(standing)
    yield from _dns(report.dns, standing)
    yield _place("API server", report.api_server, standing)
    yield _nodes(report, standing)
    yield from _namespaces(standing)
    yield from _new_pods("new pods", standing, Direction.EGRESS)
    yield _line("ingress", isolation_words(standing, Direction.INGRESS))
    yield from _new_pods("let in", standing, Direction.INGRESS)
    yield from _places_of_rules(standing)


def _places_of_rules(standing: Standing) -> Iterator[str]:
    """Where the rules stand that the lines before have named, each once."""
    outside, near = standing.outside, standing.neighbours
    found: dict[Origin, None] = {}
    for origins in (
        *(one.origins for one in outside.clouds),
        *(one.origins for one in outside.ranges),
        *(standing.dns.origins, standing.api_server.origins, outside.nodes.origins, near.out_by, near.in_by),
        *(one.origins for direction in Direction for one in standing.openings[direction]),
    ):
        found.update(dict.fromkeys(origins))
    rules = [origin for origin in found if place_text(origin)]
    head = "rules"
    for origin in rules[:MOST_RULES]:
        yield _line(head, str(origin), place_text(origin))
        head = ""
    if len(rules) > MOST_RULES:
        yield _line("", f"and {len(rules) - MOST_RULES} more rules")


def _line(head: str, words: str, blame: str = "") -> str:
    return f"  {head:<11} {words}" + (f"   {blame}" if blame else "")


def _blame(origins: tuple[Origin, ...]) -> str:
    """The rules by name; their places stand at the end of the block. Nothing where no policy isolates."""
    return "by " + listed(map(str, origins), 3) if origins else ""


def _metadata(standing: Standing) -> Iterator[str]:
    if not standing.outside.clouds:
        yield _line("metadata", "none of the clouds' addresses")
        return
    exposed = [one for one in standing.outside.clouds if one.exposes_metadata]
    groups: dict[tuple[str, tuple[Origin, ...]], list[Opened]] = {}
    for one in exposed:
        ports = ports_words(one.transports) + asked_bracket(one.asked, one.transports)
        groups.setdefault((ports, one.origins), []).append(one)
    head = "metadata"
    for (ports, origins), many in groups.items():
        yield _line(head, f"{listed(map(_cloud, many), MOST_LINES)} on {ports}", _blame(origins))
        head = ""
    for one in standing.outside.clouds:
        if not one.exposes_metadata and not exposed:
            words = f"only {one.place.use.value if one.place.use.value != 'metadata' else 'names or the time'}"
            ports = ports_words(one.transports) + asked_bracket(one.asked, one.transports)
            yield _line(head, f"{_cloud(one)} on {ports}: {words}", _blame(one.origins))
            head = ""


def _cloud(one: Opened) -> str:
    return f"{one.place.address} ({listed(one.place.providers, 3)})"


def _outside(standing: Standing) -> Iterator[str]:
    shown = [one for one in standing.outside.ranges if one.share is not Share.NONE]
    internet = [one for one in shown if one.range in INTERNET]
    yield from _ranges("internet", internet)
    if not internet:
        yield _line("internet", "no address of it" + (" by itself" if standing.outside.names else ""))
    names = [f"{one.named}: {name_words(one, MOST_ASKED)}" for one in standing.outside.names]
    if names:
        yield _line("names", f"{listed(names, MOST_LINES)}, wherever they lead")
    yield from _ranges("beside it", [one for one in shown if one.range not in INTERNET])


def _ranges(head: str, extents: list[Extent]) -> Iterator[str]:
    """A line for each range; one for all of which the same can be said."""
    same: dict[tuple[str, tuple[Origin, ...]], list[str]] = {}
    for one in extents:
        same.setdefault((extent_words(one), one.origins), []).append(str(one.range))
    for (words, origins), names in same.items():
        yield _line(head, f"{', '.join(names)}: {words}", _blame(origins))
        head = ""


def _dns(place: Place, standing: Standing) -> Iterator[str]:
    wide = [one for one in standing.outside.resolvers if one.share.wide]
    some = [one for one in standing.outside.resolvers if one.share is Share.SOME]
    words = []
    if wide:
        way_out = ", a way out for data" if any(one.openly.wide for one in wide) else ""
        words.append(f"any resolver of the internet ({_families(wide)}){way_out}")
    if some:
        words.append(f"resolvers of a part of the internet ({_families(some)})")
    match standing.dns.reach:
        case Reach.YES if place.found is Found.KNOWN:
            words.append(f"the cluster's{bracket(asked_at_doors(standing.dns))}")
        case Reach.UNKNOWN:
            words.append(f"the cluster's is not known: {place.source}")
    origins = tuple(dict.fromkeys(origin for one in (*wide, *some) for origin in one.origins)) or standing.dns.origins
    yield _line("DNS", "; ".join(words) or "no resolver", _blame(origins))
    tls = [one for one in standing.outside.resolvers_tls if one.share is not Share.NONE]
    if tls:
        yield _line("", f"DNS over TLS (port 853) to the internet too ({_families(tls)})")


def _families(extents: list[Extent]) -> str:
    """``IPv4, IPv6``, and what is asked of it: ``IPv4 only for questions of DNS for *.example.com``."""
    alike: dict[str, list[str]] = {}
    for one in extents:
        alike.setdefault(asked_within(one), []).append(
            "NAT64" if one.range.name == "nat64" else f"IPv{one.range.family}"
        )
    return "; ".join(f"{', '.join(families)} {asked}".rstrip() for asked, families in alike.items())


def _place(head: str, place: Place, standing: Standing) -> str:
    reached = standing.api_server
    if reached.reach is Reach.UNKNOWN:
        return _line(head, f"not known: {place.source}")
    if reached.reach is Reach.NO:
        return _line(head, "not reached")
    if not reached.doors:
        return _line(head, f"reached, wherever it is ({place.source})")
    likely = f", likely ({place.source})" if place.found is Found.LIKELY else ""
    doors = listed(map(str, reached.doors), 3) + bracket(asked_at_doors(reached))
    return _line(head, f"reached at {doors}{likely}", _blame(reached.origins))


def _nodes(report: ExposureReport, standing: Standing) -> str:
    nodes = standing.outside.nodes
    own = "; a pod's own node always" if report.profile.own_node_exempt else ""
    if nodes.reach is Reach.UNKNOWN:
        return _line("nodes", f"not known: no address of a node is in the input{own}")
    if nodes.reach is Reach.NO:
        return _line("nodes", f"none reached{own}")
    if not nodes.names:
        return _line("nodes", f"reached, wherever they are (no address of a node is in the input){own}")
    kubelet = ", the kubelet (TCP 10250) among them" if nodes.kubelet else ""
    ports = ports_words(nodes.transports) + asked_bracket(nodes.asked, nodes.transports)
    words = f"{len(nodes.names)} of {len(report.nodes)} ({listed(nodes.names, 3)}) on {ports}"
    return _line("nodes", f"{words}{kubelet}{own}", _blame(nodes.origins))


def _namespaces(standing: Standing) -> Iterator[str]:
    near = standing.neighbours
    for head, verb, names, origins, purposes in (
        ("namespaces", "reaches", near.reaches, near.out_by, near.reaches_for),
        ("", "is reached from", near.reached_from, near.in_by, near.reached_for),
    ):
        which = f": {listed(names, 6)}{bracket(purposes_words(purposes, names))}" if names else ""
        yield _line(head, f"{verb} {len(names)} of {near.others} others{which}", _blame(origins))


def _new_pods(head: str, standing: Standing, direction: Direction) -> Iterator[str]:
    verb = "may be reached" if direction is Direction.EGRESS else "may reach it"
    shown = [one for one in standing.openings[direction] if _is_of_pods(one)]
    for one in shown[:MOST_LINES]:
        yield _line(head, f"{opening_words(one)} {verb}", _blame(one.origins))
        head = ""
    if len(shown) > MOST_LINES:
        yield _line("", f"and {len(shown) - MOST_LINES} more kinds of pod")
    if not shown:
        yield _line(head, f"no pod that is made tomorrow {verb}")


def _is_of_pods(one: Opening) -> bool:
    """False for blocks of the internet: a pod may have such an address, and hardly ever does."""
    return one.addresses is None or not one.addresses.isdisjoint(_BESIDE)


def _table(report: ExposureReport) -> Iterator[str]:
    rows = list(table(report))
    shown = rows[: MOST_ROWS + 1]
    widths = [max(len(row[column]) for row in shown) for column in range(len(rows[0]))]
    for row in shown:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    if len(rows) > len(shown):
        yield f"and {len(rows) - len(shown)} more workloads; -o csv and -o json have all of them"
    yield legend(report)
