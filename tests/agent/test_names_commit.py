"""Lessons reach the kernel in their order, together where they can, and each hears what became of it."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterable, Mapping

import pytest

from outgate.agent import names_commit
from outgate.agent.names_commit import Committer, Done, changes_of
from outgate.errors import KernelError
from outgate.host.names_door import Change, NamesDoor
from outgate.proxy.learned import Lesson
from outgate.proxy.orders import Element


class Door(NamesDoor):
    """A kernel that notes what it is told, does without the sets `missing`, and refuses all while it is `broken`."""

    def __init__(self) -> None:
        self.batches: list[list[Change]] = []
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()
        self.broken = False
        self.missing: set[str] = set()

    def put(self, changes: Iterable[Change]) -> Mapping[str, KernelError]:
        """As the real one, without a kernel."""
        self.entered.set()
        assert self.free.wait(30)
        self.batches.append(list(changes))
        if self.broken:
            raise KernelError("it is broken")
        return {name: KernelError(f"{name} is missing") for name in self.missing}


def lesson(last: int, *, wanted: str = "a", gone: int | None = None) -> Lesson:
    """One element in, another out."""
    out = () if gone is None else (Element(wanted, b"\x0a\1\0\1", bytes((203, 0, 113, gone))),)
    return Lesson((Element(wanted, b"\x0a\1\0\1", bytes((203, 0, 113, last))),), out, 60.0)


def heard(committer: Committer, count: int) -> list[Done]:
    """So many, waited for as the loop does."""
    found: list[Done] = []
    while len(found) < count:
        assert select.select([committer], [], [], 30)[0]
        found += committer.done()
    return found


def test_a_lesson_is_its_changes() -> None:
    """What goes in with its time, and what goes out."""
    assert [(one.element.address[3], one.seconds) for one in changes_of(lesson(1, gone=2))] == [(1, 60.0), (2, 0.0)]


def test_what_comes_while_the_kernel_is_busy_goes_together() -> None:
    """In its order, with the numbers that were given."""
    door = Door()
    door.free.clear()
    with Committer(door) as committer:
        numbers = [committer.submit(lesson(1))]
        assert door.entered.wait(30)
        numbers += [committer.submit(lesson(last)) for last in range(2, 6)]
        door.free.set()
        done = heard(committer, 5)
        assert [one.number for one in done] == numbers
        assert list(committer.done()) == []
    assert [[one.element.address[3] for one in batch] for batch in door.batches] == [[1], [2, 3, 4, 5]]


def test_a_refusal_is_told_to_whom_it_concerns() -> None:
    """One set that is missing is no fault of a lesson about another; that nothing could be taken out is none either."""
    door = Door()
    door.missing = {"f4_b"}
    with Committer(door) as committer:
        for one in (lesson(1), lesson(2, wanted="b"), Lesson(gone=lesson(3, wanted="b").new)):
            committer.submit(one)
        assert [one.fault for one in heard(committer, 3)] == ["", "f4_b is missing", ""]
        door.broken = True
        committer.submit(lesson(1))
        assert heard(committer, 1)[0].fault == "it is broken"
        door.broken = False
        committer.submit(lesson(1))
        assert heard(committer, 1)[0].fault == "", "it goes on"


def test_too_many_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that takes nothing must not fill the memory."""
    monkeypatch.setattr(names_commit, "_MOST", 3)
    door = Door()
    door.free.clear()
    with Committer(door) as committer:
        numbers = [committer.submit(lesson(1)) for _ in range(5)]
        assert numbers[3:] == [None, None]
        door.free.set()
        heard(committer, 3)
        assert committer.submit(lesson(1)) is not None


def test_at_the_end_everything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also other work, in its turn; and a batch is no longer than it may be."""
    monkeypatch.setattr(names_commit, "_TOGETHER", 2)
    door = Door()
    door.free.clear()
    order: list[int] = []
    committer = Committer(door)
    for last in range(1, 6):
        committer.submit(lesson(last))
    committer.do(lambda: order.append(len(door.batches)))
    door.free.set()
    committer.close()
    assert sum(map(len, door.batches)) == 5
    assert max(map(len, door.batches)) <= 2
    assert len(order) == 1
