"""What a probe of the cluster itself has shown.

Objects say what should be enforced. A probe says what is: a client that reaches a server, is denied to, and is
allowed to again. Each step must be seen, or nothing is concluded: a client that never reached the server proves
nothing when it does not reach it later, and one that reaches it to the end proves nothing either, unless it is then
seen to notice that the server is gone.
"""

from __future__ import annotations

import enum

from outgate.model import Direction
from outgate.records import dataclass

__all__ = ["Outcome", "ProbeResult", "Step", "Tried", "outcome_of"]


class Outcome(enum.Enum):
    """What a probe concludes."""

    ENFORCING = "enforcing"
    NOT_ENFORCING = "not enforcing"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Step:
    """What was waited for, whether it was seen, and after how long."""

    words: str
    seen: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Tried:
    """A denial in one direction: by a policy of the client (egress), or of the server (ingress)."""

    direction: Direction
    outcome: Outcome
    seconds: float = 0.0
    """How long the denial took to be seen, where it was."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A probe that is over. `left` is empty, or says what could not be removed and how to remove it."""

    namespace: str
    image: str
    steps: tuple[Step, ...]
    tried: tuple[Tried, ...]
    reason: str = ""
    """Why nothing can be concluded, where that is so."""
    left: str = ""

    @property
    def outcome(self) -> Outcome:
        """The conclusion: enforcing only where every direction was."""
        return outcome_of(self.tried)


def outcome_of(tried: tuple[Tried, ...]) -> Outcome:
    """One that was not enforced decides; without one of each direction nothing is concluded."""
    found = {one.direction: one.outcome for one in tried}
    if Outcome.NOT_ENFORCING in found.values():
        return Outcome.NOT_ENFORCING
    if set(found) == set(Direction) and set(found.values()) == {Outcome.ENFORCING}:
        return Outcome.ENFORCING
    return Outcome.INCONCLUSIVE
