"""Lessons reach the kernel in their order, together where they can, and each hears what became of it."""

from __future__ import annotations

import errno
import select
import threading
from collections.abc import Iterable, Mapping

import pytest

from outgate.agent import names_commit
from outgate.agent.names_commit import Committer, Done, changes_of
from outgate.errors import KernelError
from outgate.host.names_door import Change, NamesDoor
from outgate.host.netlink import Refused
from outgate.proxy.learned import Lesson
from outgate.proxy.orders import Element
from tests.agent.test_dns_udp import until


class Door(NamesDoor):
    """A kernel that notes what it is told, does without the sets `missing`, and refuses all while it is `broken`."""

    def __init__(self) -> None:
        self.batches: list[list[Change]] = []
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()
        self.broken = False
        self.missing: set[str] = set()
        self.error: KernelError | None = None

    def put(self, changes: Iterable[Change]) -> Mapping[str, KernelError]:
        """As the real one, without a kernel."""
        self.entered.set()
        assert self.free.wait(30)
        self.batches.append(list(changes))
        if self.broken:
            raise KernelError("it is broken")
        return {name: self.error or KernelError(f"{name} is missing") for name in self.missing}


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


def test_what_is_to_be_taken_out_is_taken_out_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody remembers it but the kernel, which would let the next pod with that address through."""
    monkeypatch.setattr(names_commit, "_AGAIN", 0.01)
    door = Door()
    gone = Lesson(gone=lesson(7).new)
    with Committer(door) as committer:
        door.broken = True
        committer.submit(gone)
        committer.submit(Lesson(gone=lesson(8).new))
        heard(committer, 2)
        # What is put there anew stays; the other is taken out although nothing else comes.
        door.broken = False
        committer.submit(lesson(8))
        until(lambda: not committer._owed)
    last = {one.element.address[3]: one.seconds for batch in door.batches for one in batch}
    assert last == {7: 0.0, 8: 60.0}


def test_of_a_set_that_is_missing_nothing_has_to_be_taken_out() -> None:
    """The agent has taken the set away: to try for ever would be in vain. What was refused otherwise is tried again."""
    door = Door()
    door.missing = {"f4_a"}
    with Committer(door) as committer:
        for number, owed in ((errno.ENOENT, 0), (errno.ENOMEM, 1)):
            door.error = Refused("no", number)
            committer.submit(Lesson(gone=lesson(7).new))
            heard(committer, 1)
            assert len(committer._owed) == owed
        door.missing = set()


def test_what_is_gone_is_taken_out_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is refused to put something in its place."""
    monkeypatch.setattr(names_commit, "_MOST", 2)
    door = Door()
    door.free.clear()
    with Committer(door) as committer:
        assert [committer.submit(lesson(last)) is None for last in range(3)] == [False, False, True]
        assert committer.submit(lesson(4, gone=5)) is None
        assert committer.submit(Lesson(gone=lesson(6).new)) is not None
        door.free.set()
        heard(committer, 4)
    told = [(one.element.address[3], one.seconds) for batch in door.batches for one in batch]
    assert told == [(0, 60.0), (1, 60.0), (5, 0.0), (6, 0.0)]
