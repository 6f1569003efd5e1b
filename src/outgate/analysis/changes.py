"""One difference between two lists of connections: what passed, what passes, and which way it went.

A change is `opened` where nothing passed before, `closed` where nothing passes after, else `changed`. It *widens* where
all that passed still passes, and *narrows* where nothing passes that did not. Neither: it opens something and closes
something.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property

from outgate.analysis.connections import Party
from outgate.analysis.groups import Group
from outgate.analysis.matching import Presence
from outgate.model import Direction
from outgate.packets import TransportSet
from outgate.packets.addresses import Family

__all__ = ["Change", "IsolationChange", "Kind", "Shift"]


class Kind(enum.Enum):
    """What became of a connection."""

    OPENED = "opened"
    CLOSED = "closed"
    CHANGED = "changed"


@dataclass(frozen=True)
class Shift:
    """What passed and what passes: TCP, UDP and SCTP, by an address of either family.

    Many changes share one. `families` is empty where it makes no difference by which; else it has before and after for
    each that both ends have on both sides.
    """

    before: TransportSet
    after: TransportSet
    families: tuple[tuple[Family, TransportSet, TransportSet], ...] = ()

    @property
    def kind(self) -> Kind:
        """Whether there was a connection at all before, and is one after."""
        if not self.before:
            return Kind.OPENED
        return Kind.CHANGED if self.after else Kind.CLOSED

    @cached_property
    def opened(self) -> TransportSet:
        """What passes now, by some family at least, and did not."""
        found = self.after - self.before
        for _, before, after in self.families:
            found |= after - before
        return found

    @cached_property
    def closed(self) -> TransportSet:
        """What passed, by some family at least, and does not any more."""
        found = self.before - self.after
        for _, before, after in self.families:
            found |= before - after
        return found

    @property
    def widens(self) -> bool:
        """Whether all that passed still passes, and more."""
        return not self.closed

    @property
    def narrows(self) -> bool:
        """Whether nothing passes that did not, and less."""
        return not self.opened


@dataclass(frozen=True, slots=True)
class Change:
    """One connection that is not what it was. The ends are as in a list: groups show the pods of after."""

    source: Party
    destination: Party
    shift: Shift
    source_presence: Presence | None = None
    """Where the source is a workload, or a part of one, that is on one side alone."""
    destination_presence: Presence | None = None

    @property
    def kind(self) -> Kind:
        """Opened, closed or changed."""
        return self.shift.kind

    @property
    def comes_with_workload(self) -> bool:
        """Whether one end is on one side alone, so that the change says nothing about who was there before."""
        return self.source_presence is not None or self.destination_presence is not None


@dataclass(frozen=True, slots=True)
class IsolationChange:
    """Pods that a policy isolates in a direction, and that none did before; or the other way round."""

    group: Group
    direction: Direction
    isolated: bool
    """Whether they are isolated now."""
