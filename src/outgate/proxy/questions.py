"""The questions that are open: what was sent on, under which number, and who waits for the answer.

An answer is believed if it comes over the channel (a socket that speaks with one server, from a port that the kernel
drew) under the number that was drawn for its question, and repeats the question. A stranger who cannot see the packets
has to guess number and port; what he sends meanwhile is counted and changes nothing.

The table is bounded, for all pods and for each, so that one that asks without end keeps no other from asking. A pod's
question that finds no room is dropped: it asks again, as if the packet had been lost. No clock is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from outgate.proxy.glance import Asked
from outgate.proxy.orders import Pod

__all__ = ["Granted", "OpenQuestions", "Question"]

Client = TypeVar("Client")


class Granted(msgspec.Struct, eq=False):
    """A question that may be passed on, however often it is asked; and what is known of its answer."""

    pod: Pod
    asked: Asked
    door: int = 0
    """The traffic class under which it goes."""
    answer: bytes = b""
    """The last one, but for its number: the same teaches nothing `until` then, in the `era` of what is learned."""
    era: int = 0
    until: float = 0.0


class Question(msgspec.Struct, Generic[Client], frozen=True):
    """A question that was sent on."""

    granted: Granted
    number: int
    """Under which the pod asked."""
    client: Client
    """Where its answer goes."""
    began: float
    deadline: float


class OpenQuestions(Generic[Client]):
    """At most `limit` questions, of each pod at most `of_a_pod`. `draw` gives numbers below 65536 as by chance."""

    def __init__(self, draw: Callable[[], int], *, limit: int = 8192, of_a_pod: int = 512) -> None:
        self._draw = draw
        self._limit = limit
        self._of_a_pod = of_a_pod
        self._open: dict[int, Question[Client]] = {}
        """By channel and number, in one integer; all wait equally long, so the first stands first."""
        self._pods: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def has_room(self, pod: str) -> bool:
        """Whether a question of a pod has room: to be asked before anything is opened for it, and before `add`."""
        return len(self._open) < self._limit and self._pods.get(pod, 0) < self._of_a_pod

    def add(self, channel: int, question: Question[Client]) -> int:
        """The number under which to send a question over a channel."""
        # A channel never has so many open that no number is free: the limit is an eighth of all.
        while (key := channel << 16 | (number := self._draw())) in self._open:
            pass
        self._open[key] = question
        pod = question.granted.pod.key
        self._pods[pod] = self._pods.get(pod, 0) + 1
        return number

    def find(self, channel: int, number: int) -> Question[Client] | None:
        """The question of that number, which stays open: what came may be forged."""
        return self._open.get(channel << 16 | number)

    def close(self, channel: int, number: int) -> None:
        """It has been answered."""
        self._forget(channel << 16 | number)

    def end(self, is_over: Callable[[Question[Client]], bool]) -> None:
        """Ends those of which this is true. What comes for them is under a number that nobody waits for."""
        for key in [key for key, one in self._open.items() if is_over(one)]:
            self._forget(key)

    def close_channel(self, channel: int) -> list[Question[Client]]:
        """Ends a channel, and says which questions are now without an answer."""
        keys = [key for key in self._open if key >> 16 == channel]
        return [self._forget(key) for key in keys]

    def expired(self, now: float) -> Iterator[tuple[int, Question[Client]]]:
        """Ends what has waited too long, with its channel."""
        while self._open:
            key = next(iter(self._open))
            if self._open[key].deadline > now:
                return
            yield key >> 16, self._forget(key)

    def _forget(self, key: int) -> Question[Client]:
        question = self._open.pop(key)
        pod = question.granted.pod.key
        left = self._pods[pod] - 1
        if left:
            self._pods[pod] = left
        else:
            del self._pods[pod]
        return question
