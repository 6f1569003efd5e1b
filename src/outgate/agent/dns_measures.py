"""What the DNS proxy counts, as values; and the file in which the agent reads them.

The proxy is a process of its own and serves no page. It writes its counts every few seconds, whole or not at all, and
the agent shows them among its own. Counters begin at 0 with each start of the proxy, as Prometheus expects it.
"""

from __future__ import annotations

import bisect
import enum
from dataclasses import dataclass, field

import msgspec

__all__ = ["BOUNDS", "DnsStatus", "Measures", "Result", "Times"]

BOUNDS = (0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Seconds: the upper edges of a histogram."""


class Result(enum.StrEnum):
    """What became of a question, or of what came for an answer."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """The name may not be asked."""
    MALFORMED = "malformed"
    UNKNOWN_POD = "unknown_pod"
    """Nobody's address: not in the orders, or nobody knows where the question was going."""
    NO_SERVER = "no_server"
    """The server may not be asked."""
    NO_ROOM = "no_room"
    """Too many are open."""
    UNREACHABLE = "unreachable"
    """The server refuses, or there is no way to it."""
    TIMEOUT = "timeout"
    STRAY = "stray"
    """An answer under a number that nobody waits for: late, or forged."""
    FORGED = "forged"
    """An answer with a right number and another question."""
    UNREADABLE = "unreadable"
    """An answer that was passed on and taught nothing, because it could not be read."""
    OVERDUE = "overdue"
    """An answer that was passed on before its addresses were in the kernel: its connections are denied."""


class Times(msgspec.Struct):
    """A histogram of seconds."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    """How many were in each step of `BOUNDS`; the last is what was longer."""
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect.bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class DnsStatus(msgspec.Struct, frozen=True):
    """The file. `written` is in seconds since 1970."""

    format: int
    written: float
    process: int
    results: dict[str, int]
    open_questions: int
    learned: int
    """Addresses of names."""
    evicted: int
    kept_out: int
    """Addresses that no name may open (`proxy.admission`)."""
    elements: int
    """Put into the kernel."""
    refused_elements: int
    orders: int
    """Times that new orders were taken up."""
    fault: str
    """Why the last orders were not; empty where they were."""
    upstream: Times
    """From a question to its answer."""
    programming: Times
    """From an answer to its addresses being in the kernel."""
    lost_lines: int = 0
    """Refused questions that are not in the log."""
    restored: int = 0
    """Entries of connection tracking that somebody had deleted before the answer came, and that were put back."""


@dataclass(slots=True)
class Measures:
    """The counts of one proxy, since it began."""

    results: dict[Result, int] = field(default_factory=lambda: dict.fromkeys(Result, 0))
    kept_out: int = 0
    restored: int = 0
    elements: int = 0
    refused_elements: int = 0
    orders: int = 0
    fault: str = ""
    upstream: Times = field(default_factory=Times)
    programming: Times = field(default_factory=Times)

    def status(
        self, *, written: float, process: int, open_questions: int, learned: int, evicted: int, lost_lines: int = 0
    ) -> bytes:
        """The file, as JSON."""
        status = DnsStatus(
            format=1,
            written=written,
            process=process,
            results={one.value: self.results[one] for one in Result},
            open_questions=open_questions,
            learned=learned,
            evicted=evicted,
            kept_out=self.kept_out,
            restored=self.restored,
            elements=self.elements,
            refused_elements=self.refused_elements,
            orders=self.orders,
            fault=self.fault,
            upstream=self.upstream,
            programming=self.programming,
            lost_lines=lost_lines,
        )
        return msgspec.json.encode(status)
