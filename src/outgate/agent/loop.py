"""The loop that performs what the step decides: wait for something to happen, take all that has, do what follows.

Everything reaches the loop through one queue; one thread takes from it and alone touches the state and the kernel. What
comes while a change is made waits and is taken together afterwards, so under load each turn does more and there are
fewer of them. After a refusal the next attempt waits, longer each time.

Nothing here ends by taking rules away. Whether the loop is asked to stop, or is killed, the kernel goes on with what it
has.
"""

from __future__ import annotations

import queue
import random
import time
from collections.abc import Callable

from outgate.agent.events import Applied, Drifted, Event, Listed, Refused
from outgate.agent.kernel import Kernel, Timing
from outgate.agent.step import Answer, Apply, Do, Follow, Look, State, plan
from outgate.agent.trust import Sweep
from outgate.cluster.watch import Subscription
from outgate.errors import KernelError
from outgate.nft.epoch import Epoch, epoch_of, latest
from outgate.nft.objects import Ruleset

__all__ = ["Loop", "Observer"]

MOST = 20_000
"""Events that one turn takes at most."""
BREATH = 1.0
"""Seconds: the loop turns at least so often, so that a health check can tell a quiet one from a dead one."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds between attempts, after the kernel refused."""
COMPARE = 600.0
"""Seconds after which the kernel's table is read and compared, whether or not anybody was heard changing it."""


class Observer:
    """Who is told what the loop does, as far as it matters to them: by itself each of these does nothing.

    Called in the loop's thread; must be quick and raise nothing.
    """

    def applying(self, command: Apply) -> None:
        """A change goes to the kernel now. `applied` or `refused` follows: soon or, where the kernel hangs, late."""

    def applied(self, command: Apply, timing: Timing, seconds: float, now: float) -> None:
        """A change is in the kernel. `now` is the clock that `Apply.received` was taken from."""

    def refused(self, words: str) -> None:
        """A change, or a look, did not work."""

    def answered(self, token: int) -> None:
        """The network plugin may go on."""

    def sweeping(self, command: Sweep) -> None:
        """Connections are to be swept; who does it delivers `Swept`."""

    def following(self, subscriptions: tuple[Subscription, ...]) -> None:
        """Beside the kinds that are always needed, these are to be watched now."""

    def turned(self, state: State, now: float) -> None:
        """A turn is done. The state is the loop's: to be read now, not kept."""


class Loop:
    """One agent's loop. `deliver` may be called from any thread."""

    def __init__(
        self,
        state: State,
        kernel: Kernel,
        observers: tuple[Observer, ...] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        dice: random.Random | None = None,
    ) -> None:
        self.state = state
        self._kernel = kernel
        self.observers = observers
        self._clock = clock
        self._dice = dice or random.Random()  # noqa: S311 - it spreads load and keeps no secret
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._pending: list[Event] = []
        self._failures = 0
        self._not_before = 0.0
        self._compare_at = self._next_comparison()
        self._stopping = False

    def deliver(self, event: Event) -> None:
        """Something happened."""
        self._queue.put(event)

    def stop(self) -> None:
        """Return from `run` after the turn that is being made."""
        self._queue.put(None)

    def run(self) -> None:
        """Turn until stopped."""
        while not self._stopping:
            self.turn(BREATH)

    def turn(self, seconds: float) -> None:
        """Wait at most so long for something to happen, and do what follows from it."""
        pause = self._not_before - self._clock()
        if pause > 0:
            # The last change was refused: whatever comes before the next attempt is taken together with it.
            self._gather(min(pause, seconds))
        else:
            self._gather(0.0 if self._pending else seconds)
            events, self._pending = self._pending, []
            self.state, commands = plan(self.state, events)
            for command in commands:
                self._perform(command)
        now = self._clock()
        for observer in self.observers:
            observer.turned(self.state, now)

    def _gather(self, seconds: float) -> None:
        """Take what has come, waiting for the first."""
        while len(self._pending) < MOST:
            try:
                one = self._queue.get(timeout=seconds) if seconds > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            seconds = 0.0
            if one is None:
                self._stopping = True
            else:
                self._pending.append(one)
        if self._clock() >= self._compare_at and self.state.settled:
            self._compare_at = self._next_comparison()
            self._pending.append(Drifted("compared from time to time"))

    def _next_comparison(self) -> float:
        return self._clock() + COMPARE * self._dice.uniform(0.5, 1.5)

    def _perform(self, command: Do) -> None:
        match command:
            case Apply():
                self._apply(command)
            case Look():
                self._attempt(self._look)
            case Answer(token):
                for observer in self.observers:
                    observer.answered(token)
            case Sweep():
                for observer in self.observers:
                    observer.sweeping(command)
            case Follow(subscriptions):
                for observer in self.observers:
                    observer.following(subscriptions)

    def _look(self) -> None:
        before = self._kernel.woken
        ruleset, guard = self._kernel.list(), self._kernel.guard()
        self._pending.append(Listed(ruleset, guard, self._last(ruleset), self._kernel.woken - before))

    def _last(self, ruleset: Ruleset | None) -> Epoch | None:
        """The epoch that was given out last, for an agent that begins; afterwards it knows that itself.

        Connections outlive a table that somebody takes away, and the saved one that comes in its place may be older
        than they are. Where connections cannot be asked, a number
        drawn from all is that of a few of them at the worst, once in thousands of times.
        """
        mask, found = self.state.desired.options.mark_mask, epoch_of(ruleset) if ruleset is not None else None
        ours = {found.value} if found is not None and found.mask == mask else set()
        if self.state.last is not None:
            return None
        try:
            carried = self._kernel.carried(mask) | ours
        except KernelError as error:
            why = error.message
        else:
            last = latest(mask, carried)
            if last is None or last.following().value not in carried:
                return last
            why = f"every number in our bits of the mark ({mask:#010x}) is there, so somebody else writes them"
        words = f"live connections do not say which epochs are in use, so one is drawn: {why}"
        for observer in self.observers:
            observer.refused(words)
        return Epoch(mask, self._dice.randint(1, Epoch(mask).highest))

    def _apply(self, command: Apply) -> None:
        for observer in self.observers:
            observer.applying(command)
        begun = self._clock()

        def change() -> None:
            timing = self._kernel.apply(command.change)
            now = self._clock()
            self._pending.append(Applied())
            for observer in self.observers:
                observer.applied(command, timing, now - begun, now)

        self._attempt(change)

    def _attempt(self, what: Callable[[], object]) -> None:
        try:
            what()
        except KernelError as error:
            self._failures += 1
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self._failures - 1))
            self._not_before = self._clock() + pause * self._dice.uniform(0.5, 1.0)
            self._pending.append(Refused(error.message))
            for observer in self.observers:
                observer.refused(error.message)
        else:
            self._failures, self._not_before = 0, 0.0
