"""Tells everybody who looks at the agent what its loop does: status, metrics, names for the log, Events.

The loop has observers and calls them in its own thread; this is one. It does nothing itself, is quick, and raises
nothing: an agent that enforces and cannot be seen is better than one that is seen to have stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from outgate.agent.attribution import Attribution
from outgate.agent.cluster_events import ClusterEvents
from outgate.agent.loop import Observer
from outgate.agent.measures import Measures
from outgate.agent.status import Publisher
from outgate.agent.step import CLUSTER_POLICIES, OF_CILIUM, Apply, State
from outgate.errors import one_line

__all__ = ["Seeing", "Timed"]


class Timed(Protocol):
    """How long each transaction of a change took, in seconds, by the door that it went through."""

    text: list[float]
    netlink: list[float]


class Seeing(Observer):
    """An observer of the loop. What is not given is not told."""

    def __init__(
        self,
        publisher: Publisher,
        *,
        measures: Measures | None = None,
        attribution: Attribution | None = None,
        events: ClusterEvents | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.publisher = publisher
        self._measures, self._attribution, self._events = measures, attribution, events
        self._say = say
        self._drift = 0
        self._broken: frozenset[tuple[str, str, str]] = frozenset()
        self._trouble = ""

    def applying(self, command: Apply) -> None:
        """A change goes to the kernel now."""
        self.publisher.applying(command.received)

    def applied(self, command: Apply, timing: Timed, seconds: float, now: float) -> None:
        """A change is in the kernel; `seconds` is how long all of it took."""
        self.publisher.applied()
        if self._measures is not None:
            for door, each in (("text", timing.text), ("netlink", timing.netlink)):
                for one in each:
                    self._measures.transaction(one, door)
            self._measures.applied(seconds, whole=command.whole, received=command.received, now=now)

    def refused(self, words: str) -> None:  # noqa: ARG002 - the state has the words
        """A change, or a look, did not work."""
        self.publisher.refused()

    def turned(self, state: State, now: float) -> None:  # noqa: ARG002 - the publisher has its own clock
        """A turn is done."""
        if self._attribution is not None:
            self._attribution.publish(state)
        self.publisher.publish(state)
        if self.publisher.trouble != self._trouble:
            self._trouble = self.publisher.trouble
            if self._trouble:
                self._say(f"the status cannot be written: {self._trouble}")
        repairs, self._drift = state.drift - self._drift, state.drift
        for _ in range(repairs if self._measures is not None else 0):
            assert self._measures is not None, "asked a line above"
            self._measures.drifted()
        if self._events is not None:
            try:
                self._tell(self._events, state, repairs)
            except Exception as error:  # noqa: BLE001 -- what is told to people must never end what enforces
                self._events = None
                self._say(f"Events are written no more: {type(error).__name__}: {one_line(str(error))}")

    def hindered(self, words: Sequence[str]) -> None:
        """What is in the way of enforcing on this node now; nothing where it is empty."""
        self.publisher.hindered(words)

    def ended(self, state: State) -> None:
        """There will be no other turn."""
        self.publisher.publish(state, last=True)

    def _tell(self, events: ClusterEvents, state: State, repairs: int) -> None:
        if repairs > 0:
            events.drift_repaired()
        broken = frozenset(state.broken)
        for kind, namespace, name in sorted(broken - self._broken):
            if (kind == "NetworkPolicy" or kind in CLUSTER_POLICIES | OF_CILIUM) and name:
                events.policy_broken(kind, namespace, name, state.broken[kind, namespace, name])
        self._broken = broken
