"""What is large, slow, or asked for in vain is asked for less often: against a server whose every answer is written."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

from outgate.cluster.access import Access, Credentials
from outgate.cluster.events import Event, Replaced
from outgate.cluster.lists import RESTARTS
from outgate.cluster.stream import Answer, CutError
from outgate.cluster.watch import UNFINISHED, Pace, Reflector, Subscription
from tests.cluster.watched import pod

GONE = b'{"type":"ERROR","object":{"code":410,"message":"too old resource version"}}'
CUT = b""
"""In a script: the connection is cut here."""


def bookmark(*, initial: bool = False) -> bytes:
    """A bookmark, that of the end of a state where `initial`."""
    annotations = {"k8s.io/initial-events-end": "true"} if initial else {}
    metadata = {"resourceVersion": "7", "annotations": annotations}
    return json.dumps({"type": "BOOKMARK", "object": {"metadata": metadata}}).encode()


def added(name: str) -> bytes:
    """A pod that is new."""
    return json.dumps({"type": "ADDED", "object": {**pod(name), "resourceVersion": "6"}}).encode()


Query = Mapping[str, str]
Says = Callable[["Script", Query], Iterator[float | bytes] | Answer]


class Script:
    """A server, the clock that it moves, and how the one who asks it waits.

    `answer` gives what follows a request: seconds to pass, or a line to say; or a whole answer.
    """

    def __init__(self, answer: Says, rounds: int) -> None:
        self.access = Access("cluster:test", urlsplit("http://x.invalid"), Credentials)
        self.now = 0.0
        self.waits: list[float] = []
        self.asked: list[Query] = []
        self.patience: list[float] = []
        self.events: list[Event] = []
        self._answer = answer
        self._rounds = rounds

    def run(self, dice: random.Random | None = None) -> Self:
        """Follow pods until so many requests have been made, with pauses of the greatest length by default."""
        client: Any = self
        Reflector(
            client,
            Subscription("Pod"),
            self.events.append,
            wait=self._wait,
            stopped=lambda: len(self.asked) >= self._rounds,
            pace=Pace(start=0.0),
            clock=lambda: self.now,
            dice=dice or _Most(),
        ).run()
        return self

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def once(self, _path: str, query: Query, *, seconds: float = 0.0) -> Answer:  # noqa: ARG002 - as the client
        """A page, or how far the server is: as far as it is asked."""
        if query.get("resourceVersionMatch") == "NotOlderThan":
            return Answer(200, b'{"metadata":{"resourceVersion":"7"},"items":[]}')
        self.asked.append(query)
        answer = self._answer(self, query)
        assert isinstance(answer, Answer)
        return answer

    def open(self, _path: str, query: Query, *, seconds: float, head: float) -> _Answering:
        """A watch."""
        self.asked.append(query)
        self.patience += [seconds, head]
        answer = self._answer(self, query)
        assert not isinstance(answer, Answer)
        return _Answering(self, answer)


class _Answering:
    status = 200

    def __init__(self, script: Script, answer: Iterator[float | bytes]) -> None:
        self._script = script
        self._answer = answer
        self.received = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def within(self, seconds: float) -> None:
        self._script.patience.append(seconds)

    def lines(self) -> Iterator[bytes]:
        for one in self._answer:
            if isinstance(one, bytes):
                if one == CUT:
                    raise CutError("cut")
                yield one
            else:
                self._script.now += one


class _Most(random.Random):
    """Throws the most."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


def test_a_streaming_list_has_time_while_something_comes() -> None:
    """In all a day, which the server is told; from line to line a minute and a half; and then the time of a watch."""

    def answer(_: Script, __: Query) -> Iterator[float | bytes]:
        yield from (50.0, added("a"), 50.0, added("b"), 50.0, bookmark(initial=True), 20.0, bookmark())

    script = Script(answer, 1).run()
    assert script.asked[0]["timeoutSeconds"] == "86400"
    assert script.patience == [86_430.0, 60.0, *[90.0] * 4, 600.0]
    assert [len(one.objects) for one in script.events if isinstance(one, Replaced)] == [2]


def test_such_a_watch_is_left_after_a_time_of_its_own() -> None:
    """Agents that got their state at one time do not come back at one time."""

    def answer(_: Script, __: Query) -> Iterator[float | bytes]:
        yield bookmark(initial=True)

    left = {Script(answer, 1).run(random.Random(seed)).patience[-1] for seed in range(20)}
    assert len(left) == 20
    assert all(300.0 <= seconds <= 600.0 for seconds in left)


def in_vain(seconds: float) -> Says:
    """A server that takes long for the state, ends its stream at once, and has then forgotten its version."""

    def answer(_: Script, query: Query) -> Iterator[float | bytes]:
        if "resourceVersion" in query:
            yield GONE
        else:
            yield from (seconds, bookmark(initial=True))

    return answer


def test_a_state_that_was_for_nothing_is_asked_for_ever_later() -> None:
    """kubernetes/kubernetes#134837: from 60 000 pods on, servers close the watch that follows a long list at once, and
    take no other from its version. Who begins anew at once reads without end, and keeps others from finishing.
    """
    script = Script(in_vain(100.0), 20).run()
    pauses = script.waits[2::2]
    # Beside it grows what is waited after any failure, to half a minute.
    grown = [round(pause / 100.0) for pause in pauses]
    assert grown[:5] == [1, 2, 4, 8, 16]
    assert all(pause <= Pace().rarest + Pace().longest for pause in pauses)
    assert pauses[-1] >= Pace().rarest


def test_a_small_state_is_asked_for_soon() -> None:
    """Where a list takes a moment, nothing is won by waiting."""
    script = Script(in_vain(0.1), 10).run()
    assert all(pause <= Pace().relist + Pace().longest for pause in script.waits)


def test_a_healthy_watch_ends_the_growth() -> None:
    """What was forgotten once in a day is asked for as if for the first time."""
    lists = 0

    def answer(_: Script, query: Query) -> Iterator[float | bytes]:
        nonlocal lists
        if "resourceVersion" in query:
            if lists % 3 == 0:
                yield from (3600.0, bookmark())
            yield GONE
        else:
            lists += 1
            yield from (100.0, bookmark(initial=True))

    script = Script(answer, 19).run()
    pauses = [round(pause / 100) for pause in script.waits if pause > 50]
    assert pauses[:6] == [1, 2, 1, 2, 4, 1]


def test_a_stream_that_ends_with_its_state_is_not_healthy() -> None:
    """However long the state took: a server that ends every watch at once must not be asked without a pause."""

    def answer(script: Script, _: Query) -> Iterator[float | bytes]:
        yield from (500.0, bookmark(initial=True)) if len(script.asked) == 1 else ()

    script = Script(answer, 4).run()
    assert script.waits[1:4] == [0.8, 1.6, 3.2]
    assert [type(one) for one in script.events] == [Replaced]


@pytest.mark.parametrize("seconds", [1.0, 200.0])
def test_pages_that_expire_are_begun_again_after_a_pause(seconds: float) -> None:
    """As long as they took at the least; in one piece at last, and if that fails, in pages again."""

    def answer(script: Script, query: Query) -> Iterator[float | bytes] | Answer:
        if "watch" in query:
            return iter((CUT,))
        script.now += seconds
        if "continue" in query:
            return Answer(410, b"{}")
        if "limit" not in query:
            return Answer(503, b"{}")
        return Answer(200, b'{"metadata":{"resourceVersion":"5","continue":"x"},"items":[]}')

    rounds = UNFINISHED + 4 * RESTARTS + 2
    script = Script(answer, rounds).run()
    pages = ["page" if "limit" in query else "whole" for query in script.asked[UNFINISHED:]]
    assert pages == [*["page"] * (2 * RESTARTS), "whole", *["page"] * (2 * RESTARTS), "whole"]
    forgotten = [pause for number, pause in enumerate(script.waits[1 + UNFINISHED :], 1) if number % (RESTARTS + 1)]
    assert len(forgotten) == 2 * RESTARTS
    assert all(pause >= 2 * seconds for pause in forgotten)


def test_failures_of_another_kind_change_nothing_about_pages() -> None:
    """A server that is ill has not forgotten anything: to ask it for all at once would not make it better."""

    def answer(_: Script, query: Query) -> Iterator[float | bytes] | Answer:
        return iter((CUT,)) if "watch" in query else Answer(503, b"{}")

    script = Script(answer, 12).run()
    assert all("limit" in query for query in script.asked[UNFINISHED:])
