"""The stage of the games of `played` and `played_udp`: what both sides of the DNS proxy have in common.

A game has a clock, chance, a loop and a desk of its own, and a kernel that takes lessons when the game says so. Whoever
plays one says how its side is set up, what a move is, and what must be left at the end.
"""

from __future__ import annotations

import abc
import contextlib
import os
import random
import resource
from collections.abc import Callable, Iterable, Iterator
from typing import Self

from outgate.agent.dns_desk import Desk
from outgate.agent.dns_loop import Loop
from outgate.agent.dns_measures import Measures, Result
from outgate.agent.dns_settings import DnsSettings
from outgate.agent.dns_tcp import TcpSide
from outgate.agent.dns_udp import UdpSide
from outgate.proxy import dns
from outgate.proxy.dns import RecordType
from outgate.proxy.learned import Learned
from tests.lab.dns.cast import Asker, Book, Kernel, Log, limits, orders

__all__ = ["HERE", "PATIENCE", "PODS", "Stage", "no_descriptors", "play"]

PATIENCE = 6.0
PODS = ("127.0.0.2", "127.0.0.3")
HERE = "127.0.0.1"
_TURNS = 400
"""Turns of the loop after which it does not come to rest."""


class Stage(abc.ABC):
    """One game. To be entered; `step` plays a move by chance, `end` lets all come to rest and looks what is left."""

    side: TcpSide | UdpSide

    def __init__(self, seed: int, *, denied: int = 5) -> None:
        self.random = random.Random(seed)
        self.now = 1000.0
        self.book = Book(self.random, denied=denied)
        self.askers: list[Asker] = []
        self._incarnation = 0
        self._opens = "x"
        self._keys = {one: f"pod/{one}" for one in PODS}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._set_up(stack)
            self._watched = len(self.loop._ready)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()
        self._stack.close()

    @abc.abstractmethod
    def _set_up(self, stack: contextlib.ExitStack) -> None:
        """Makes the servers and the proxy's side, with `_desk_at`."""

    @abc.abstractmethod
    def _clear(self) -> None:
        """Closes the sockets of pods and servers."""

    @abc.abstractmethod
    def step(self) -> None:
        """A move by chance."""

    @abc.abstractmethod
    def read(self, one: Asker) -> None:
        """A pod reads what has come."""

    @abc.abstractmethod
    def end(self) -> None:
        """Lets all come to rest, and looks at what is left."""

    def _desk_at(self, stack: contextlib.ExitStack) -> Desk:
        """A desk with its loop, its measures and its kernel."""
        self.measures = Measures()
        self.kernel = Kernel(self.book)
        self.loop = stack.enter_context(Loop())
        committer = self.kernel
        learned = Learned(self._clock, limits(self.random))
        self.desk = Desk(learned, committer, self.measures, self._clock, lambda: 0.1, Log())  # type: ignore[arg-type]  # as much of a Committer as a desk needs
        self.desk.follow(orders(self._keys))
        return self.desk

    def _clock(self) -> float:
        return self.now

    def _bounded_questions(self, *choices: tuple[int, int]) -> DnsSettings:
        """Settings with one of these for the most questions, of all and of a pod."""
        of_all, of_a_pod = self.random.choice(choices)
        return DnsSettings(patience=PATIENCE, most_questions=of_all, most_of_a_pod=of_a_pod)

    # ---- moves of the world ----------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Turns the loop until it comes to rest."""
        for _ in range(_TURNS):
            if not self.loop._poll.poll(0):
                return
            self.loop.wait(0)
        raise AssertionError("the loop does not come to rest")

    def _later(self, seconds: float) -> None:
        self.now += seconds
        self.desk.overdue(self.now)
        for one in self.askers:
            one.excused |= self.now - one.began >= PATIENCE
        self.side.tick(self.now)

    def _replace(self, pod: str, *, there: bool) -> None:
        """A pod goes; `there`: another comes that has its address."""
        self._incarnation += 1
        self._keys[pod] = f"pod/{pod}/{self._incarnation}" if there else ""
        for one in self.askers:
            self.read(one)
            if one.pod == pod:
                one.excused = one.gone = True
        self.desk.follow(orders(self._keys, self._opens))

    def _open_by_chance(self) -> None:
        """Rules use another set of names, perhaps."""
        self._opens = self.random.choice("xy")
        self.desk.follow(orders(self._keys, self._opens))

    def _commit(self) -> None:
        """The kernel takes a few lessons, or refuses them."""
        self.kernel.take(self.random.randrange(4), self.random.choice(("", "", "no memory")))
        self.desk.committed()

    def _commit_waiting(self) -> None:
        self.kernel.take(len(self.kernel.waiting))
        self.desk.committed()

    def _commit_all(self) -> None:
        """The kernel takes whatever waits, and holds what it is to."""
        while self.kernel.waiting:
            self._commit_waiting()
        self.kernel.holds(self.desk.learned, self.now, self._keys, self._opens)

    def _no_answer(self, deed: str, asked: bytes, numbers: int) -> bytes:
        """What is no answer to a question; `numbers` are those that a question may have."""
        other = dns.query(self.random.randrange(numbers), "x.a.test", RecordType.A)
        match deed:
            case "stray":
                return bytes((asked[0] ^ 0x80, asked[1])) + self.book.answer(asked, legal=False)[2:]
            case "stranger":
                return self.book.answer(other, legal=False)
            case "other":
                return asked[:2] + self.book.answer(other, legal=False)[2:]
            case "query":
                return asked
        return b"x" if deed == "one" else b""


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """As long as it lasts no descriptor can be had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def play(make: Callable[[int], Stage], seeds: Iterable[int], steps: int) -> None:
    """Plays a game for each seed. All that can become of a question has happened then, and nothing is left open."""
    count = dict.fromkeys(Result, 0)
    before = _descriptors()
    for seed in seeds:
        try:
            with make(seed) as game:
                for _ in range(steps):
                    game.step()
                game.end()
        except AssertionError as error:
            error.add_note(f"in the game of seed {seed}")
            raise
        for result, found in game.measures.results.items():
            count[result] += found
    assert _descriptors() == before
    seen = {result for result, found in count.items() if found}
    assert seen >= {*Result} - {Result.UNKNOWN_POD, Result.NO_SERVER, Result.UNREADABLE}, "all of it has happened"


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
