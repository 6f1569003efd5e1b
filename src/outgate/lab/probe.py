"""The engine: sends every probe, waits as long as it must and no longer, and says what came back.

A denied packet is dropped, so nothing comes back, and nothing can only be seen by waiting. How long, is not guessed:
all probes of a round go out together; the round ends when every answer that is expected has come and then
a grace has passed in which anything else could have come too: 0.4 s, or five times the slowest answer seen. An
answer that is expected and does not come is waited for until a deadline, and asked for once more in a
second round before it counts. An answer that is not expected counts at once.

Datagrams and crafted packets may be lost, so they are repeated while nothing has come; TCP repeats by itself. Not
more than a window of probes is under way at any moment, so that answers are never slow for our own sake.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from outgate.host.descriptors import raise_descriptor_limit
from outgate.lab import sctp, wire
from outgate.lab.answers import Answers
from outgate.lab.attempt import Attempt, Observation, Outcome
from outgate.lab.plan import Probe
from outgate.packets import Address, Protocol

__all__ = ["Engine", "capacity"]

GRACE = 0.4
GRACE_FACTOR = 5
PATIENCE = 6.0
"""Seconds without any news after which what is missing is given up for the round."""

WINDOW = 512
_YOUNG = 0.02
"""Probes under way, counted while they are younger than so many seconds and unanswered."""

MOST_SOCKETS = 16_384
_SPARE = 64
_BATCH = 64

Progress = Callable[[int, int], None]


def capacity(limit: int, in_use: int) -> int:
    """How many probes may be open at once: each may hold the client's socket, one for a name, and the server's."""
    return max(8, min(MOST_SOCKETS, (limit - in_use - _SPARE) // 3))


class Engine:
    """Runs probes through the servers of a lab. One thread, one loop."""

    def __init__(self, answers: Answers, *, patience: float = PATIENCE, room: int | None = None) -> None:
        self.answers = answers
        self.patience = patience
        self.room = capacity(raise_descriptor_limit(), _descriptors()) if room is None else room
        """How many probes may be open at once."""
        self._nonce = (secrets.randbits(32) | 1).to_bytes(4, "big")
        self._count = itertools.count(1)
        self._found: dict[int, Observation] = {}
        self._queue: deque[Probe] = deque()
        self._open: dict[bytes, Attempt] = {}
        self._young: deque[Attempt] = deque()
        self._repeats: deque[Attempt] = deque()
        self._echoed: list[Attempt] = []
        self._missing = 0
        self._slowest = 0.0
        self._last = 0.0
        answers.on_sctp = self._sctp_answer
        answers.on_echo = self._echo_answer

    def run(self, probes: Sequence[Probe], progress: Progress = lambda _, __: None) -> tuple[Observation, ...]:
        """What came of each probe, in their order. `progress` is told how many of how many are done.

        Raises:
            KernelError: a socket could not be made.
        """
        self._found.clear()
        for probe in probes:
            if probe.protocol in (Protocol.SCTP, Protocol.ICMP, Protocol.ICMPV6):
                for box in (probe.box, *(party.box for party in probe.parties)):
                    self.answers.open_raw(box, probe.protocol, probe.source.address.version)
        self._round(probes, 1, progress)
        silent = (one for one in probes if self._found[one.number].outcome is Outcome.SILENT)
        again = [one for one in silent if one.verdict.allows and not one.prompt]
        self._round(again, 2, progress)
        return tuple(self._found[one.number] for one in probes)

    def _round(self, probes: Sequence[Probe], number: int, progress: Progress) -> None:
        # Those of one box follow each other: their sockets are made on one visit there.
        self._queue.extend(sorted(probes, key=lambda one: one.box))
        self._missing, self._slowest, self._last = 0, 0.0, time.monotonic()
        while self._queue or self._open:
            now = time.monotonic()
            sent = self._fill_window(now, number)
            self._repeat(now)
            self.answers.loop.turn(0.0 if sent else self._pause(now))
            self._judge_echoes()
            if (not self._queue or len(self._open) >= self.room) and self._settled(time.monotonic()):
                self._retire()
            progress(len(probes) - len(self._queue) - len(self._open), len(probes))

    def _fill_window(self, now: float, number: int) -> bool:
        """Sends as many probes as there is room for; whether there were any."""
        while self._young and (self._young[0].over or now - self._young[0].started > _YOUNG):
            self._young.popleft()
        most = min(WINDOW - len(self._young), self.room - len(self._open), _BATCH)
        if most <= 0 or not self._queue:
            return False
        launched = self._launch(most, number)
        self._young.extend(launched)
        self._repeats.extend(one for one in launched if one.repeats)
        self._last = time.monotonic()
        return True

    def _launch(self, most: int, number: int) -> list[Attempt]:
        """Sends the next probes that come from one box."""
        box = self._queue[0].box
        launched: list[Attempt] = []
        with self.answers.boxes[box].space.enter():
            while self._queue and len(launched) < most and self._queue[0].box == box:
                count = next(self._count)
                token = self._nonce + count.to_bytes(4, "big")
                attempt = Attempt(self, self._queue.popleft(), token, count, number)
                attempt.make_sockets()
                self._open[token] = attempt
                self._missing += attempt.awaited
                launched.append(attempt)
        for attempt in launched:
            attempt.send()
        return launched

    def _repeat(self, now: float) -> None:
        """Sends once more what may have been lost."""
        while self._repeats and (self._repeats[0].over or self._repeats[0].next_send <= now):
            attempt = self._repeats.popleft()
            if not attempt.over and attempt.repeats:
                attempt.send()
                self._repeats.append(attempt)

    def _pause(self, now: float) -> float:
        """For how long nothing but an event can be next."""
        if self._queue or self._echoed:
            return _YOUNG / 8
        until = self._last + self._wait()
        return min(until, self._repeats[0].next_send) - now if self._repeats else until - now

    def _wait(self) -> float:
        """Seconds without news after which nothing more will come."""
        if self._missing:
            return self.patience
        return min(max(GRACE, GRACE_FACTOR * self._slowest), self.patience)

    def _settled(self, now: float) -> bool:
        return now - self._last >= self._wait()

    def _retire(self) -> None:
        """Gives up everything that is open."""
        for attempt in tuple(self._open.values()):
            attempt.give_up()
        self._echoed.clear()

    def news(self, attempt: Attempt) -> None:
        """An attempt has heard something: the clock of the round starts anew."""
        self._last = time.monotonic()
        self._slowest = max(self._slowest, self._last - attempt.started)

    def expect(self, more: int) -> None:
        """So many answers more, or less, are expected than before."""
        self._missing += more

    def finish(self, attempt: Attempt, observation: Observation) -> None:
        """An attempt is over."""
        self._found[attempt.probe.number] = observation
        del self._open[attempt.token]

    def _sctp_answer(self, packet: sctp.InitAck, sender: Address) -> None:
        attempt = self._open.get(packet.token)
        answer = wire.Answer.unpacked(packet.cookie)
        if attempt is not None and answer is not None and sender == attempt.probe.address:
            attempt.answered(answer.box, answer.port, answer.seen)

    def _echo_answer(self, token: bytes, sender: Address) -> None:
        """Notes an echo reply. The kernel sends it without saying who it is, but the box that saw the request is known.

        The copy of the request may be read after the reply, though it came before it: judgement waits for a turn.
        """
        attempt = self._open.get(token)
        if attempt is not None and sender == attempt.probe.address and not attempt.echoed:
            attempt.echoed = True
            self._echoed.append(attempt)

    def _judge_echoes(self) -> None:
        waiting, self._echoed = self._echoed, []
        for attempt in waiting:
            box = self.answers.arrived.get(attempt.token)
            if box is not None:
                attempt.answered(self.answers.boxes[box].number, 0, None)
            elif not attempt.over:
                self._echoed.append(attempt)


def _descriptors() -> int:
    """The open files of this process."""
    with os.scandir(Path("/proc/self/fd")) as entries:
        return sum(1 for _ in entries)
