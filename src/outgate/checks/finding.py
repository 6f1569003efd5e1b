"""Findings: what a check has to say, with the place, the proof and the way out.

A finding is a value. Its sentence is written once, for every format; what a format may need beside it is data: the
place, the object, other places that have part in it, a packet that shows it, an edit that mends it.

    rule         which check
    message      what is wrong, in one sentence, with the names of what is concerned
    origin       the object it is about, and where in it
    related      other lines that one must see to understand it
    witness      a packet that passes and should not, or does not and should
    help         what to do
    fix          the same as edits of the text, where that is safe
"""

from __future__ import annotations

import enum

from outgate.checks.edit import Edit
from outgate.model import Place
from outgate.packets import Packet, Protocol
from outgate.records import dataclass

__all__ = ["Finding", "Related", "Severity", "Subject", "Witness"]


class Severity(enum.IntEnum):
    """How bad it is. Ordered: what fails on warnings fails on errors too."""

    INFO = 1
    """Worth knowing; nothing to mend."""
    WARNING = 2
    """Probably not what was meant."""
    ERROR = 3
    """Something does not work, or is open that must not be."""

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Subject:
    """The object that a finding is about."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        who = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {who}"


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that has part in a finding."""

    place: Place
    words: str


@dataclass(frozen=True, slots=True)
class Witness:
    """One packet that proves a finding. `source` and `destination` are how a reader knows the two ends."""

    packet: Packet
    source: str
    destination: str
    passes: bool

    def __str__(self) -> str:
        number, port = self.packet.protocol, self.packet.coordinate
        there = self.destination
        if number in tuple(Protocol) and Protocol(number).has_ports:
            there = f"{there}:{port}/{Protocol(number).name}"
        return f"{self.source} -> {there} {'passes' if self.passes else 'is dropped'}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found."""

    rule: str
    severity: Severity
    message: str
    subject: Subject
    place: Place
    related: tuple[Related, ...] = ()
    witness: Witness | None = None
    help: str = ""
    fix: tuple[Edit, ...] = ()

    @property
    def fixable(self) -> bool:
        """Whether ``--fix`` mends it."""
        return bool(self.fix)

    @property
    def order(self) -> tuple[str, int, str, str]:
        """Findings are shown by file and line."""
        return self.place.file, self.place.line, self.rule, self.message
