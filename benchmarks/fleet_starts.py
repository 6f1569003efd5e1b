"""Thousands of agents that begin, or begin again: how the pacing of the agent spreads what they ask, in virtual time.

Each agent is the `Reflector` of its pods as it is, with its own `Pace` and `Backoff`; clock, pauses and chance come
from outside (`benchmarks.virtual`), and what it talks to is `benchmarks.fleet_server`. Pods alone are followed: of the
bytes that an agent reads, all other kinds together are some hundredths.

    rollout     so many agents are unavailable at a time; the next begins when one knows all (DaemonSet)
    at once     all agents begin in one moment (power comes back)
    away        all agents watch; the API servers go away, and come back
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.fleet_server import FleetServer, Terms
from benchmarks.tables import Row
from benchmarks.virtual import Timeline
from outgate.cluster.events import Event, Replaced
from outgate.cluster.watch import Pace, Reflector, Subscription

__all__ = ["Fleet", "Together", "away", "rollout"]

RESTART = 10.0
"""Seconds that a container takes to end and another to begin."""
WARM = 30.0
"""Seconds over which agents have begun that are all well when something happens."""


class Together(random.Random):
    """Chance that always throws the same: what pauses without jitter would be."""

    def uniform(self, a: float, b: float) -> float:
        """The most."""
        return max(a, b)


@dataclass
class Fleet:
    """Agents of one kind, and how they fare."""

    terms: Terms
    nodes: int
    pace: Pace = field(default_factory=Pace)
    dice: Callable[[int], random.Random] = random.Random
    away: tuple[tuple[float, float], ...] = ()
    remembers: bool = False
    free: float = 0.0

    def __post_init__(self) -> None:
        self.timeline = Timeline()
        self.server = FleetServer(self.timeline, self.terms, self.away, remembers=self.remembers, free=self.free)
        self.known: dict[int, float] = {}
        """When each agent knew all, the first time."""
        self.wholes = 0
        """How often any agent was told all."""
        self.told: Callable[[int], None] = lambda _: None

    def begin(self, number: int, *, after: float = 0.0) -> None:
        """Let an agent begin in so many seconds."""

        def body() -> None:
            self.timeline.sleep(after)
            door: Any = self.server.door(number)  # it has what a reflector needs of a client
            Reflector(
                door,
                Subscription("Pod"),
                lambda event: self._deliver(number, event),
                wait=self.timeline.sleep,
                stopped=lambda: False,
                pace=self.pace,
                clock=lambda: self.timeline.now,
                dice=self.dice(number),
            ).run()

        self.timeline.spawn(body)

    def _deliver(self, number: int, event: Event) -> None:
        if isinstance(event, Replaced):
            self.wholes += 1
            self.known.setdefault(number, self.timeline.now)
            self.told(number)

    def row(self) -> Row:
        """How it went, since the API servers were back or since the beginning."""
        since = max((end for _, end in self.away), default=0.0)
        after = sorted(moment - since for moment in self.known.values())
        watching = sorted(moment - since for moment in self.server.watching.values())
        server = self.server
        return {
            "nodes": self.nodes,
            "requests in the worst second": _worst(server.requests, since),
            "lists begun in the worst second": _worst(server.lists, since),
            "lists at one time": server.pipe.most,
            "half know all, s": _when(after, self.nodes // 2),
            "all know all, s": _when(after, self.nodes - 1),
            "half watch, s": _when(watching, self.nodes // 2),
            "all watch, s": _when(watching, self.nodes - 1),
            "GB sent for lists": round(server.pipe.read / 1e9, 1),
            "of that needed": f"{min(1.0, self.nodes * self.terms.list_bytes / max(server.pipe.read, 1)):.0%}",
            "410": server.forgotten,
            "429": server.refused,
        }


def rollout(terms: Terms, nodes: int, unavailable: int, horizon: float, **more: Any) -> Fleet:
    """Agents begin as a DaemonSet replaces them; all at once where as many may be unavailable as there are."""
    fleet = Fleet(terms, nodes, **more)
    waiting = iter(range(unavailable, nodes))
    seen: set[int] = set()

    def told(number: int) -> None:
        if number not in seen:
            seen.add(number)
            following = next(waiting, None)
            if following is not None:
                fleet.begin(following, after=RESTART)

    fleet.told = told
    for number in range(min(unavailable, nodes)):
        fleet.begin(number)
    fleet.timeline.run(horizon, enough=lambda: len(fleet.server.watching) == nodes)
    return fleet


def away(terms: Terms, nodes: int, seconds: float, horizon: float, *, remembers: bool, **more: Any) -> Fleet:
    """All agents watch, the API servers go away for so long and come back; counted is from then on.

    Those that begin get their first state for nothing: what it costs is another question.
    """
    gone = WARM + 600.0
    back = gone + seconds
    fleet = Fleet(terms, nodes, away=((gone, back),), remembers=remembers, free=gone, **more)
    for number in range(nodes):
        fleet.begin(number, after=WARM * number / nodes)

    def anew() -> None:
        fleet.known.clear()
        fleet.server.watching.clear()

    fleet.timeline.at(back, anew)
    fleet.timeline.run(back + horizon, enough=lambda: fleet.timeline.now > back and len(fleet.server.watching) == nodes)
    return fleet


def _worst(many: Any, since: float) -> int:
    return max((count for second, count in many.items() if second >= since), default=0)


def _when(ordered: list[float], place: int) -> object:
    if not ordered:
        return "–"
    return round(ordered[place]) if place < len(ordered) else "never"
