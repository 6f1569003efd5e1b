"""List, then watch, and never lose the thread: how the state of one kind is followed.

    whole      a list, page by page, or a stream that begins with all that there is and says where that ends
               (``sendInitialEvents``, the annotation ``k8s.io/initial-events-end``); told as `Replaced`
    changes    a watch from the version of the list; every event and every bookmark moves the version on
    again      a watch that ends is taken up from the last version; where the server has forgotten that (410 Gone, as
               a status or as an event of type ERROR), all begins with `whole`
    in doubt   a server that a backup was restored to is behind our version: it has not forgotten that, it does not know
               it yet, and a watch from there is silent for hours. So it is asked how far it is, where that may be

"Clients must handle the case by recognizing the status code 410 Gone, clearing their local cache, performing a new get
or list operation, and starting the watch from the resourceVersion that was returned." What is cleared here is only the
version: what stands is kept until the new state is complete.

A kind of a CustomResourceDefinition that is not installed (404) has no objects, which is told once, and is asked for
again slowly: it may be installed any time, and taken out again.

A list asks for the newest state and takes none that is older ("resourceVersion unset: most recent"), so that nobody's
rights come back with a server that lags behind. Time is counted by a clock that never steps. Nothing is asked for again
without a pause, except after a watch that the server has ended in peace after a while; the lengths of watches differ at
random, so that those of many nodes do not end together.

What is cut off before it is whole has cost the server all the same, and costs it again. So a streaming list has time
for as long as something comes; and a state that was told for nothing, because the server had forgotten it by the time
that it was complete, is asked for later each time, in proportion to how long it took: else many agents that ask for
much keep each other from ever getting it.
"""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from outgate.cluster.backoff import Backoff
from outgate.cluster.client import LONGEST_WAIT, Client
from outgate.cluster.events import Broken, Event, Recovered, Removed, Replaced, Troubled, Upserted, Watched
from outgate.cluster.lists import PAGE, RESTARTS, discovery, is_missing
from outgate.cluster.stream import Answer, CutError, Stream
from outgate.cluster.watch_decode import KINDS, Found, Line, Mark, Reader, read_line, read_mark, read_page
from outgate.cluster.watch_words import AbsentError, GoneError, PauseError, check, stream_error
from outgate.errors import OutgateError

__all__ = ["Pace", "Reflector", "Subscription"]

UNFINISHED = 2
"""Streaming lists that may be cut off before the state is complete, one after the other; then lists are used."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What to follow: a kind, all of it or what the selectors of the API take (``spec.nodeName=a``, ``app in (b)``)."""

    kind: str
    field_selector: str = ""
    label_selector: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds."""

    start: float = 2.0
    """The first request comes somewhen within these: all agents of a cluster may have been started at once."""
    relist: float = 3.0
    """A state that must be asked for anew is asked for somewhen within these, or within as long as it took to come the
    last time; and within twice as long, each time that it was for nothing, up to the rarest."""
    rarest: float = 3600.0
    watch: tuple[float, float] = (300.0, 600.0)
    """The server is asked to end a watch after a time between these."""
    whole: float = 86_400.0
    """The server is asked to end a watch that begins with all that there is after so long: where many ask, the state
    alone may take hours. "The API server always closes the watch almost immediately after receiving the
    initial-events-end BOOKMARK" (kubernetes/kubernetes#134837) is what comes of less. After the state, we leave such a
    watch ourselves when a watch has lasted long enough."""
    grace: float = 30.0
    """A watch that the server has not ended so long after its time is dead."""
    head: float = 60.0
    """An answer has begun by then. (And until all that there is has come, it pauses for this and the grace at most.)"""
    healthy: float = 10.0
    """A watch that has lasted so long was one, and failures are counted from the first again."""
    first: float = 0.8
    longest: float = 30.0
    """The pause after a failure is at most the first, then twice as long each time, up to the longest."""
    refused: tuple[float, float] = (30.0, 60.0)
    """Between two requests that are refused for want of a right, or of the kind: somebody has to do something."""


class Reflector:
    """Follows one kind and delivers its events, until it is stopped. `run` is the body of a thread of its own.

    `wait` pauses for so many seconds or until there is nothing more to do; `stopped` says that there is not. `failed`
    is told the kind and the code of each request that failed, whether or not that is trouble: the status of the answer,
    ``unreachable`` (none came), ``cut`` (it ended too early) or ``unreadable`` (it made no sense).
    """

    def __init__(
        self,
        client: Client,
        subscription: Subscription,
        deliver: Callable[[Event], object],
        *,
        failed: Callable[[str, str], object] = lambda _kind, _code: None,
        wait: Callable[[float], object],
        stopped: Callable[[], bool],
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        dice: random.Random | None = None,
    ) -> None:
        self.kind = subscription.kind
        self._client = client
        self._resource = KINDS[subscription.kind]
        self._missing: set[str] = set()
        """The versions of the kind that the server has just said it does not have."""
        self._deliver = deliver
        self._failed = failed
        self._wait = wait
        self._stopped = stopped
        self._pace = pace or Pace()
        self._clock = clock
        self._dice = dice or random.Random()  # noqa: S311 - it spreads load and keeps no secret
        self._backoff = Backoff(self._dice, first=self._pace.first, longest=self._pace.longest)
        self._reader = Reader(self._resource, client.access.name)
        given = (("fieldSelector", subscription.field_selector), ("labelSelector", subscription.label_selector))
        self._labels = subscription.label_selector
        self._selectors = {name: text for name, text in given if text}
        self._version = ""
        self._doubtful = False
        """The server may have gone back behind our version."""
        self._streaming = True
        self._unfinished = 0
        self._expired = 0
        self._took = 0.0
        self._vain = 0
        self._renewed = False
        self._troubled: Troubled | None = None
        self._absent = False

    def run(self) -> None:
        """Follow, whatever happens. Returns once `stopped` says so."""
        self._wait(self._dice.uniform(0, self._pace.start))
        while not self._stopped():
            pause = self._round()
            if pause and not self._stopped():
                self._wait(pause)

    def _round(self) -> float:
        """Go on until something ends, and give the seconds after which to go on again."""
        try:
            return self._attempt()
        except Exception as error:  # noqa: BLE001 - a thread that ends unseen would leave the node with old rules for ever
            self._version = ""
            with contextlib.suppress(Exception):
                self._say(f"the news of {self._resource.full} cannot be used: {type(error).__name__}: {error}")
            return self._backoff.next()

    def _attempt(self) -> float:
        try:
            self._follow()
        except GoneError as gone:
            self._count(gone.code)
            return self._anew() + self._backoff.next()
        except AbsentError:
            return self._none_installed()
        except CutError:
            self._count("cut")
            self._doubtful = True
            return self._backoff.next()
        except PauseError as failure:
            self._count(failure.code)
            if failure.slow and self._resource.custom and self._is_absent():
                return self._none_installed()
            self._doubtful = True
            if failure.renew and self._client.renew() and not self._renewed:
                # Tokens run out: with a new one there is no trouble, if that one is taken.
                self._renewed = True
                return 0.0
            self._say(failure.words, lasting=failure.slow)
            return self._pause_after(failure)
        except OutgateError as error:
            self._count("unreachable")
            self._doubtful = True
            self._say(f"{error.message}; {error.hint}" if error.hint else error.message)
            return self._backoff.next()
        return 0.0

    def _anew(self) -> float:
        """Begin with the whole again, and not at once: all who were told the same must not ask for it together."""
        self._version = ""
        spread = max(self._pace.relist, min(self._took * 2**self._vain, self._pace.rarest))
        self._vain += 1
        return self._dice.uniform(0, spread)

    def _none_installed(self) -> float:
        """The kind is not there: no objects, no trouble, and asked again as slowly as where somebody must act.

        Where it may be there in another version, that is asked for first.
        """
        self._version = ""
        self._missing.add(self._resource.api_version)
        known = KINDS[self.kind].versions
        left = [one for one in known if one.api_version not in self._missing]
        if len(known) > 1:
            self._resource = left[0] if left else known[0]
            self._reader = Reader(self._resource, self._client.access.name)
        if left:
            return 0.0
        self._missing.clear()
        if not self._absent:
            self._deliver(Replaced(self.kind, (), self._labels))
            self._absent = True
        self._well()
        return self._dice.uniform(*self._pace.refused)

    def _is_absent(self) -> bool:
        """Whether a kind that is refused is not installed at all."""
        with contextlib.suppress(OutgateError):
            return is_missing(self._client.once(discovery(self._resource), {}), self._resource)
        return False

    def _pause_after(self, failure: PauseError) -> float:
        if failure.slow:
            return self._dice.uniform(*self._pace.refused)
        pause = self._backoff.next()
        asked = min(failure.asked, LONGEST_WAIT)
        # All who were told the same must not come back together.
        return max(pause, self._dice.uniform(asked, asked * 1.5)) if asked else pause

    def _follow(self) -> None:
        if self._version:
            if self._doubtful:
                self._confirm()
            self._watch()
        elif self._streaming:
            self._stream()
        else:
            self._list()
            self._watch()

    # -- whole ---------------------------------------------------------------------------------------------------------

    def _list(self) -> None:
        """All of it, as `Replaced`; where the server keeps forgetting how to go on, at last in one piece.

        Raises:
            GoneError: it has forgotten that before the end.
        """
        begun = self._clock()
        in_one_piece = self._expired >= RESTARTS
        try:
            self._pages({} if in_one_piece else {"limit": str(PAGE)})
            self._expired = 0
        except GoneError:
            self._expired += 1
            raise
        finally:
            self._took = self._clock() - begun
            if in_one_piece:
                self._expired = 0

    def _pages(self, query: dict[str, str]) -> None:
        state = _State()
        token = ""
        while True:
            more = {"continue": token} if token else {}
            answer = self._client.once(self._resource.path, {**self._selectors, **query, **more})
            check(self._client.access, self._resource, "list", answer)
            page = read_page(answer.body)
            if page is None or not page.version:
                raise PauseError(f"the list of {self._resource.full} is answered with something that is no list")
            for item in page.items:
                state.put(self._reader.read(item))
            if not page.following:
                self._replace(state, page.version)
                return
            if page.following == token:
                raise PauseError(f"the list of {self._resource.full} goes round in a circle")
            token = page.following

    def _replace(self, state: _State, version: str) -> None:
        self._deliver(Replaced(self.kind, tuple(state.values.values()), self._labels))
        for broken in (*state.broken.values(), *state.nameless):
            self._deliver(broken)
        self._version, self._doubtful = version, False
        self._absent = False
        self._missing.clear()

    def _stream(self) -> None:
        """The state and the changes in one, where the server offers it; where it does not, that is remembered."""
        begun = self._clock()
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        with self._opened(query, self._pace.whole) as stream:
            if stream.status in {400, 422}:
                # "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
                self._streaming = False
                return
            self._check(stream)
            lines = stream.lines()
            try:
                whole = self._initial(stream, lines)
            except CutError as cut:
                # That a few of these are cut may be chance; then it is a list that gets through, if anything does.
                self._unfinished += 1
                self._streaming = self._unfinished < UNFINISHED
                words = f"the streaming list of {self._resource.full} is cut off: {cut.words}"
                raise PauseError(words, code="cut") from cut
            if not whole:
                self._streaming = False
                return
            self._unfinished = 0
            self._took = self._clock() - begun
            patience = self._dice.uniform(*self._pace.watch)
            ends = self._clock() + patience
            stream.within(patience)
            try:
                self._changes(stream, lines)
            except CutError:
                # The server was given a day for the whole; it is we who end what follows, after the time of a watch.
                if self._clock() < ends:
                    raise

    def _initial(self, stream: Stream, lines: Iterator[bytes]) -> bool:
        """The events up to the bookmark that ends them, as one state; False where the server does not know of it."""
        state = _State()
        # Longer than servers are silent that do not know of it: their next bookmark says so, a minute later at most.
        patience = self._pace.head + self._pace.grace
        stream.within(patience)
        for text in lines:
            stream.within(patience)
            line = self._line(text)
            if line.type == "BOOKMARK":
                mark = self._mark(line)
                if not mark.ends_initial:
                    # Who passes over the parameter sends all objects too, and then never says that this was all.
                    return False
                self._replace(state, mark.version)
                return True
            if line.type == "DELETED":
                state.drop(self._reader.removed(line.object))
            else:
                state.put(self._reader.read(line.object))
        raise CutError("it ends before the state is complete")

    def _confirm(self) -> None:
        """Raise GoneError where the server is not as far as our version is.

        It is asked for one object, "not older than" that version, and where it is older says "Too large resource
        version". Other clients do not ask, and have kept for hours what a restored backup did not have
        (kubernetes/kubernetes#107457); a cluster that is restored as etcd advises, with a revision that leaps ahead
        (``--bump-revision --mark-compacted``), answers 410 by itself.

        A restored cluster was away, and every connection to it cut: so after a failure it is asked, once. What slips
        through is silent, bookmarks included: so it is asked after a watch that has said nothing at all. What cannot be
        noticed is a restored server that has made as many changes, when it is asked, as the backup lacks.

        In good times 5 000 agents with four kinds ask nothing, as bookmarks come each minute. Where API servers are
        started anew it is one list of one object (3 kB) beside each of the 20 000 watches that are opened again, over
        as many seconds as those are; without bookmarks, in a silent cluster, 20 000 in 300 to 600 s: 45 a second.

        No selector is sent: the server would go through all objects for the one.
        """
        query = {"limit": "1", "resourceVersion": self._version, "resourceVersionMatch": "NotOlderThan"}
        answer = self._client.once(self._resource.path, query, seconds=self._pace.head)
        # A server that does not know the question cannot be asked; its watches may be silent.
        if answer.status not in {400, 422}:
            check(self._client.access, self._resource, "list", answer)
        self._doubtful = False

    # -- changes -------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        with self._opened({"resourceVersion": self._version}, self._dice.uniform(*self._pace.watch)) as stream:
            self._check(stream)
            self._changes(stream, stream.lines())

    def _changes(self, stream: Stream, lines: Iterator[bytes]) -> None:
        begun = self._clock()
        self._well()
        silent = True
        try:
            for text in lines:
                self._change(self._line(text), stream.received)
                silent = False
        finally:
            self._doubtful = silent
            healthy = self._clock() - begun >= self._pace.healthy
            if healthy:
                self._backoff.reset()
                self._vain = 0
        if not healthy:
            # A server that ends every watch at once must not be asked without a pause.
            raise CutError("the watch ended as soon as it began")

    def _change(self, line: Line, received: float) -> None:
        if line.type == "BOOKMARK":
            self._version = self._mark(line).version
            return
        if line.type == "DELETED":
            found = self._reader.removed(line.object)
            if found.value is not None:
                self._deliver(Removed(self.kind, found.value))
        else:
            found = self._reader.read(line.object)
            if found.value is not None:
                self._deliver(Upserted(self.kind, found.value, received))
            # Last, as after a list: an object that comes up is otherwise one that is no longer broken.
            if found.broken is not None:
                self._deliver(found.broken)
        self._version = found.version or self._version

    # -- both ----------------------------------------------------------------------------------------------------------

    def _opened(self, query: dict[str, str], seconds: float) -> Stream:
        more = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(math.ceil(seconds))}
        path, query = self._resource.path, {**self._selectors, **query, **more}
        return self._client.open(path, query, seconds=seconds + self._pace.grace, head=self._pace.head)

    def _check(self, stream: Stream) -> None:
        if stream.status == 200:
            return
        try:
            answer = stream.answer()
        except CutError:
            answer = Answer(stream.status, b"")
        check(self._client.access, self._resource, "watch", answer)

    def _line(self, text: bytes) -> Line:
        line = read_line(text)
        if line is not None and line.type in {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"}:
            return line
        if line is not None and line.type == "ERROR":
            raise stream_error(self._client.access, self._resource, line.object)
        raise PauseError(f"the watch of {self._resource.full} is answered with something that is no event")

    def _mark(self, line: Line) -> Mark:
        mark = read_mark(line.object)
        if mark is None or not mark.version:
            raise PauseError(f"the watch of {self._resource.full} has a bookmark without a version")
        return mark

    def _say(self, words: str, *, lasting: bool = False) -> None:
        # Who hangs up is told nothing of it.
        if (self._troubled is None or lasting > self._troubled.lasting) and not self._stopped():
            self._troubled = Troubled(self.kind, words, lasting)
            self._deliver(self._troubled)

    def _count(self, code: str) -> None:
        if code and not self._stopped():
            self._failed(self.kind, code)

    def _well(self) -> None:
        self._renewed = False
        if self._troubled is not None:
            self._deliver(Recovered(self.kind))
            self._troubled = None


class _State:
    """What there is, while it is being told."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], Watched] = {}
        self.broken: dict[tuple[str, str], Broken] = {}
        self.nameless: list[Broken] = []

    def put(self, found: Found) -> None:
        """An object that is there; of one that cannot be understood, that it cannot."""
        if found.key is None:
            if found.broken is not None:
                self.nameless.append(found.broken)
            return
        self.drop(found)
        if found.value is not None:
            self.values[found.key] = found.value
        if found.broken is not None:
            self.broken[found.key] = found.broken

    def drop(self, found: Found) -> None:
        """An object that is there no more."""
        if found.key is not None:
            self.values.pop(found.key, None)
            self.broken.pop(found.key, None)
