"""The words that every form of a diff shares: what became of a connection, who is to blame, how many there are.

Changes between workloads that are on both sides come in three parts, never mixed: what is wider (something passes
that did not, and all else still does), what is narrower, and what is both. Those that come or go with a workload are
two parts more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from outgate.analysis.asking import Movements
from outgate.analysis.causes import Cause, Causes, PolicyChange
from outgate.analysis.changes import Change, IsolationChange, Kind, Shift
from outgate.analysis.condition_changes import ConditionChange
from outgate.analysis.connections import Party
from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.groups import Group
from outgate.analysis.matching import Presence
from outgate.analysis.opened import Named
from outgate.analysis.spelling import spell_transports
from outgate.model import Direction
from outgate.packets import TransportSet
from outgate.policy import Origin, Rule
from outgate.report.conditions import asked_words, conditions_text, with_asked
from outgate.report.terms import place_text

__all__ = [
    "EQUAL",
    "Blame",
    "Sections",
    "asked_otherwise",
    "blames",
    "change_words",
    "condition_kind",
    "condition_lines",
    "condition_ports",
    "condition_words",
    "headline",
    "isolation_differs",
    "isolation_words",
    "moved_words",
    "one_of_words",
    "plural",
    "policies_around",
    "ports_words",
    "shift_words",
    "with_workload",
    "workloads",
]

_ALL_RANGES = 3 * 65536
_NO_PORT = TransportSet()
MOST_NAMED = 3
"""Rules or policies that are named for one change."""

EQUAL = "nothing differs: what was allowed is allowed, and nothing else is"


@dataclass(frozen=True, slots=True)
class Sections:
    """The changes by what they mean for whoever reviews them."""

    wider: list[Change] = field(default_factory=list)
    narrower: list[Change] = field(default_factory=list)
    both: list[Change] = field(default_factory=list)
    """Something opens and something closes."""
    added: list[Change] = field(default_factory=list)
    """What comes with workloads that are new."""
    removed: list[Change] = field(default_factory=list)
    """What goes with workloads that are gone."""

    @classmethod
    def of(cls, changes: Iterable[Change]) -> Sections:
        """Each change in one section, the order kept."""
        found = cls()
        for one in changes:
            presences = one.source_presence, one.destination_presence
            if Presence.ADDED in presences:
                found.added.append(one)
            elif Presence.REMOVED in presences:
                found.removed.append(one)
            elif one.shift.widens:
                found.wider.append(one)
            elif one.shift.narrows:
                found.narrower.append(one)
            else:
                found.both.append(one)
        return found


def plural(count: int, one: str, many: str = "") -> str:
    """``1 connection``, ``3 connections``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def headline(found: ConnectionDiff) -> str:
    """The whole diff in a sentence without its full stop: ``2 connections open, 1 closes``."""
    if not found:
        return EQUAL
    parts = Sections.of(found)
    here = (*parts.wider, *parts.narrower, *parts.both)
    opened, closed = (sum(one.kind is kind for one in here) for kind in (Kind.OPENED, Kind.CLOSED))
    changed = [one.shift for one in here if one.kind is Kind.CHANGED]
    counts = (
        (opened, "opens", "open"),
        (closed, "closes", "close"),
        (sum(one.widens for one in changed), "widens", "widen"),
        (sum(one.narrows for one in changed), "narrows", "narrow"),
        (len(parts.both), "opens in part and closes in part", "open in part and close in part"),
    )
    words = [f"{count:,} {one if count == 1 else many}" for count, one, many in counts if count]
    words += _with_workloads(parts)
    if words:
        first, _, rest = words[0].partition(" ")
        words[0] = f"{first} {'connection' if first == '1' else 'connections'} {rest}"
    else:
        words.append("no connection differs")
    if found.conditions:
        words.append(f"conditions differ for {plural(asked_otherwise(found), 'connection')}")
    if found.isolation:
        words.append(isolation_differs(found))
    return ", ".join(words)


def asked_otherwise(found: ConnectionDiff) -> int:
    """Of how many connections something else is asked: of one both ends may ask, and of each port something else."""
    return len({(one.source, one.destination) for one in found.conditions})


def isolation_differs(found: ConnectionDiff) -> str:
    """``isolation differs for 2 workloads``."""
    return f"isolation differs for {plural(workloads(one.group for one in found.isolation), 'workload')}"


def _with_workloads(parts: Sections) -> Iterator[str]:
    for presence, changes in ((Presence.ADDED, parts.added), (Presence.REMOVED, parts.removed)):
        if changes:
            new = presence is Presence.ADDED
            move = ("comes", "come") if new else ("goes", "go")
            many = ("new workload", "new workloads") if new else ("workload that is gone", "workloads that are gone")
            whom = plural(workloads(with_workload(changes, presence)), *many)
            yield f"{len(changes):,} {move[len(changes) > 1]} with {whom}"


def ports_words(transports: TransportSet, *, every: bool = False) -> str:
    """``TCP 443``; ``every port`` where all that a NetworkPolicy speaks of passes. `every`: no range is left out."""
    if TransportSet.governed() <= transports:
        return "every port"
    return spell_transports(transports, _ALL_RANGES) if every else spell_transports(transports)


def shift_words(shift: Shift) -> str:
    """``TCP 443`` of what opened or closed as a whole; ``opens TCP 8443; TCP 443 stays`` of what changed."""
    match shift.kind:
        case Kind.OPENED:
            return _by_family(shift, ports_words(shift.after), after=True)
        case Kind.CLOSED:
            return _by_family(shift, ports_words(shift.before), after=False)
    touched = {family: (after - before, before - after) for family, before, after in shift.families if before != after}
    if len(set(touched.values())) > 1:
        words = ", ".join(f"{_moves(*moved)} by IPv{family}" for family, moved in touched.items())
    else:
        words = _moves(shift.opened, shift.closed)
        if len(touched) == 1 < len(shift.families):
            words += f", by IPv{next(iter(touched))} alone"
    return f"{words}; was {ports_words(shift.before)}"


def change_words(change: Change, asked: Movements) -> str:
    """The shift of a change, and in brackets what is asked of it (`moved_words`)."""
    return with_asked(shift_words(change.shift), moved_words(change, asked))


def moved_words(change: Change, asked: Movements) -> list[str]:
    """What is asked of that which opens, and was asked of that which closes, part by part."""
    whole = change.shift.kind is not Kind.CHANGED
    return [
        *asked_words(asked.opens(change), change.shift.opened if whole else _NO_PORT),
        *asked_words(asked.closes(change), change.shift.closed if whole else _NO_PORT, "was only"),
    ]


def _moves(opened: TransportSet, closed: TransportSet) -> str:
    words = [f"opens {ports_words(opened)}"] if opened else []
    words += [f"closes {ports_words(closed)}"] if closed else []
    return " and ".join(words)


def _by_family(shift: Shift, words: str, *, after: bool) -> str:
    told = [(family, now if after else then) for family, then, now in shift.families]
    if not told or all(transports == told[0][1] for _, transports in told):
        return words
    return "; ".join(f"{ports_words(transports)} by IPv{family}" for family, transports in told)


@dataclass(frozen=True, slots=True)
class Blame:
    """Why, in words, and the policy or rule that they speak of; the file and line are the origin's."""

    words: str
    origin: Origin | None = None


def blames(change: Change, why: Causes) -> Iterator[Blame]:
    """What brings a change: lines for what opens, and then for what closes."""
    opens, closes = why.opens(change), why.closes(change)
    if opens is not None:
        yield from _opens(opens, change)
    if closes is not None:
        yield from _closes(closes, change)


def _opens(cause: Cause, change: Change) -> list[Blame]:
    words = "allowed by", "was denied by"
    plain = _named(words[0], cause.allowed) or [Blame("no policy stands between them")]
    return plain if change.comes_with_workload else _differing(cause, words) or _unchanged(plain, change)


def _closes(cause: Cause, change: Change) -> list[Blame]:
    words = "was allowed by", "denied by"
    if change.comes_with_workload:
        return _named(words[0], cause.allowed) or [Blame("no policy stood between them")]
    plain = _named(words[1], cause.denied) or [Blame("no port passes both ends")]
    return _differing(cause, words) or _unchanged(plain, change)


def _differing(cause: Cause, words: tuple[str, str]) -> list[Blame]:
    """The rules that allow, or else the policies that deny, where they are not the same on both sides."""
    for verb, origins in zip(words, (cause.allowed, cause.denied), strict=True):
        mine = tuple(one for one in origins if one in cause.blamed)
        if mine:
            return _named(verb, mine)
    return []


def _named(words: str, origins: tuple[Origin, ...]) -> list[Blame]:
    # A policy that denies at both ends is one policy.
    origins = tuple({(str(one), str(one.place)): one for one in origins}.values())
    found = [Blame(f"{'and by' if number else words} {one}", one) for number, one in enumerate(origins[:MOST_NAMED])]
    more = len(origins) - MOST_NAMED
    return [*found, Blame(f"and by {more} more")] if more > 0 else found


def _unchanged(blames: list[Blame], change: Change) -> list[Blame]:
    """Where no policy that decides differs, what it looks at does; and a name is known where it may be asked for."""
    others = "labels, ports, addresses or namespaces do"
    if isinstance(change.destination, Named):
        others = f"whom the pods may ask for the name does, or {others}"
    return [*blames, Blame(f"no policy that decides this differs: {others}")]


def isolation_words(change: IsolationChange) -> str:
    """``is isolated for egress now``."""
    direction = change.direction.value.lower()
    return f"is isolated for {direction} now" if change.isolated else f"is no longer isolated for {direction}"


def with_workload(changes: Iterable[Change], presence: Presence) -> dict[Group, list[Change]]:
    """The changes that come or go with workloads, by workload: under the first end that is on one side alone."""
    found: dict[Group, list[Change]] = {}
    for one in changes:
        ends: tuple[tuple[Party, Presence | None], ...] = (
            (one.source, one.source_presence),
            (one.destination, one.destination_presence),
        )
        group = next(end for end, where in ends if where is presence and isinstance(end, Group))
        found.setdefault(group, []).append(one)
    return found


def workloads(groups: Iterable[Group]) -> int:
    """How many workloads these are parts of."""
    return len({one.workload for one in groups})


def policies_around(found: ConnectionDiff, why: Causes) -> list[PolicyChange]:
    """The policies that differ in the namespaces where something changed, and those of none, which count everywhere."""
    ends = (
        end for one in (*found, *found.conditions) for end in (one.source, one.destination) if isinstance(end, Group)
    )
    touched = {group.namespace for group in (*ends, *(one.group for one in found.isolation))}
    return [one for one in why.policies if one.policy.namespace in touched or not one.policy.namespace]


def condition_kind(one: ConditionChange) -> str:
    """Which way it goes: what is asked of a connection may let more through, less, or something else."""
    return "widens" if one.widens else "narrows" if one.narrows else "changes"


def condition_words(one: ConditionChange) -> list[str]:
    """``TCP 80``, and below it what had to be met and what has to be."""
    sides = (("was", one.before), ("now", one.after))
    return [condition_ports(one), *(f"{word} {one_of_words(rules)}" for word, rules in sides)]


def one_of_words(rules: Sequence[Rule]) -> str:
    """The conditions of which one is to be met, each once; ``anything`` without rules."""
    return " or ".join(dict.fromkeys(words for words, _ in condition_lines(rules)))


def condition_ports(one: ConditionChange) -> str:
    """The ports, and where it is the receiving end that asks, so: the sending end is what everybody expects."""
    return ports_words(one.transports) + (", where it enters" if one.direction is Direction.INGRESS else "")


def condition_lines(rules: Sequence[Rule]) -> list[tuple[str, str]]:
    """What has to be met, one of them, each with the place of its rule; of no rule that anything passes."""
    found = [(words, place_text(rule.origin)) for rule, words in conditions_text(rules)]
    return found or [("anything", "")]
