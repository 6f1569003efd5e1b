"""A diff as data: kind ConnectionDiff (docs/schema/ConnectionDiff.json)."""

from __future__ import annotations

from collections.abc import Sequence

from outgate.analysis.asking import Movements
from outgate.analysis.causes import Cause, Causes, PolicyChange
from outgate.analysis.changes import Change, Kind, Shift
from outgate.analysis.condition_changes import ConditionChange
from outgate.analysis.connections import Party
from outgate.analysis.diff import ConnectionDiff
from outgate.analysis.groups import Group
from outgate.policy import OUTGATE, Origin
from outgate.report.conditions import asked_json, conditions_json
from outgate.report.diff_words import asked_otherwise
from outgate.report.parties import party_json
from outgate.report.terms import API_VERSION, Json, origin_json, transports_json, without_empty

__all__ = ["diff_json"]


def diff_json(found: ConnectionDiff, why: Causes, notes: Sequence[str] = ()) -> Json:
    """The document. Every change says who brings it; numbers by namespace come first, for a quick look.

    `notes`: what the inputs refer to and do not have, and the comparison hangs on.
    """
    asked = Movements(found.before, found.after, found.pieces)
    writer, profile = _Writer(why, asked), found.after.grid.policies.profile.name
    return {
        "apiVersion": API_VERSION,
        "kind": "ConnectionDiff",
        **({} if profile == OUTGATE.name else {"profile": profile}),
        **({"notes": list(notes)} if notes else {}),
        "summary": _summary(found),
        "changes": [writer.change(one) for one in found],
        "isolation": [
            {
                "workload": party_json(one.group),
                "direction": one.direction.value,
                "isolated": one.isolated,
                "by": [writer.origin(origin) for origin in why.isolates(one)],
            }
            for one in found.isolation
        ],
        **({"conditions": [writer.condition(one) for one in found.conditions]} if found.conditions else {}),
        "policies": [_policy(one) for one in why.policies],
    }


class _Writer:
    """What many changes share is written once and used again: a line is looked up in the text of its file."""

    def __init__(self, why: Causes, asked: Movements) -> None:
        self._why = why
        self._asked = asked
        # Ends and shifts live as long as the diff, so no other can have their identity.
        self._parties: dict[int, Json] = {}
        self._shifts: dict[int, Json] = {}
        self._origins: dict[int, tuple[Origin, Json | None]] = {}
        self._causes: dict[int, tuple[Cause, Json]] = {}

    def change(self, one: Change) -> Json:
        shift = self._shifts.get(id(one.shift))
        if shift is None:
            shift = self._shifts[id(one.shift)] = _shift(one.shift)
        optional = {
            "sourceChange": one.source_presence.value if one.source_presence is not None else None,
            "destinationChange": one.destination_presence.value if one.destination_presence is not None else None,
            "opens": self._cause(self._why.opens(one)),
            "closes": self._cause(self._why.closes(one)),
            "opensOnlyIf": [asked_json(each) for each in self._asked.opens(one)],
            "closedOnlyIf": [asked_json(each) for each in self._asked.closes(one)],
        }
        return {
            "change": one.kind.value,
            "source": self._party(one.source),
            "destination": self._party(one.destination),
            **shift,
            **without_empty(optional),
        }

    def condition(self, one: ConditionChange) -> Json:
        """What is asked of a connection that is there before and after."""
        return {
            "direction": one.direction.value,
            "source": self._party(one.source),
            "destination": self._party(one.destination),
            "passing": transports_json(one.transports),
            "before": conditions_json(one.before),
            "after": conditions_json(one.after),
            "widens": one.widens,
            "narrows": one.narrows,
        }

    def _party(self, party: Party) -> Json:
        found = self._parties.get(id(party))
        if found is None:
            found = self._parties[id(party)] = party_json(party)
        return found

    def _cause(self, cause: Cause | None) -> Json | None:
        if cause is None:
            return None
        # The cause is kept beside its form, so that no other can come to have its identity; so with origins.
        known = self._causes.get(id(cause))
        if known is None:
            form: Json = {
                "allowedBy": [self.origin(one) for one in cause.allowed],
                "deniedBy": [self.origin(one) for one in cause.denied],
            }
            known = self._causes[id(cause)] = cause, form
        return known[1]

    def origin(self, origin: Origin) -> Json | None:
        """An origin; those of both sides may be equal and stand at different places."""
        known = self._origins.get(id(origin))
        if known is None:
            known = self._origins[id(origin)] = origin, origin_json(origin)
        return known[1]


def _shift(shift: Shift) -> Json:
    form: Json = {
        "before": transports_json(shift.before),
        "after": transports_json(shift.after),
        "widens": shift.widens,
        "narrows": shift.narrows,
    }
    if shift.families:
        form["families"] = [
            {"family": family, "before": transports_json(before), "after": transports_json(after)}
            for family, before, after in shift.families
        ]
    return form


def _summary(found: ConnectionDiff) -> Json:
    """How many of each kind, in all and by the namespaces of their ends. One between two namespaces counts in both."""
    total = dict.fromkeys((kind.value for kind in Kind), 0)
    namespaces: dict[str, dict[str, int]] = {}
    for one in found:
        total[one.kind.value] += 1
        for namespace in {end.namespace for end in (one.source, one.destination) if isinstance(end, Group)}:
            mine = namespaces.setdefault(namespace, dict.fromkeys(total, 0))
            mine[one.kind.value] += 1
    return {
        **total,
        "conditions": asked_otherwise(found),
        "namespaces": {name: namespaces[name] for name in sorted(namespaces)},
    }


def _policy(change: PolicyChange) -> Json:
    policy = change.policy
    place = policy.place
    return {
        "change": change.presence.value if change.presence is not None else "changed",
        "apiVersion": policy.api_version,
        "kind": policy.kind,
        "namespace": policy.namespace,
        "name": policy.name,
        "file": place.file,
        "line": place.line or None,
    }
