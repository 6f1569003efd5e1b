"""Who is to blame for a change: the rules that let it pass on one side, the policies that deny it on the other.

    why = Causes(found)
    why.policies                  the policies that differ between the two inputs
    why.opens(change)             Cause: who allows it now, who denied it before
    why.closes(change)            the same for what no longer passes: who allowed it before, who denies it now

Policies that differ come first: they are what the author of the change wrote. Where none of those that decide differs,
something else does: labels, a namespace, an address, a port's name.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.changes import Change, IsolationChange
from outgate.analysis.connections import Connections, Party
from outgate.analysis.deciding import saying
from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.groups import Group
from outgate.analysis.matching import Presence
from outgate.model import CiliumPolicy, ClusterPolicy, Direction, Policy, Snapshot
from outgate.packets import TransportSet
from outgate.packets.addresses import Family
from outgate.policy import Origin, Rule
from outgate.policy.rules import Action
from outgate.records import dataclass

__all__ = ["Cause", "Causes", "PolicyChange", "policies_that_differ"]


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A policy that says something else, or that is on one side alone."""

    before: Policy | None
    after: Policy | None

    @property
    def policy(self) -> Policy:
        """The policy as it is now, or as it was where it is gone."""
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def presence(self) -> Presence | None:
        """Which side alone has it."""
        if self.before is None:
            return Presence.ADDED
        return Presence.REMOVED if self.after is None else None


@dataclass(frozen=True, slots=True)
class Cause:
    """Who lets it pass, where it passes, and who denies it, where it does not.

    Empty `allowed`: no policy selects an end that would have to allow it. Empty `denied`: an end is not there.
    """

    allowed: tuple[Origin, ...]
    denied: tuple[Origin, ...]
    blamed: tuple[Origin, ...]
    """Those of both whose policy differs between the two inputs."""


def policies_that_differ(old: Snapshot, new: Snapshot) -> tuple[PolicyChange, ...]:
    """The policies whose meaning is not the same, by namespace and name. Annotations and the like are no meaning."""
    before = {_key(one): one for one in old.every_policy}
    after = {_key(one): one for one in new.every_policy}
    pairs = ((before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys()))
    return tuple(PolicyChange(one, other) for one, other in pairs if _meaning(one) != _meaning(other))


def _key(one: Policy | Origin) -> tuple[str, str, str, int]:
    """Namespace and name, which kind (two may have one name), and of Cilium's which of several."""
    kind = "" if one.kind == "NetworkPolicy" else one.kind
    part = one.index if isinstance(one, CiliumPolicy) else one.spec if isinstance(one, Origin) else None
    return one.namespace, one.name, kind, -1 if part is None else part


def _meaning(policy: Policy | None) -> object:
    if policy is None:
        return None
    if isinstance(policy, CiliumPolicy):
        return policy.subject, policy.nodes, policy.isolates, *(policy.rules(one) for one in Direction)
    if isinstance(policy, ClusterPolicy):
        return policy.tier, policy.priority, policy.subject, policy.egress, policy.ingress
    # A section that policyTypes does not name has no effect.
    return policy.pods, policy.types, *(policy.rules(one) if one in policy.types else () for one in Direction)


@dataclass(frozen=True, slots=True)
class _End:
    """One end of a change on one side; a group has an identity there."""

    party: Party
    identity: int


_Ends = tuple[_End, _End]


class Causes:
    """Answers why, for the changes of one diff."""

    def __init__(self, found: ConnectionDiff) -> None:
        self.found = found
        self.policies = policies_that_differ(found.before.snapshot, found.after.snapshot)
        self._differing = {_key(one.policy) for one in self.policies}
        self._sides: dict[bool, dict[Group, Group | None]] = {
            False: {one.group: one.before for one in found.pieces},
            True: {one.group: one.after for one in found.pieces},
        }
        self._numbers: dict[Group, tuple[int, int]] = {one.group: one.identities for one in found.pieces}
        self._known: dict[tuple[object, ...], Cause] = {}

    def opens(self, change: Change) -> Cause | None:
        """Why something passes that did not; None where nothing does."""
        return self._cause(change, change.shift.opened, passes_now=True)

    def closes(self, change: Change) -> Cause | None:
        """Why something does not pass any more; None where all still does."""
        return self._cause(change, change.shift.closed, passes_now=False)

    def isolates(self, change: IsolationChange) -> tuple[Origin, ...]:
        """The policies that isolate now, or that did."""
        side = self.found.after if change.isolated else self.found.before
        group = self._sides[change.isolated][change.group]
        return () if group is None else _isolating(side, group, change.direction)

    def _cause(self, change: Change, what: TransportSet, *, passes_now: bool) -> Cause | None:
        if not what:
            return None
        ends = change.source, change.destination
        # Ends and shifts are shared by many changes and live as long as the diff: no other can have their identity.
        stand_for = (self._numbers[end] if isinstance(end, Group) else id(end) for end in ends)
        key = (passes_now, id(change.shift), *stand_for)
        found = self._known.get(key)
        if found is None:
            allowed = self._sorted(self._allowed(ends, what, passes_now))
            denied = self._sorted(self._denied(ends, what, not passes_now))
            blamed = tuple(one for one in (*allowed, *denied) if self._differs(one))
            found = self._known[key] = Cause(allowed, denied, blamed)
        return found

    def _differs(self, origin: Origin) -> bool:
        return _key(origin) in self._differing

    def _sorted(self, origins: Iterator[Origin]) -> tuple[Origin, ...]:
        """Each once, those of policies that differ first; egress stays before ingress."""
        return tuple(sorted(dict.fromkeys(origins), key=lambda one: not self._differs(one)))

    def _ends(self, ends: tuple[Party, Party], now: bool) -> _Ends | None:
        """Both ends on one side; None where one is not there."""
        found = []
        for party in ends:
            if isinstance(party, Group):
                mine = self._sides[now][party]
                if mine is None:
                    return None
                found.append(_End(mine, mine.identity))
            else:
                found.append(_End(party, -1))
        return found[0], found[1]

    def _allowed(self, parties: tuple[Party, Party], what: TransportSet, now: bool) -> Iterator[Origin]:
        """The rules that let any of it pass."""
        side, ends = self._side(now), self._ends(parties, now)
        for direction in Direction if ends is not None else ():
            for family in _families(side, ends):
                for rule, transports in _passing(side, ends, direction, family):
                    if transports & what:
                        yield rule.origin

    def _denied(self, parties: tuple[Party, Party], what: TransportSet, now: bool) -> Iterator[Origin]:
        """The policies that isolate an end whose rules do not let all of it pass, by some family."""
        side, ends = self._side(now), self._ends(parties, now)
        for direction, end in zip(Direction, ends or (), strict=ends is not None):
            if not isinstance(end.party, Group):
                continue
            yield from _denying(side, ends, direction, what)
            if not side.grid.isolated(end.identity, direction):
                continue
            for family in _families(side, ends):
                through = TransportSet()
                for _, transports in _passing(side, ends, direction, family):
                    through |= transports
                if not what <= through:
                    yield from _isolating(side, end.party, direction)

    def _side(self, now: bool) -> Connections:
        return self.found.after if now else self.found.before


def _isolating(side: Connections, group: Group, direction: Direction) -> tuple[Origin, ...]:
    """The policies that isolate a group, as `policy.decide` names them."""
    return side.grid.standing(side.grid.keys[direction][group.identity], direction).origins


def _families(side: Connections, ends: _Ends | None) -> tuple[Family, ...]:
    """The families by which two ends may talk and that have to be told apart."""
    families = side.grid.families
    if ends is None or len(families) == 1:
        return families
    numbers = [end.identity for end in ends if end.identity >= 0]
    have = side.grid.identities.of_family
    return tuple(family for family in families if all(have[family] >> number & 1 for number in numbers))


def _denying(side: Connections, ends: _Ends | None, direction: Direction, what: TransportSet) -> Iterator[Origin]:
    """The rules of one end that deny any of it."""
    if ends is None:
        return
    mine, other = ends if direction is Direction.EGRESS else reversed(ends)
    if isinstance(mine.party, Group):
        for rule, transports in saying(Action.DENY, side, mine.party, other.party, direction, _families(side, ends)):
            if transports & what:
                yield rule.origin


def _passing(
    side: Connections, ends: _Ends | None, direction: Direction, family: Family
) -> Iterator[tuple[Rule, TransportSet]]:
    """The rules of one end with what each lets pass to or from the other."""
    if ends is None:
        return
    mine, other = ends if direction is Direction.EGRESS else reversed(ends)
    if isinstance(mine.party, Group):
        yield from saying(Action.ACCEPT, side, mine.party, other.party, direction, (family,))
