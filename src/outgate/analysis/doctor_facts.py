"""What a doctor knows and what it says: the facts beside the snapshot, and the lines that are made of them.

A line has a mark. `WRONG` is what does not work as people believe; `ATTENTION` is what works and leaves something
open; `UNKNOWN` is what the input does not say. Every line that is not `OK` says what to do next.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable

from outgate.analysis.doctor_probe import ProbeResult
from outgate.model import Snapshot
from outgate.records import dataclass

__all__ = ["Facts", "Line", "Mark", "OtherPolicy", "Served", "few", "many", "plain"]


class Mark(enum.Enum):
    """How a line is to be taken."""

    OK = "ok"
    ATTENTION = "attention"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Line:
    """One answer. `next_steps` are commands, or a sentence where no command does it."""

    topic: str
    mark: Mark
    words: str
    details: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OtherPolicy:
    """A kind of policy that is in the input and is not read. `certain`: False where the server does not show it."""

    name: str
    count: int | None = None
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Served:
    """What a live API server says beside its objects."""

    version: str = ""
    """As in ``v1.31.2``; empty where it does not say."""
    groups: frozenset[str] | None = None
    """The API groups; None where it does not say."""
    absent: frozenset[tuple[str, str]] = frozenset()
    """ConfigMaps that were asked for and do not exist, by namespace and name."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known. `served` is None where the input is no live cluster."""

    snapshot: Snapshot
    served: Served | None = None
    others: tuple[OtherPolicy, ...] = ()
    probe: ProbeResult | None = None
    asked: str = "-f -"
    """The options that name the input, for the commands that are advised."""
    kubectl: str = "kubectl"

    def setting(self, namespace: str, name: str, key: str) -> str | None:
        """What a ConfigMap says; empty where it says nothing, None where it cannot be seen."""
        known = self.snapshot.settings
        found = known.get((namespace, name)) or next((one for (_, mine), one in known.items() if mine == name), None)
        if found is not None or (namespace, name) in known:
            return (found or {}).get(key, "")
        return "" if self.served is not None and (namespace, name) in self.served.absent else None

    def outgate(self, rest: str) -> str:
        """A command of ours about the same input."""
        verb, _, options = rest.partition(" ")
        return " ".join(part for part in ("outgate", verb, self.asked, options) if part)


def many(count: int, one: str, several: str = "") -> str:
    """``1 pod``, ``2 pods``."""
    return f"{count} {one if count == 1 else several or one + 's'}"


def few(names: Iterable[str], most: int = 4) -> str:
    """The first names, and how many more there are."""
    all_of_them = list(names)
    more = f" and {len(all_of_them) - most} more" if len(all_of_them) > most else ""
    return ", ".join(all_of_them[:most]) + more


def plain(name: str) -> str:
    """A name for a command that people will copy; one that a server would not take becomes a placeholder."""
    return name if re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,252}", name) else "NAME"
