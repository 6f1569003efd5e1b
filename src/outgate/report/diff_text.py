"""A diff for people: a sentence, then what is wider, what is narrower, and who brought it.

2 connections open, 1 closes

WIDER: 2
  opened   shop/Deployment/cart → 203.0.113.0/24  TCP 443
           allowed by shop/cart egress[1]   new/policies.yaml:33
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from outgate.analysis.asking import Movements
from outgate.analysis.causes import Causes, PolicyChange
from outgate.analysis.changes import Change
from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.matching import Presence
from outgate.report.diff_words import (
    Sections,
    blames,
    change_words,
    condition_kind,
    condition_lines,
    condition_ports,
    headline,
    isolation_words,
    plural,
    policies_around,
    with_workload,
    workloads,
)
from outgate.report.parties import party_words
from outgate.report.terms import place_text

__all__ = ["diff_text"]

MOST_LINES = 100
"""Changes of one section that are written out, unless all are asked for; the others are counted."""
MOST_OF_WORKLOAD = 5
"""The same for those that come or go with one workload."""


def diff_text(found: ConnectionDiff, why: Causes, *, everything: bool = False) -> str:
    """The whole diff, without a last newline. `everything`: no section is cut short."""
    if not found:
        count = len(why.policies)
        same = f"\n{plural(count, 'policy is', 'policies are')} written another way, with the same effect here"
        return headline(found) + same * bool(count)
    return "\n".join((headline(found), *_sections(found, why, everything)))


def _sections(found: ConnectionDiff, why: Causes, everything: bool) -> Iterator[str]:
    parts = Sections.of(found)
    asked = Movements(found.before, found.after, found.pieces)
    most = len(found.changes) if everything else MOST_LINES
    for title, changes in (
        ("WIDER", parts.wider),
        ("WIDER IN PART, NARROWER IN PART", parts.both),
        ("NARROWER", parts.narrower),
    ):
        if changes:
            yield from ("", f"{title}: {len(changes):,}")
            for one in changes[:most]:
                yield from _change(one, why, asked)
            yield from _more(len(changes) - most)
    yield from _conditions(found, everything)
    yield from _isolation(found, why, everything)
    most = len(found.changes) if everything else MOST_OF_WORKLOAD
    yield from _with_workloads("NEW WORKLOADS", parts.added, Presence.ADDED, most, asked)
    yield from _with_workloads("WORKLOADS THAT ARE GONE", parts.removed, Presence.REMOVED, most, asked)
    yield from _policies(found, why, everything)


def _change(change: Change, why: Causes, asked: Movements) -> Iterator[str]:
    ends = f"{party_words(change.source)} → {party_words(change.destination)}"
    yield f"  {change.kind.value:<8} {ends}  {change_words(change, asked)}"
    for blame in blames(change, why):
        place = place_text(blame.origin)
        yield f"           {blame.words}" + (f"   {place}" if place else "")


def _conditions(found: ConnectionDiff, everything: bool) -> Iterator[str]:
    if found.conditions:
        most = len(found.conditions) if everything else MOST_LINES
        yield from ("", f"CONDITIONS: {len(found.conditions):,}")
        for one in found.conditions[:most]:
            ends = f"{party_words(one.source)} → {party_words(one.destination)}"
            yield f"  {condition_kind(one):<8} {ends}  {condition_ports(one)}"
            for word, rules in (("was", one.before), ("now", one.after)):
                for number, (words, place) in enumerate(condition_lines(rules)):
                    yield f"           {' or' if number else word} {words}" + (f"   {place}" if place else "")
        yield from _more(len(found.conditions) - most)


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"  and {count:,} more; -v lists all"


def _isolation(found: ConnectionDiff, why: Causes, everything: bool) -> Iterator[str]:
    if found.isolation:
        most = len(found.isolation) if everything else MOST_LINES
        yield from ("", f"ISOLATION: {len(found.isolation):,}")
        for one in found.isolation[:most]:
            origins = why.isolates(one)
            verb = "by" if one.isolated else "as it was by"
            by = f", {verb} {origins[0]}   {place_text(origins[0])}".rstrip() if origins else ""
            yield f"  {party_words(one.group)} {isolation_words(one)}{by}"
        yield from _more(len(found.isolation) - most)


def _with_workloads(
    title: str, changes: Sequence[Change], presence: Presence, most: int, asked: Movements
) -> Iterator[str]:
    groups = with_workload(changes, presence)
    if not groups:
        return
    yield from ("", f"{title}: {workloads(groups):,}")
    for group, mine in groups.items():
        yield f"  {presence.value:<8} {group}: {plural(len(mine), 'connection')}"
        for one in mine[:most]:
            words = party_words(one.destination) if one.source is group else party_words(one.source)
            arrow = "→" if one.source is group else "←"
            yield f"           {arrow} {words}  {change_words(one, asked)}"
        if len(mine) > most:
            yield f"           and {len(mine) - most:,} more; -v lists all"


def _policies(found: ConnectionDiff, why: Causes, everything: bool) -> Iterator[str]:
    """The policies that differ where something differs: whoever reads the change looks there next."""
    policies = policies_around(found, why)
    if policies:
        most = len(policies) if everything else MOST_LINES
        yield from ("", f"POLICIES THAT DIFFER: {len(policies):,}")
        yield from (_policy(one) for one in policies[:most])
        yield from _more(len(policies) - most)


def _policy(change: PolicyChange) -> str:
    kind = change.presence.value if change.presence is not None else "changed"
    place = str(change.policy.place)
    return f"  {kind:<8} {change.policy}" + (f"   {place}" if place else "")
