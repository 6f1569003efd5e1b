"""Lessons into the kernel, by a thread of their own: the kernel may keep one waiting, and questions go on meanwhile.

Every change of nftables of a network namespace waits for every other (nf_tables_api.c, ``commit_mutex``): while the
agent loads a large ruleset, an element waits a quarter of a second, in a system call that nothing interrupts. Answers
wait for so long and no longer (`DnsSettings.deadline`), so somebody else has to sit in that call.

What has come together while one batch was under way goes with the next: under load there are few batches, alone an
answer waits for nobody.

What is to be put in may be refused: it is learnt again with the next answer. What is to be taken out is remembered by
nobody else, and the next pod with the same address would find it open, so it is taken however many wait, and where the
kernel does not take it out it is tried again until it does, or something is put there anew.
"""

from __future__ import annotations

import errno
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from outgate.errors import KernelError
from outgate.host.closing import Closing
from outgate.host.learned_line import LearnedLine
from outgate.host.names_door import Change, NamesDoor, set_name
from outgate.host.netlink import Refused
from outgate.proxy.learned import Lesson
from outgate.proxy.orders import Element

__all__ = ["Committer", "Done", "changes_of"]

_TOGETHER = 512
"""Lessons in one go."""
_MOST = 4096
"""Lessons that wait. When the kernel takes none for so long, more are refused at once."""
_AGAIN = 1.0
"""Seconds until the kernel is told again what to take out, where nothing else comes that goes with it."""


class Done(NamedTuple):
    """A lesson that the kernel has taken, or refused: then `fault` says why."""

    number: int
    lesson: Lesson
    fault: str
    taken: tuple[Element, ...] = ()
    """Of a lesson with a fault, what is in all the same: one set may be missing, and another is not."""


def changes_of(lesson: Lesson) -> Iterator[Change]:
    """The changes that a lesson asks for."""
    for one in lesson.new:
        yield Change(one, lesson.seconds, lesson.sure)
    for one in lesson.gone:
        yield Change(one, 0.0, lesson.sure)


class Committer(Closing):
    """Carries lessons into the kernel of the namespace of the thread that makes it. Readable when some are done.

    What the kernel has taken is said over the `line`, to whoever has to know it before a pod does.
    """

    def __init__(self, door: NamesDoor, line: LearnedLine | None = None) -> None:
        self._door = door
        self._line = line
        self._queue: queue.SimpleQueue[tuple[int, Lesson] | Callable[[], None] | None] = queue.SimpleQueue()
        self._done: deque[Done] = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._numbers = 0
        self._waiting = 0
        self._owed: dict[Element, None] = {}
        """What the kernel was told to take out and has not. The thread's own."""
        self._thread = threading.Thread(target=self._work, name="names", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """For `select` and its like."""
        return self._bell

    def close(self) -> None:
        """Finishes what waits, and ends."""
        self._queue.put(None)
        self._thread.join()
        os.close(self._bell)

    def submit(self, lesson: Lesson) -> int | None:
        """Hands in a lesson and returns its number; None where too many wait: then only what is gone is taken out."""
        if self._waiting >= _MOST and lesson.new:
            if lesson.gone:
                self.submit(lesson.closing)
            return None
        self._numbers += 1
        self._waiting += 1
        self._queue.put((self._numbers, lesson))
        return self._numbers

    def do(self, work: Callable[[], None]) -> None:
        """Has something else done in the thread, in its turn. It must not raise."""
        self._queue.put(work)

    def done(self) -> Iterator[Done]:
        """What has been done since the last call, in its order."""
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            return
        while self._done:
            self._waiting -= 1
            yield self._done.popleft()

    def _work(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=_AGAIN if self._owed else None)
            except queue.Empty:
                self._commit([])
                continue
            if first is None:
                return
            together: list[tuple[int, Lesson]] = []
            item: tuple[int, Lesson] | Callable[[], None] | None = first
            while item is not None:
                if callable(item):
                    item()
                else:
                    together.append(item)
                if len(together) >= _TOGETHER:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if together:
                self._commit(together)
            if item is None:
                return

    def _commit(self, lessons: Sequence[tuple[int, Lesson]]) -> None:
        fault = ""
        failed: Mapping[str, KernelError] = {}
        changes = [Change(one, 0.0) for one in self._owed]
        changes += (change for _, lesson in lessons for change in changes_of(lesson))
        try:
            failed = self._door.put(changes)
        except KernelError as error:
            fault = str(error)
        else:
            taken = [one for _, lesson in lessons for one in lesson.new if set_name(one) not in failed]
            if self._line is not None and taken:
                self._line.tell(taken)
        for change in changes:
            # Of a set that is missing nothing is left.
            if not fault and not _stands(failed.get(set_name(change.element))):
                self._owed.pop(change.element, None)
            elif not change.seconds:
                self._owed[change.element] = None
        for number, lesson in lessons:
            said = fault or next((str(failed[name]) for one in lesson.new if (name := set_name(one)) in failed), "")
            some = tuple(one for one in lesson.new if said and not fault and set_name(one) not in failed)
            self._done.append(Done(number, lesson, said, some))
        os.eventfd_write(self._bell, 1)


def _stands(error: KernelError | None) -> bool:
    """Whether there is still what should have been taken out of a set that the kernel has said this about."""
    return error is not None and not (isinstance(error, Refused) and error.number == errno.ENOENT)
