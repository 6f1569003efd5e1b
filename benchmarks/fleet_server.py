"""An API server on paper, for thousands of real reflectors in virtual time: what it sends, refuses and forgets.

Objects are not kept and hardly any is sent: a list costs its bytes, divided among all who read (`benchmarks.virtual`),
and then tells of one pod. What the servers of a large cluster are known for is said by `Terms`:

    history      a watch from a version that is older than what is remembered is answered with 410
    closing      a watch whose streaming list took long is ended as soon as that is complete, because the changes since
                 did not fit into its buffer: "the API server always closes the watch almost immediately after
                 receiving the initial-events-end BOOKMARK", kubernetes/kubernetes#134837
    seats        lists that are answered at one time; others wait in a queue, and are then refused with 429 (API
                 Priority and Fairness, as a whole: flows are not told apart)
    token        a list in pages that takes longer than etcd keeps a version cannot go on (410)

A watch costs the events of all pods from its beginning to its end, which is what lists cannot have.
"""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from benchmarks.virtual import Pipe, Timeline
from outgate.cluster.access import Access, Credentials
from outgate.cluster.stream import Answer, CutError
from outgate.errors import ClusterError

__all__ = ["Door", "FleetServer", "Terms"]

TIMEOUT = 60.0
"""Seconds for one whole answer, as `outgate.cluster.client.Client` has it."""
BUFFERED = 1000
"""Changes that wait for a watch whose streaming list is not done."""
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Terms:
    """The cluster, and what its API servers can do, all of them together."""

    pods: int = 150_000
    pod_bytes: int = 8_000
    writes: float = 8.0
    """Writes in the life of a pod, and how long that is in days."""
    days: float = 1.0
    bandwidth: float = 1e9
    """Bytes a second that leave the API servers for agents."""
    reader: float = 110e6
    """Bytes a second that one agent can take in."""
    history: float = 75.0
    closing: bool = False
    seats: int = 0
    """0: no list ever waits."""
    queue: float = 15.0
    token: float = 300.0

    @property
    def list_bytes(self) -> float:
        """Of all pods."""
        return float(self.pods * self.pod_bytes)

    @property
    def events(self) -> float:
        """A second, for each who watches."""
        return self.pods * self.writes / (self.days * DAY)


class FleetServer:
    """What all agents ask. `away` are the times, from and to, at which nobody answers. After one, it is another server
    that remembers nothing from before, unless it `remembers`. Until `free` lists cost nothing.
    """

    def __init__(
        self,
        timeline: Timeline,
        terms: Terms,
        away: tuple[tuple[float, float], ...] = (),
        *,
        remembers: bool = False,
        free: float = 0.0,
    ) -> None:
        self.timeline = timeline
        self.terms = terms
        self.pipe = Pipe(timeline, terms.bandwidth, terms.reader)
        self.requests: Counter[int] = Counter()
        """By second, those that were refused a connection among them."""
        self.lists: Counter[int] = Counter()
        """Lists that were begun, by second."""
        self.refused = 0
        """Answers of 429."""
        self.forgotten = 0
        """Answers of 410."""
        self.watching: dict[int, float] = {}
        """When each agent watched what changes, the first time."""
        self._away = away
        self._remembers = remembers
        self._free = free
        self._seats = terms.seats or math.inf
        self._waiting: deque[object] = deque()

    def door(self, number: int) -> Door:
        """The client of one agent."""
        return Door(self, number)

    @property
    def is_away(self) -> bool:
        """Whether nobody answers now."""
        return any(begin <= self.timeline.now < end for begin, end in self._away)

    def cut_at(self) -> float:
        """When the connections of now are cut."""
        return min((begin for begin, _ in self._away if begin >= self.timeline.now), default=math.inf)

    def knows(self, version: int) -> bool:
        """Whether it remembers what came after a version: versions are milliseconds here."""
        now = self.timeline.now
        begun = max((end for _, end in self._away if end <= now), default=0.0) if not self._remembers else 0.0
        # Nothing is forgotten while nobody writes.
        away = sum(min(end, now) - begin for begin, end in self._away if begin * 1000 >= version and end <= now)
        return version >= begun * 1000 and now - version / 1000 - away <= self.terms.history

    def send(self, amount: float, until: float) -> bool:
        """Send so many bytes of a list; whether they had come by a moment."""
        return self.timeline.now < self._free or self.pipe.transfer(amount, until)

    def seat(self) -> bool:
        """Wait for a turn to be sent a list; whether it came."""
        if self._seats > 0:
            self._seats -= 1
            return True
        me = self.timeline.current
        self._waiting.append(me)
        if self.timeline.park(self.timeline.now + self.terms.queue):
            return True
        self._waiting.remove(me)
        self.refused += 1
        return False

    def leave(self) -> None:
        """Give the turn to whoever waits the longest."""
        if self._waiting:
            self.timeline.wake(self._waiting.popleft())  # type: ignore[arg-type]  # what `current` gave
        else:
            self._seats += 1


class Door:
    """What a `Reflector` asks of a `Client`, and nothing more."""

    def __init__(self, server: FleetServer, number: int) -> None:
        self.access = Access(f"agent {number}", urlsplit("http://fleet.invalid"), Credentials)
        self._server = server
        self._number = number

    def renew(self) -> bool:
        """There are no other credentials."""
        return False

    def once(self, path: str, query: Mapping[str, str], *, seconds: float = 0.0) -> Answer:  # noqa: ARG002 - as the client
        """A page of a list, or all of it; or one object, to hear how far the server is."""
        server, terms = self._asked(path), self._server.terms
        if query.get("resourceVersionMatch") == "NotOlderThan":
            body = json.dumps({"metadata": {"resourceVersion": query["resourceVersion"]}, "items": [_POD]})
            return Answer(200, body.encode())
        now = server.timeline.now
        first, version = map(int, query["continue"].split("/")) if "continue" in query else (0, int(now * 1000))
        if now - version / 1000 > terms.token:
            server.forgotten += 1
            return Answer(410, b"")
        server.lists[int(now)] += first == 0
        if not server.seat():
            return Answer(429, b"", "1")
        try:
            count = min(int(query.get("limit", terms.pods)), terms.pods - first)
            if not server.send(count * terms.pod_bytes, min(now + TIMEOUT, server.cut_at())):
                raise ClusterError("no answer in time")
        finally:
            server.leave()
        following = f"{first + count}/{version}" if first + count < terms.pods else ""
        metadata = {"resourceVersion": str(version), "continue": following}
        return Answer(200, json.dumps({"metadata": metadata, "items": [] if first else [_POD]}).encode())

    def open(self, path: str, query: Mapping[str, str], *, seconds: float, head: float) -> Answering:
        """A watch, from a version or from the beginning."""
        server = self._asked(path)
        assert head >= server.terms.queue, "nobody hangs up in the queue"
        if "sendInitialEvents" in query:
            server.lists[int(server.timeline.now)] += 1
            if not server.seat():
                return Answering(server, self._number, query, seconds, status=429)
            return Answering(server, self._number, query, seconds, seated=True)
        return Answering(server, self._number, query, seconds)

    def _asked(self, path: str) -> FleetServer:
        server = self._server
        assert path == "/api/v1/pods", "of other kinds there is little"
        server.requests[int(server.timeline.now)] += 1
        if server.is_away:
            raise ClusterError("nobody listens")
        return server


class Answering:
    """What a `Reflector` asks of a `Stream`."""

    def __init__(
        self,
        server: FleetServer,
        number: int,
        query: Mapping[str, str],
        seconds: float,
        *,
        status: int = 200,
        seated: bool = False,
    ) -> None:
        self.status = status
        self.received = server.timeline.now
        self._server = server
        self._number = number
        self._query = query
        self._end = self.received + float(query["timeoutSeconds"])
        self._patience = self.received + seconds
        self._cut = server.cut_at()
        self._seated = seated
        self._listing = "sendInitialEvents" in query

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def within(self, seconds: float) -> None:
        """From now on, the rest may take so long. While a list comes, something always does."""
        self._patience = self._server.timeline.now + seconds if not self._listing else math.inf

    def answer(self) -> Answer:
        """Of a refusal."""
        return Answer(self.status, b"", "1")

    def lines(self) -> Iterator[bytes]:
        """All that comes, in virtual time."""
        server, timeline = self._server, self._server.timeline
        if self._listing:
            version, begun = int(timeline.now * 1000), timeline.now
            if not server.send(server.terms.list_bytes, min(self._end, self._patience, self._cut)):
                self._stopped()
                return
            self._leave()
            self._listing = False
            yield _line("ADDED", _POD)
            yield _bookmark(version, initial=True)
            if server.terms.closing and (timeline.now - begun) * server.terms.events > BUFFERED:
                return
        elif not server.knows(int(self._query["resourceVersion"])):
            server.forgotten += 1
            yield _line("ERROR", {"code": 410})
            return
        yield from self._changes()

    def _changes(self) -> Iterator[bytes]:
        timeline, terms = self._server.timeline, self._server.terms
        cost = terms.events * terms.pod_bytes
        self._server.watching.setdefault(self._number, timeline.now)
        self._server.pipe.reserve(cost)
        try:
            timeline.park(min(self._end, self._patience, self._cut))
            # The events themselves are left out; what they say in the end is the newest version.
            yield _bookmark(int(timeline.now * 1000), initial=False)
        finally:
            self._server.pipe.reserve(-cost)
        self._stopped()

    def _stopped(self) -> None:
        """Raises CutError unless it is the server that has said so, at the end of the time it was given."""
        if self._server.timeline.now < self._end:
            raise CutError("the connection is gone")

    def _leave(self) -> None:
        seated, self._seated = self._seated, False
        if seated:
            self._server.leave()


_POD = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "1", "resourceVersion": "1"},
    "spec": {"nodeName": "a", "containers": [{"name": "c"}]},
    "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]},
}


def _line(kind: str, value: object) -> bytes:
    return json.dumps({"type": kind, "object": value}).encode()


def _bookmark(version: int, *, initial: bool) -> bytes:
    marked = {"annotations": {"k8s.io/initial-events-end": "true"}} if initial else {}
    return _line("BOOKMARK", {"metadata": {"resourceVersion": str(version), **marked}})
