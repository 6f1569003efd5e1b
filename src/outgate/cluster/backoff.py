"""How long to wait before another try: longer each time, and never for all clients alike.

When an API server comes back, everybody who lost it wants it at once. So the limit doubles with each failure up to a
longest one, and the wait is drawn evenly from all that is below it ("full jitter"), but for a floor that keeps a
broken server from being asked without a pause.
"""

from __future__ import annotations

import random

__all__ = ["Backoff"]


class Backoff:
    """Waits in seconds, the first of at most `first` and all of at most `longest`."""

    def __init__(self, dice: random.Random, *, first: float = 0.8, longest: float = 30.0) -> None:
        self._dice = dice
        self._first = first
        self._longest = longest
        self._limit = first

    def next(self) -> float:
        """The seconds to wait after one more failure."""
        limit = self._limit
        self._limit = min(limit * 2, self._longest)
        return self._dice.uniform(min(self._first, limit) / 2, limit)

    def reset(self) -> None:
        """All is well again."""
        self._limit = self._first
