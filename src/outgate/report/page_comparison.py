"""From a diff to the value that the HTML page shows: what changed, beside what did not, before and after.

An edge that closed shows the rules that let it pass before; every other edge those that let it pass now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from outgate.analysis.changes import Change, Kind, Shift
from outgate.analysis.connections import Connection, Connections, External, Party
from outgate.analysis.deciding import side
from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.groups import Group
from outgate.analysis.matching import Matched, Presence
from outgate.model import Direction
from outgate.packets import AddressSet, TransportSet
from outgate.report.connections_text import passing_words
from outgate.report.page_data import Page, PageEdge, PageNode
from outgate.report.page_filling import Cited, page_node

__all__ = ["page_of_diff"]

_GOVERNED = TransportSet.governed()


def page_of_diff(found: ConnectionDiff, sources: Sequence[str], notes: Sequence[str] = ()) -> Page:
    """The page of a comparison. `sources`: both inputs, as the user named them."""
    making = _Making(found)
    edges = [*(making.changed(change) for change in found.changes), *making.unchanged()]
    for snapshot in (found.before.snapshot, found.after.snapshot):
        for policy in snapshot.policies:
            making.cited.policy(policy)
    counts = f"{len(found.pieces)} workloads, {len(found.changes)} changes"
    nodes = tuple(making.node(party) for party in making.nodes)
    return Page(
        "What changes",
        counts,
        tuple(sources),
        nodes,
        tuple(edges),
        tuple(making.cited.rules),
        tuple(making.cited.policies),
        comparison=True,
        notes=tuple(notes),
    )


class _Making:
    def __init__(self, found: ConnectionDiff) -> None:
        self.found = found
        self.cited = Cited()
        self.pieces: dict[Party, Matched] = {one.group: one for one in found.pieces}
        self.nodes: dict[Party, int] = {}

    def node_of(self, party: Party) -> int:
        return self.nodes.setdefault(party, len(self.nodes))

    def node(self, party: Party) -> PageNode:
        piece = self.pieces.get(party)
        if piece is None:
            return page_node(party, self.found.after)
        presence = "" if piece.presence is None else piece.presence.value
        if piece.presence is Presence.REMOVED:
            return page_node(_there(piece, now=False), self.found.before, presence)
        return page_node(_there(piece, now=True), self.found.after, presence)

    def changed(self, change: Change) -> PageEdge:
        shift = change.shift
        now = shift.kind is not Kind.CLOSED
        before, after = _words(change, shift.before, now=False), _words(change, shift.after, now=True)
        return self._edge(change.source, change.destination, _which(shift), before, after, now)

    def _edge(self, source: Party, destination: Party, change: str, before: str, after: str, now: bool) -> PageEdge:
        side_of = self.found.after if now else self.found.before
        ends = [self._on_side(party, now) for party in (source, destination)]
        passing = Connection(ends[0], ends[1], self._passing(side_of, ends[0], ends[1]))
        sides = [side(side_of, passing, direction) for direction in Direction]
        rules = [tuple(self.cited.rule(rule.origin, side_of.snapshot) for rule in one.rules) for one in sides]
        numbers = self.node_of(source), self.node_of(destination)
        return PageEdge(*numbers, after, before, change, rules[0], rules[1], sides[0].words, sides[1].words)

    def _on_side(self, party: Party, now: bool) -> Party:
        piece = self.pieces.get(party)
        return party if piece is None else _there(piece, now=now)

    def _passing(self, listed: Connections, source: Party, destination: Party) -> TransportSet:
        if isinstance(source, Group) and isinstance(destination, Group):
            return listed.between(source, destination)
        return TransportSet.any()

    def unchanged(self) -> Iterator[PageEdge]:
        touched = {(one.source, one.destination) for one in self.found.changes}
        both = [one for one in self.found.pieces if one.presence is None]
        for one in both:
            for other in both:
                if one.group.workload != other.group.workload and (one.group, other.group) not in touched:
                    yield from self._as_before(one, other)
            for direction in Direction:
                yield from self._outside(one, direction)

    def _as_before(self, one: Matched, other: Matched) -> Iterator[PageEdge]:
        source, destination = _there(one, now=True), _there(other, now=True)
        transports = self.found.after.between(source, destination)
        if transports & _GOVERNED:
            words = passing_words(Connection(source, destination, transports))
            yield self._edge(one.group, other.group, "", words, words, True)

    def _outside(self, one: Matched, direction: Direction) -> Iterator[PageEdge]:
        """The parts of the addresses outside in which nothing changed."""
        egress = direction is Direction.EGRESS
        ends = ((each.source, each.destination) if egress else (each.destination, each.source) for each in self.found)
        touched = AddressSet.union_of(
            peer.addresses for subject, peer in ends if subject is one.group and isinstance(peer, External)
        )
        group = _there(one, now=True)
        for external, transports in self.found.after.outside(group, direction):
            rest = External(external.addresses - touched)
            if rest.addresses:
                words = passing_words(Connection(group, rest, transports))
                pair = (one.group, rest) if egress else (rest, one.group)
                yield self._edge(*pair, "", words, words, True)


def _there(piece: Matched, *, now: bool) -> Group:
    found = piece.after if now else piece.before
    assert found is not None, "a connection of a side has its ends there"
    return found


def _which(shift: Shift) -> str:
    if shift.kind is not Kind.CHANGED:
        return shift.kind.value
    return "widened" if shift.widens else "narrowed" if shift.narrows else "changed"


def _words(change: Change, transports: TransportSet, *, now: bool) -> str:
    if not transports:
        return ""
    families = tuple((family, after if now else before) for family, before, after in change.shift.families)
    return passing_words(Connection(change.source, change.destination, transports, families))
