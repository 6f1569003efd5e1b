"""From a diff to the value that the HTML page shows: what changed, beside what did not, before and after.

An edge that closed shows the rules that let it pass before; every other edge those that let it pass now. Where
something else is asked of what passes (a request, a question of DNS, the name of a server), the edge says what was
asked and what is. Addresses outside are cut where one part of them changed and another did not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from outgate.analysis.asking import Asking
from outgate.analysis.changes import Change, Kind, Shift
from outgate.analysis.condition_changes import ConditionChange
from outgate.analysis.connections import Connection, Connections, External, Party, addresses_outside
from outgate.analysis.deciding import side
from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.groups import Group
from outgate.analysis.listing import drawable
from outgate.analysis.matching import Matched, Presence
from outgate.analysis.on_condition import Asked
from outgate.analysis.opened import Named
from outgate.model import Direction, Pod
from outgate.packets import AddressSet, TransportSet
from outgate.report.conditions import asked_words, with_asked
from outgate.report.connections_text import passing_words
from outgate.report.diff_words import headline
from outgate.report.page_data import Page, PageEdge, PageNode
from outgate.report.page_filling import Cited, page_node
from outgate.report.page_words import count

__all__ = ["page_of_diff"]


def page_of_diff(found: ConnectionDiff, sources: Sequence[str], notes: Sequence[str] = ()) -> Page:
    """The page of a comparison. `sources`: both inputs, as the user named them."""
    making = _Making(found)
    edges = list(drawable(chain(making.changed(), making.unchanged())))
    for snapshot in (found.before.snapshot, found.after.snapshot):
        for policy in snapshot.every_policy:
            making.cited.policy(policy)
    workloads = len({one.group.workload for one in found.pieces})
    nodes = tuple(making.node(party) for party in making.nodes)
    return Page(
        "What changes",
        f"{headline(found)}; {count(workloads, 'workload')}",
        tuple(sources),
        nodes,
        tuple(edges),
        tuple(making.cited.rules),
        tuple(making.cited.policies),
        comparison=True,
        notes=tuple(notes),
    )


@dataclass(slots=True)
class _Part:
    """Addresses (all, between workloads) of a pair of ends, and what changed there."""

    addresses: AddressSet
    change: Change | None
    conditions: list[ConditionChange] = field(default_factory=list)

    @property
    def which(self) -> str:
        """The kind of change, as the page calls it. What widens and narrows is changed."""
        if self.change is not None and self.change.kind is not Kind.CHANGED:
            return str(self.change.kind.value)
        moved: list[ConditionChange | Shift] = [*self.conditions]
        moved += [self.change.shift] if self.change is not None else []
        if all(one.widens for one in moved):
            return "widened"
        return "narrowed" if all(one.narrows for one in moved) else "changed"


_Ends = tuple[Party | str, Party | str]
"""A source and a destination; of an end outside, what all of its parts share."""


class _Making:
    def __init__(self, found: ConnectionDiff) -> None:
        self.found = found
        self.cited = Cited()
        self.pieces: dict[Party, Matched] = {one.group: one for one in found.pieces}
        self.nodes: dict[Party, int] = {}
        self.sides = found.before, found.after
        self.asking = Asking(found.before), Asking(found.after)
        self.parts = _parts(found)
        self.touched = {
            ends: AddressSet.union_of(part.addresses for part in parts) for ends, parts in self.parts.items()
        }

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

    # ---- what changed ------------------------------------------------------------------------------------------------

    def changed(self) -> Iterator[PageEdge]:
        for parts in self.parts.values():
            for part in parts:
                if part.change is not None:
                    yield self._of_change(part, part.change)
                else:
                    yield from self._of_conditions(part)

    def _of_change(self, part: _Part, change: Change) -> PageEdge:
        ends = _cut(change.source, part.addresses), _cut(change.destination, part.addresses)
        words = [self._words(change, *ends, now=now) for now in (False, True)]
        now = change.kind is not Kind.CLOSED
        source, destination = (self._on_side(party, now=now) for party in ends)
        passing = Connection(source, destination, self._passing(self.sides[now], source, destination))
        return self._between(passing, ends, (part.which, *words), self.sides[now])

    def _words(self, change: Change, source: Party, destination: Party, *, now: bool) -> str:
        shift = change.shift
        transports = shift.after if now else shift.before
        if not transports:
            return ""
        families = tuple((family, after if now else before) for family, before, after in shift.families)
        asked = self.asking[now](self._on_side(source, now=now), self._on_side(destination, now=now), transports)
        return _with_conditions(Connection(source, destination, transports, families), asked)

    def _of_conditions(self, part: _Part) -> Iterator[PageEdge]:
        """Of a part in which the same passes before and after; in more of them where that is not the same for all."""
        one = part.conditions[0]
        ends = _cut(one.source, part.addresses), _cut(one.destination, part.addresses)
        source, destination = (self._on_side(party, now=True) for party in ends)
        for line, addresses in self.asking[True].lines(source, destination):
            shown = _cut(ends[0], addresses), _cut(ends[1], addresses)
            words = []
            for now, asking in enumerate(self.asking):
                there, peer = (self._on_side(party, now=bool(now)) for party in shown)
                words.append(_with_conditions(line, asking(there, peer, line.transports)))
            yield self._between(line, shown, (part.which, *words), self.found.after)

    def _between(
        self, passing: Connection, ends: tuple[Party, Party], words: tuple[str, ...], listed: Connections
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

    # ---- what did not ------------------------------------------------------------------------------------------------

    def unchanged(self) -> Iterator[PageEdge]:
        """What is as it was, from the list after; a group of it may be several pieces, and a piece several groups."""
        after, both = self.found.after, self._shared()
        for group in after.groups.all:
            reached = [(after.groups.all[place], number) for place, number in after.reached(group)]
            outside = (*after.to_outside(group), *after.to_names(group), *after.from_outside((group,)))
            for piece, shown in both[group]:
                for other, number in reached:
                    for there, peer in both[other]:
                        if (piece.group, there.group) not in self.touched:
                            yield self._as_before(shown, peer, after.connection(group, other, number))
                for passing in outside:
                    yield from self._outside(piece, shown, passing)

    def _shared(self) -> dict[Group, list[tuple[Matched, Group]]]:
        """For each group of the list after: the pieces that have pods of it and are on both sides, and these pods."""
        pieces = {pod.key: one for one in self.found.pieces if one.presence is None for pod in one.group.pods}
        found: dict[Group, list[tuple[Matched, Group]]] = {}
        for group in self.found.after.groups.all:
            mine: dict[Matched, list[Pod]] = {}
            for pod in group.pods:
                if pod.key in pieces:
                    mine.setdefault(pieces[pod.key], []).append(pod)
            found[group] = [(one, _common(group, one.group, pods)) for one, pods in mine.items()]
        return found

    def _as_before(self, source: Party, destination: Party, passing: Connection) -> PageEdge:
        asked = self.asking[True](passing.source, passing.destination, passing.transports)
        words = _with_conditions(passing, asked)
        return self._between(passing, (source, destination), ("", words, words), self.found.after)

    def _outside(self, piece: Matched, shown: Group, passing: Connection) -> Iterator[PageEdge]:
        """The part of a line about addresses outside in which nothing changed."""
        egress = isinstance(passing.source, Group)
        peer = passing.destination if egress else passing.source
        ends = (piece.group, _key(peer)) if egress else (_key(peer), piece.group)
        rest = addresses_outside(peer) - self.touched.get(ends, AddressSet())
        if not rest:
            return
        left = _cut(peer, rest)
        if egress:
            yield self._as_before(shown, left, replace(passing, destination=left))
        else:
            yield self._as_before(left, shown, replace(passing, source=left))


def _parts(found: ConnectionDiff) -> dict[_Ends, list[_Part]]:
    """What changed, by ends, and by addresses where one end is outside; what changes there in two ways is one part."""
    parts: dict[_Ends, list[_Part]] = {}
    for change in found.changes:
        ends = _key(change.source), _key(change.destination)
        parts.setdefault(ends, []).append(_Part(addresses_outside(change.source, change.destination), change))
    for one in found.conditions:
        ends = _key(one.source), _key(one.destination)
        parts[ends] = list(_laid_over(parts.get(ends, ()), one))
    return parts


def _laid_over(parts: Iterable[_Part], one: ConditionChange) -> Iterator[_Part]:
    rest = addresses_outside(one.source, one.destination)
    for part in parts:
        inside, beside = part.addresses & rest, part.addresses - rest
        if inside:
            yield _Part(inside, part.change, [*part.conditions, one])
        if beside:
            yield _Part(beside, part.change, part.conditions)
        rest = rest - part.addresses
    if rest:
        yield _Part(rest, None, [one])


def _key(party: Party) -> Party | str:
    match party:
        case External():
            return "outside"
        case Named(name=name):
            return f"name {name}"
    return party


def _cut(party: Party, addresses: AddressSet) -> Party:
    """An end outside with some of its addresses; any other end as it is."""
    return replace(party, addresses=addresses & party.addresses) if isinstance(party, External | Named) else party


def _there(piece: Matched, *, now: bool) -> Group:
    found = piece.after if now else piece.before
    assert found is not None, "a connection of a side has its ends there"
    return found


def _common(group: Group, piece: Group, pods: list[Pod]) -> Group:
    """The pods that a group and a piece share, by the name of whichever has no others."""
    if len(pods) == len(piece.pods):
        return piece
    return group if len(pods) == len(group.pods) else replace(piece, pods=tuple(pods))


def _with_conditions(one: Connection, asked: Sequence[Asked]) -> str:
    return with_asked(passing_words(one), asked_words(asked, one.transports))
