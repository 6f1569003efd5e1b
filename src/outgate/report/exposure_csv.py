"""The exposure report as CSV: a line for each thing that a workload reaches (RFC 4180, with a line of headings).

A cell that a spreadsheet would take for a formula gets an apostrophe in front: names and files come from strangers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from outgate.analysis.exposure import Exposure, ExposureReport, Standing
from outgate.analysis.exposure_outside import Share
from outgate.analysis.exposure_places import Reach
from outgate.analysis.exposure_strangers import Opening
from outgate.analysis.groups import part_words
from outgate.analysis.on_condition import Asked
from outgate.errors import one_line
from outgate.model import Direction
from outgate.packets import AddressSet, TransportSet
from outgate.packets.special import AddressRange
from outgate.policy import Origin
from outgate.report.conditions import asked_words
from outgate.report.exposure_words import (
    asked_at_doors,
    asked_within,
    names_asked_words,
    opening_words,
    part_cidrs,
    ports_words,
    purposes_words,
)
from outgate.report.terms import place_text

__all__ = ["HEADINGS", "exposure_csv"]

HEADINGS = (
    *("rank", "namespace", "kind", "name", "part", "pods", "egress_isolated", "ingress_isolated"),
    *("exposure", "target", "share", "ports", "allowed_by", "only_if"),
)

_Item = tuple[str, str, str, str, str, str]
_EVERYTHING = 1000
"""More ports or names than any line has: nothing is left out of a file that is read by programs."""


def exposure_csv(report: ExposureReport) -> str:
    """Every workload; one without any exposure has one line with empty cells at its end."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADINGS)
    known: dict[int, list[_Item]] = {}
    for rank, one in enumerate(report.workloads, 1):
        items = known.get(id(one.standing))
        if items is None:
            items = known[id(one.standing)] = list(_items(one.standing))
        head = _head(rank, one)
        for item in items or [("",) * 6]:
            writer.writerow([_harmless(cell) for cell in (*head, *item)])
    return file.getvalue()


def _harmless(cell: str) -> str:
    cell = one_line(cell)
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell


def _head(rank: int, one: Exposure) -> tuple[str, ...]:
    group, isolated = one.group, one.standing.isolated
    return (
        *(str(rank), group.namespace, group.kind, group.name, part_words(group) if group.split else ""),
        str(len(group.pods)),
        *("yes" if isolated[direction] else "no" for direction in Direction),
    )


def _items(one: Standing) -> Iterator[_Item]:
    outside = one.outside
    for cloud in outside.clouds:
        use = "metadata" if cloud.exposes_metadata else "cloud names and time"
        yield _item(use, str(cloud.place.address), "", cloud.transports, cloud.origins, cloud.asked)
    for extent in outside.ranges:
        for addresses, transports, asked in extent.pieces:
            target = _blocks(extent.range, addresses)
            yield _item(extent.range.name, target, extent.share.value, transports, extent.origins, asked)
    for name in outside.names:
        asked = tuple(map(Asked, name.conditional(name.transports)))
        yield _item("names", str(name.named), "", name.transports, (), asked)
    for question, extents in (("dns resolvers", outside.resolvers), ("dns over tls", outside.resolvers_tls)):
        for extent in extents:
            if extent.share is not Share.NONE:
                target = _blocks(extent.range, extent.addresses)
                head = _item(question, target, extent.share.value, extent.transports, extent.origins, ())
                yield *head[:-1], asked_within(extent, None)
    for question, place in (("cluster dns", one.dns), ("api server", one.api_server)):
        if place.reach is not Reach.NO:
            target = " ".join(map(str, place.doors))
            yield question, target, place.reach.value, "", _rules(place.origins), asked_at_doors(place, None)
    if outside.nodes.reach is not Reach.NO:
        nodes = outside.nodes
        yield _item("nodes", " ".join(nodes.names), nodes.reach.value, nodes.transports, nodes.origins, nodes.asked)
    yield from _among_pods(one)


def _among_pods(one: Standing) -> Iterator[_Item]:
    near = one.neighbours
    for question, names, origins, purposes in (
        ("reaches namespaces", near.reaches, near.out_by, near.reaches_for),
        ("reached from namespaces", near.reached_from, near.in_by, near.reached_for),
    ):
        if names:
            only_if = purposes_words(purposes, names, None)
            yield question, " ".join(names), f"{len(names)} of {near.others}", "", _rules(origins), only_if
    for question, direction in (("may reach new pods", Direction.EGRESS), ("new pods may reach it", Direction.INGRESS)):
        for opening in one.openings[direction]:
            yield (
                question,
                opening_words(opening, with_asked=False),
                "",
                "",
                _rules(opening.origins),
                _only_if_of(opening),
            )


def _only_if_of(opening: Opening) -> str:
    asked = asked_words([Asked(one) for one in opening.asked], opening.transports)
    asked += [f"{name.name} {words}" for name, words in names_asked_words(opening, None)]
    return "; ".join(asked)


def _item(
    exposure: str,
    target: str,
    share: str,
    transports: TransportSet,
    origins: tuple[Origin, ...],
    asked: tuple[Asked, ...],
) -> _Item:
    ports = ports_words(transports, _EVERYTHING) if transports else ""
    return exposure, target, share, ports, _rules(origins), "; ".join(asked_words(asked, transports))


def _blocks(where: AddressRange, addresses: AddressSet) -> str:
    cidrs, but = part_cidrs(where, addresses)
    if not but:
        return " ".join(cidrs)
    return "all but " + " ".join(cidrs) if cidrs else "all"


def _rules(origins: tuple[Origin, ...]) -> str:
    return "; ".join(f"{one} {place_text(one)}".rstrip() for one in origins)
