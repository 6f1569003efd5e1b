"""From a diff to the value that the HTML page shows: what changed, beside what did not, before and after.

An edge that closed shows the rules that let it pass before; every other edge those that let it pass now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from outgate.analysis.changes import Change, Kind, Shift
from outgate.analysis.connections import Connection, Connections, External, Party
from outgate.analysis.deciding import side
from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.groups import Group
from outgate.analysis.listing import drawable
from outgate.analysis.matching import Matched, Presence
from outgate.model import Direction
from outgate.packets import AddressSet, TransportSet
from outgate.report.connections_text import passing_words
from outgate.report.page_data import Page, PageEdge, PageNode
from outgate.report.page_filling import Cited, page_node

__all__ = ["page_of_diff"]


def page_of_diff(found: ConnectionDiff, sources: Sequence[str], notes: Sequence[str] = ()) -> Page:
    """The page of a comparison. `sources`: both inputs, as the user named them."""
    making = _Making(found)
    edges = list(drawable(chain(map(making.changed, found.changes), making.unchanged())))
    for snapshot in (found.before.snapshot, found.after.snapshot):
        for policy in snapshot.every_policy:
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
        listed = self.found.after if now else self.found.before
        source, destination = (self._on_side(party, now=now) for party in (change.source, change.destination))
        passing = Connection(source, destination, self._passing(listed, source, destination))
        ends = change.source, change.destination
        return self._between(passing, ends, (_which(shift), before, after), listed)

    def _between(
        self, passing: Connection, ends: tuple[Party, Party], words: tuple[str, str, str], listed: Connections
    ) -> PageEdge:
        """An edge: what passes on one side, the nodes to draw it between, and its change, before and after in words."""
        sides = [side(listed, passing, direction) for direction in Direction]
        rules = [tuple(self.cited.rule(rule.origin, listed.snapshot) for rule in one.rules) for one in sides]
        change, before, after = words
        numbers = self.node_of(ends[0]), self.node_of(ends[1])
        return PageEdge(*numbers, after, before, change, rules[0], rules[1], sides[0].words, sides[1].words)

    def _on_side(self, party: Party, *, now: bool) -> Party:
        piece = self.pieces.get(party)
        return party if piece is None else _there(piece, now=now)

    def _passing(self, listed: Connections, source: Party, destination: Party) -> TransportSet:
        if isinstance(source, Group) and isinstance(destination, Group):
            return listed.between(source, destination)
        return TransportSet.any()

    def unchanged(self) -> Iterator[PageEdge]:
        """What is as it was, between the groups of the list after: a piece may be several that changed alike."""
        touched = {(one.source, one.destination) for one in self.found.changes}
        pieces = {pod.key: one for one in self.found.pieces if one.presence is None for pod in one.group.pods}
        both = [(group, piece) for group in self.found.after.groups.all if (piece := pieces.get(group.pods[0].key))]
        shown = {group: piece.group if len(piece.group.pods) == len(group.pods) else group for group, piece in both}
        for group, one in both:
            for place, number in self.found.after.reached(group):
                other = self.found.after.groups.all[place]
                if other in shown and (one.group, pieces[other.pods[0].key].group) not in touched:
                    passing = self.found.after.connection(group, other, number)
                    yield self._as_before(shown[group], shown[other], passing)
            for direction in Direction:
                yield from self._outside(group, one, shown[group], direction)
            for passing in self.found.after.to_names(group):
                if (one.group, passing.destination) not in touched:
                    yield self._as_before(shown[group], passing.destination, passing)

    def _as_before(self, source: Party, destination: Party, passing: Connection) -> PageEdge:
        words = passing_words(passing)
        return self._between(passing, (source, destination), ("", words, words), self.found.after)

    def _outside(self, group: Group, piece: Matched, shown: Group, direction: Direction) -> Iterator[PageEdge]:
        """The parts of the addresses outside in which nothing changed."""
        egress = direction is Direction.EGRESS
        ends = ((each.source, each.destination) if egress else (each.destination, each.source) for each in self.found)
        touched = AddressSet.union_of(
            peer.addresses for subject, peer in ends if subject is piece.group and isinstance(peer, External)
        )
        for external, transports in self.found.after.outside(group, direction):
            rest = External(external.addresses - touched)
            if rest.addresses and egress:
                yield self._as_before(shown, rest, Connection(group, rest, transports))
            elif rest.addresses:
                yield self._as_before(rest, shown, Connection(rest, group, transports))


def _there(piece: Matched, *, now: bool) -> Group:
    found = piece.after if now else piece.before
    assert found is not None, "a connection of a side has its ends there"
    return found


def _which(shift: Shift) -> str:
    if shift.kind is not Kind.CHANGED:
        return "opened" if shift.kind is Kind.OPENED else "closed"
    if shift.widens:
        return "widened"
    return "narrowed" if shift.narrows else "changed"


def _words(change: Change, transports: TransportSet, *, now: bool) -> str:
    if not transports:
        return ""
    families = tuple((family, after if now else before) for family, before, after in change.shift.families)
    return passing_words(Connection(change.source, change.destination, transports, families))
