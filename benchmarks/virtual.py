"""Time that costs nothing: thousands of threads that believe they wait, and the line that they share.

A `Timeline` runs one thread at a time. Whoever would wait says until when and gives way; the clock then jumps to the
next moment at which anything happens. So code that was written for a thread of its own (a `Reflector`) runs as it is,
an hour of five thousand of them takes some seconds, and the same seed gives the same hour.

    line = Timeline()
    line.spawn(lambda: (line.sleep(5.0), print(line.now)))
    line.run(until=60.0)

A `Pipe` is what all of them read from: those who read at one time get equal parts of its bytes a second, and nobody
more than he can take (processor sharing). All get the same speed, so it is enough to keep one number, what everybody
who was there from the beginning has got (`_level`), and for each reader the level at which he has it all.
"""

from __future__ import annotations

import heapq
import itertools
import math
import threading
from collections.abc import Callable

__all__ = ["Pipe", "Timeline"]

_STACK = 256 * 1024
"""Bytes of stack of a thread: an agent's calls are shallow, and there are thousands."""


class _Over(BaseException):
    """The time is over. No `Exception`: code that goes on whatever happens must not go on now."""


class _Task:
    """A thread, and the lock that it waits at."""

    def __init__(self) -> None:
        self.baton = threading.Lock()
        self.baton.acquire()
        self.ticket = 0
        """Counts how often it has waited: who wants to wake it from an earlier wait comes too late."""
        self.woken = False


class Timeline:
    """The clock, and whose turn it is. All methods but `run` and `spawn` are for the threads that it runs."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, _Task | None, int, Callable[[], None] | None]] = []
        self._count = itertools.count()
        self._turn = threading.Lock()
        self._turn.acquire()
        self._current: _Task | None = None
        self._tasks: set[_Task] = set()
        self._over = False
        self._failures: list[BaseException] = []

    def spawn(self, body: Callable[[], object]) -> None:
        """Run something in a thread of its own, from now on."""
        task = _Task()
        before = threading.stack_size(_STACK)
        thread = threading.Thread(target=self._run, args=(task, body), daemon=True)
        try:
            thread.start()
        finally:
            threading.stack_size(before)
        self._tasks.add(task)
        self._push(self.now, task, None)

    def at(self, moment: float, what: Callable[[], None]) -> None:
        """Call something, that does not wait, at a moment."""
        self._push(moment, None, what)

    def sleep(self, seconds: float) -> None:
        """Wait, in the thread that calls."""
        self.park(self.now + seconds)

    def park(self, until: float = math.inf) -> bool:
        """Wait until a moment, or until somebody calls `wake`; whether somebody did."""
        task = self.current
        task.woken = False
        if until < math.inf:
            self._push(until, task, None)
        self._turn.release()
        task.baton.acquire()
        task.ticket += 1
        if self._over:
            raise _Over
        return task.woken

    @property
    def current(self) -> _Task:
        """Whose turn it is, to be given to `wake` later."""
        assert self._current is not None, "only a thread of the timeline can wait"
        return self._current

    def wake(self, task: _Task) -> None:
        """Let a thread that is parked go on, now."""
        ticket = task.ticket

        def resume() -> None:
            if task.ticket == ticket:
                task.woken = True
                self._push(self.now, task, None)

        self.at(self.now, resume)

    def run(self, until: float = math.inf, *, enough: Callable[[], bool] = lambda: False) -> None:
        """Let time go by until a moment, until nothing is left to happen, or until it is `enough`.

        Every thread has ended when this returns; what one of them raised is raised here.
        """
        while self._events and self._events[0][0] <= until and not self._failures and not enough():
            self.now, _, task, ticket, what = heapq.heappop(self._events)
            if what is not None:
                what()
            elif task is not None and task in self._tasks and task.ticket == ticket:
                self._resume(task)
        self._over = True
        for task in list(self._tasks):
            self._resume(task)
        if self._failures:
            raise self._failures[0]

    def _resume(self, task: _Task) -> None:
        self._current = task
        task.baton.release()
        self._turn.acquire()

    def _push(self, moment: float, task: _Task | None, what: Callable[[], None] | None) -> None:
        heapq.heappush(self._events, (moment, next(self._count), task, task.ticket if task else 0, what))

    def _run(self, task: _Task, body: Callable[[], object]) -> None:
        task.baton.acquire()
        task.ticket += 1
        try:
            if not self._over:
                body()
        except _Over:
            pass
        except BaseException as error:  # noqa: BLE001 - told to whoever runs the timeline
            self._failures.append(error)
        finally:
            self._tasks.discard(task)
            self._turn.release()


class Pipe:
    """Bytes a second for all, divided among those who read, `fastest` at most for each.

    `seconds` has, for each whole second in which anything was read, the bytes that were.
    """

    def __init__(self, timeline: Timeline, rate: float, fastest: float = math.inf) -> None:
        self.read = 0.0
        """Bytes so far."""
        self.most = 0
        """Readers at one time."""
        self.seconds: dict[int, float] = {}
        self._timeline = timeline
        self._rate = rate
        self._fastest = fastest
        self._level = 0.0
        self._at = 0.0
        self._readers: dict[_Task, float] = {}
        self._ends: list[tuple[float, int, _Task]] = []
        self._count = itertools.count()
        self._plan = 0

    def transfer(self, amount: float, until: float = math.inf) -> bool:
        """Read so many bytes, in the thread that calls; whether they had all come by a moment."""
        task = self._timeline.current
        self._advance()
        goal = self._level + amount
        self._readers[task] = goal
        self.most = max(self.most, len(self._readers))
        heapq.heappush(self._ends, (goal, next(self._count), task))
        self._next()
        done = self._timeline.park(until)
        if not done:
            self._advance()
            del self._readers[task]
            self._next()
        return done

    def reserve(self, rate: float) -> None:
        """From now on so many bytes a second more (or, below zero, less) go to others."""
        self._advance()
        self._rate -= rate
        self._next()

    def _speed(self) -> float:
        # Who sends events to all leaves a little for lists, however many they are.
        return min(self._fastest, max(self._rate, 1.0) / len(self._readers)) if self._readers else 0.0

    def _advance(self) -> None:
        """What has been read since the last look."""
        now, speed, readers = self._timeline.now, self._speed(), len(self._readers)
        at, self._at = self._at, now
        self._level += (now - at) * speed
        while readers and at < now:
            second = int(at)
            end = min(now, second + 1.0)
            self.seconds[second] = self.seconds.get(second, 0.0) + (end - at) * speed * readers
            self.read += (end - at) * speed * readers
            at = end

    def _next(self) -> None:
        """Say when the next reader has all that he wants."""
        while self._ends and self._readers.get(self._ends[0][2]) != self._ends[0][0]:
            heapq.heappop(self._ends)
        self._plan += 1
        if self._ends:
            plan = self._plan
            moment = self._timeline.now + max(0.0, self._ends[0][0] - self._level) / self._speed()
            self._timeline.at(moment, lambda: self._done(plan))

    def _done(self, plan: int) -> None:
        if plan != self._plan:
            return
        self._advance()
        goal, _, task = heapq.heappop(self._ends)
        # What is left is what floating numbers lose on the way.
        self._level = max(self._level, goal)
        del self._readers[task]
        self._timeline.wake(task)
        self._next()
