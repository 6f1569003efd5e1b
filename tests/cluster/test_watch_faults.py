"""A watch in bad weather: each thing that can go wrong, what is said of it, and that nothing is lost or invented."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from outgate.cluster.access import Access, Credentials, from_pod
from outgate.cluster.events import Event, Recovered, Replaced, Troubled, Upserted
from outgate.cluster.watch import Pace
from outgate.cluster.watches import Watches
from tests.cluster.following import QUICK, Follower, access_of, follow, state_of
from tests.cluster.watched import pod
from tests.cluster.watchserver import Streaming, WatchServer


@pytest.fixture(params=["offered", "refused"])
def server(request: pytest.FixtureRequest) -> Iterator[WatchServer]:
    """A server with three pods, that offers streaming lists or does not."""
    streaming: Streaming = request.param
    with WatchServer(streaming=streaming) as one:
        one.put_all(pod(f"web-{i}") for i in range(3))
        yield one


@pytest.fixture
def follower() -> Follower:
    """Who is told."""
    return Follower()


class Waits:
    """Waits in name only, remembers how long, and lets `then` happen when it has been enough."""

    def __init__(self, enough: float = 0, then: Callable[[], object] = lambda: None) -> None:
        self.seconds: list[float] = []
        self._enough = enough
        self._then = then

    def __call__(self, seconds: float) -> None:
        """Wait."""
        before = sum(self.seconds)
        self.seconds.append(seconds)
        if before < self._enough <= before + seconds:
            self._then()


def versions(server: WatchServer) -> list[str]:
    """The versions from which watches have begun."""
    return [
        one.query["resourceVersion"]
        for one in list(server.asked)
        if "watch" in one.query and "resourceVersion" in one.query
    ]


def test_cut_in_the_middle_of_an_object(server: WatchServer, follower: Follower) -> None:
    """The half is thrown away, and the whole comes with the next watch, once; nobody is troubled."""
    with follow(server, follower):
        assert server.until(lambda: server.watching() == 1)
        server.put(pod("a"))
        follower.until(lambda: len(follower.state) == 4)
        last = server.store.version
        server.cut(inside=True)
        server.put(pod("b"))
        follower.until(lambda: len(follower.state) == 5)
    assert versions(server)[-1] == str(last)
    assert [type(one) for one in follower.events] == [Replaced, Upserted, Upserted]


def test_an_end_in_peace(server: WatchServer, follower: Follower) -> None:
    """At the end of its time a watch is taken up where it was."""
    with follow(server, follower):
        for number in range(5):
            assert server.until(lambda: server.watching() == 1)
            server.put(pod(f"a-{number}"))
            follower.until(lambda: len(follower.state) == 4 + number)  # noqa: B023 - called at once
            server.end()
    assert [type(one) for one in follower.events] == [Replaced] + [Upserted] * 5


def test_a_watch_that_is_ended_at_once_is_not_asked_for_in_a_loop(server: WatchServer, follower: Follower) -> None:
    """Some proxies do that; each is paused after, and longer each time."""
    waits = Waits()
    with follow(server, follower, wait=waits, pace=Pace(start=0, relist=0)):
        for number in range(6):
            assert server.until(lambda: server.watching() == 1 and len(waits.seconds) > number)  # noqa: B023
            server.end()
        assert server.until(lambda: server.watching() == 1 and len(waits.seconds) == 7)
    assert all(seconds > 0 for seconds in waits.seconds[1:])
    assert max(waits.seconds) > 2


@pytest.mark.parametrize("status", [False, True])
def test_what_the_server_has_forgotten(server: WatchServer, follower: Follower, status: bool) -> None:
    """410, as a status or within the stream: all is asked for anew, and what went away meanwhile is gone."""
    with follow(server, follower):
        assert server.until(lambda: server.watching() == 1)
        if status:
            server.fail(410, words="too old resource version: 1 (2)")
        server.delete("Pod", "shop", "web-1")
        server.put(pod("new"))
        server.compact()
        server.cut()
        follower.until(lambda: len(follower.of(Replaced)) == 2)
        server.put(pod("newer"))
        follower.until(lambda: ("Pod", "shop", "newer") in follower.state)
        assert follower.state == state_of(server, "Pod")
    assert follower.of(Troubled) == []


def test_relisting_is_spread(server: WatchServer, follower: Follower) -> None:
    """A compaction is told to all agents at once."""
    waits = Waits()
    with follow(server, follower, pace=Pace(start=0, healthy=0), wait=waits):
        for number in range(12):
            assert server.until(lambda: server.watching() == 1)
            server.say({"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}})
            follower.until(lambda: len(follower.of(Replaced)) == number + 2)  # noqa: B023 - called at once
    asked = waits.seconds[1:13]
    assert len(set(asked)) == 12
    assert all(0 < seconds <= Pace().relist + Pace().first for seconds in asked)
    assert max(asked) > 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd has no leader"}}\n', "no leader"),
        (b'{"type":"ERROR","object":5}\n', "ends with an error (0)"),
        (b"nonsense\n", "something that is no event"),
        (b'{"type":"STRANGE","object":{}}\n', "something that is no event"),
        (b'{"type":"BOOKMARK","object":{"metadata":{}}}\n', "bookmark without a version"),
    ],
)
def test_errors_in_the_stream(server: WatchServer, follower: Follower, line: bytes, words: str) -> None:
    """Said, and taken up from the last version; the state is not asked for again."""
    with follow(server, follower):
        assert server.until(lambda: server.watching() == 1)
        server.say(line)
        follower.until(lambda: len(follower.of(Recovered)) == 1)
        server.put(pod("new"))
        follower.until(lambda: len(follower.state) == 4)
    assert words in follower.of(Troubled)[0].words
    assert [type(one) for one in follower.events] == [Replaced, Troubled, Recovered, Upserted]


def test_an_object_without_sense_in_the_stream(server: WatchServer, follower: Follower) -> None:
    """It is set apart, and the others go on."""
    with follow(server, follower):
        assert server.until(lambda: server.watching() == 1)
        server.say({"type": "ADDED", "object": 5})
        server.say({"type": "DELETED", "object": []})
        server.put(pod("new"))
        follower.until(lambda: len(follower.state) == 4)
    assert list(follower.broken) == [("Pod", "", "")]
    assert follower.of(Troubled) == []


def test_a_busy_server_says_when(server: WatchServer, follower: Follower) -> None:
    """429 with ``Retry-After``: not before, and not all at the same moment after it."""
    waits = Waits()
    server.fail(429, times=3, retry_after=7)
    with follow(server, follower, wait=waits, pace=Pace(start=0)):
        follower.until(lambda: len(follower.state) == 3 and not follower.troubled)
    asked = waits.seconds[1:4]
    assert all(7 <= seconds <= 10.5 for seconds in asked)
    assert len(set(asked)) == 3
    assert "answered with 429" in follower.of(Troubled)[0].words


@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_a_server_that_is_ill(server: WatchServer, follower: Follower, code: int) -> None:
    """Pauses grow and have an end; trouble is told once, and that it is over."""
    waits = Waits()
    server.fail(code, times=10, words="ill")
    with follow(server, follower, wait=waits, pace=Pace(start=0)):
        follower.until(lambda: len(follower.state) == 3 and not follower.troubled)
    assert all(0 < seconds <= 30 for seconds in waits.seconds[1:11])
    assert max(waits.seconds) > 5
    (troubled,) = follower.of(Troubled)
    assert f"is answered with {code}: ill" in troubled.words
    assert isinstance(follower.events[0], Troubled)
    assert isinstance(follower.events[-1], Recovered)


def test_a_server_that_asks_for_a_day(server: WatchServer, follower: Follower) -> None:
    """Nobody is trusted with that."""
    waits = Waits()
    server.fail(503, retry_after=86400)
    with follow(server, follower, wait=waits, pace=Pace(start=0)):
        follower.until(lambda: len(follower.state) == 3)
    assert 30 <= max(waits.seconds) <= 45


@pytest.mark.parametrize("forgets", [False, True])
def test_a_server_that_is_gone_for_an_hour(server: WatchServer, follower: Follower, forgets: bool) -> None:
    """What stands is kept all the time; then the state is right, whether or not the server still knows the version."""
    stood: list[int] = []

    def back() -> None:
        stood.append(len(follower.state))
        server.delete("Pod", "shop", "web-0")
        server.put(pod("new"))
        if forgets:
            server.compact()
        server.up()

    waits = Waits(3600, back)
    with follow(server, follower, wait=waits, pace=Pace(start=0)):
        assert server.until(lambda: server.watching() == 1)
        server.down()
        follower.until(lambda: len(follower.of(Recovered)) == 1)
        follower.until(lambda: ("Pod", "shop", "new") in follower.state and len(follower.state) == 3)
        assert follower.state == state_of(server, "Pod")
    assert stood == [3]
    assert len(follower.of(Troubled)) == 1
    assert "refused" in follower.of(Troubled)[0].words
    assert len(follower.of(Replaced)) == 1 + forgets
    # Half a minute at the most: 5 000 agents that ask more often would keep it down.
    assert len(waits.seconds) > 120
    assert max(waits.seconds) <= 30 + Pace().relist + Pace().first


def test_nobody_there_at_the_start(server: WatchServer, follower: Follower) -> None:
    """A node that boots before the API server."""
    server.down()
    with follow(server, follower, wait=Waits(60, server.up), pace=Pace(start=0)):
        follower.until(lambda: len(follower.state) == 3 and not follower.troubled)
    assert [type(one) for one in follower.events] == [Troubled, Replaced, Recovered]


def test_slow_bytes(server: WatchServer, follower: Follower) -> None:
    """Each in a packet of its own."""
    server.slow = True
    with follow(server, follower):
        follower.until(lambda: len(follower.state) == 3)
        server.put(pod("new"))
        follower.until(lambda: len(follower.state) == 4)
        assert follower.state == state_of(server, "Pod")


@pytest.mark.parametrize("inside", [False, True])
def test_a_connection_that_is_half_dead(server: WatchServer, follower: Follower, inside: bool) -> None:
    """No end, no error, no bytes: it is given up after its time, and the next one as well, and that is said."""
    with follow(server, follower, pace=Pace(start=0, watch=(0.1, 0.1), grace=0.1, head=0.1, healthy=0, longest=0.01)):
        assert server.until(lambda: server.watching() == 1)
        server.stall(inside=inside)
        server.put(pod("new"))
        follower.until(lambda: bool(follower.troubled))
        assert "did not answer within 0.1 s" in follower.troubled["Pod"]
        server.flow()
        follower.until(lambda: len(follower.state) == 4 and not follower.troubled)
        assert follower.state == state_of(server, "Pod")


def test_an_idle_watch_ends_by_itself(server: WatchServer, follower: Follower) -> None:
    """The server is asked to end it, and it is taken up: nothing but that happens."""
    with follow(server, follower, pace=Pace(start=0, watch=(0.2, 1), healthy=0, first=0.01)):
        assert server.until(lambda: server.total().watches >= 3)
    assert [type(one) for one in follower.events] == [Replaced]


def test_a_right_that_is_missing(server: WatchServer, follower: Follower) -> None:
    """Named, and asked for again half a minute later, since only somebody can mend it."""
    waits = Waits(300, server.forbidden.clear)
    verb = "watch" if server.streaming == "offered" else "list"
    server.forbidden.add((verb, "Pod"))
    with follow(server, follower, wait=waits, pace=Pace(start=0)):
        follower.until(lambda: len(follower.state) == 3 and not follower.troubled)
    (troubled,) = follower.of(Troubled)
    assert f"may not {verb} pods in all namespaces (403)" in troubled.words
    assert all(30 <= seconds <= 60 for seconds in waits.seconds[1:])


def test_a_list_without_a_watch(server: WatchServer, follower: Follower) -> None:
    """The right to list alone: the state is told, and that there are no news."""
    server.streaming = "refused"
    server.forbidden.add(("watch", "Pod"))
    server.fail(422)
    with follow(server, follower):
        follower.until(lambda: bool(follower.troubled))
        assert len(follower.state) == 3
        server.forbidden.clear()
        follower.until(lambda: not follower.troubled)
    assert len(follower.of(Replaced)) == 1
    assert "may not watch pods" in follower.of(Troubled)[0].words


def test_a_kind_that_is_not_there(server: WatchServer, follower: Follower) -> None:
    """It may come."""
    server.fail(404, times=3, words="404 page not found")
    with follow(server, follower):
        follower.until(lambda: len(follower.state) == 3 and not follower.troubled)
    assert "the server has no pods (404)" in follower.of(Troubled)[0].words


def tokens(server: WatchServer, *several: str) -> Access:
    """An access whose credentials are these, one after the other, the last for ever."""
    left = list(several)
    return Access(
        "cluster:test",
        urlsplit(server.url),
        lambda: Credentials({"Authorization": f"Bearer {left.pop(0) if len(left) > 1 else left[0]}"}),
        lasting=False,
    )


def test_a_token_that_ran_out_is_renewed(server: WatchServer, follower: Follower) -> None:
    """Without a word: that is what it is renewed for."""
    server.token = "one"
    with follow(server, follower, access=tokens(server, "one", "two")):
        follower.until(lambda: len(follower.state) == 3)
        server.token = "two"
        server.cut()
        server.put(pod("new"))
        follower.until(lambda: len(follower.state) == 4)
    assert follower.of(Troubled) == []


def test_a_token_that_is_not_taken(server: WatchServer, follower: Follower) -> None:
    """Said, and another one asked for each time, until one is."""
    server.token = "five"
    with follow(server, follower, access=tokens(server, "one", "two", "three", "four", "five")):
        follower.until(lambda: len(follower.state) == 3 and not follower.troubled)
    assert "does not accept these credentials (401)" in follower.of(Troubled)[0].words
    assert len(follower.of(Troubled)) == 1
    lasting = Follower()
    with follow(server, lasting, access=access_of(server)):
        lasting.until(lambda: bool(lasting.troubled))


def test_a_token_file_is_read_before_the_token_runs_out(
    server: WatchServer, follower: Follower, tmp_path: Path
) -> None:
    """In a pod it is written anew every hour; the server never sees an old one."""
    (tmp_path / "ca.crt").write_text("")
    (tmp_path / "token").write_text("one")
    inside = from_pod({"KUBERNETES_SERVICE_HOST": "127.0.0.1"}, str(tmp_path))
    assert inside is not None
    server.token = "one"
    access = Access(
        inside.name, urlsplit(server.url), inside.identify, None, lasting=inside.lasting, stamp=inside.stamp
    )
    with follow(server, follower, access=access):
        follower.until(lambda: len(follower.state) == 3)
        (tmp_path / "token").write_text("second")
        server.token = "second"
        server.cut()
        server.put(pod("new"))
        follower.until(lambda: len(follower.state) == 4)
    said = [one.headers["authorization"] for one in server.asked]
    assert said == sorted(said)
    assert set(said) == {"Bearer one", "Bearer second"}


def test_steps_of_the_wall_clock_do_nothing(
    server: WatchServer, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set back by years, and ahead, at every look."""
    steps = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1e9 + (-1) ** next(steps) * 1e9)
    with follow(server, follower):
        follower.until(lambda: len(follower.state) == 3)
        for number in range(3):
            server.cut()
            server.put(pod(f"new-{number}"))
            follower.until(lambda: len(follower.state) == 4 + number)  # noqa: B023 - called at once
    assert [type(one) for one in follower.events] == [Replaced] + [Upserted] * 3


def test_a_follower_that_raises(server: WatchServer) -> None:
    """A thread that ended in silence would leave a node with its old rules for ever."""
    full: list[type] = [Upserted]

    class Raising(Follower):
        def deliver(self, event: Event) -> None:
            if type(event) in full:
                full.remove(type(event))
                raise RuntimeError("full")
            super().deliver(event)

    raising = Raising()
    with follow(server, raising):
        raising.until(lambda: len(raising.state) == 3)
        server.put(pod("new"))
        raising.until(lambda: len(raising.state) == 4 and not raising.troubled)
        assert raising.state == state_of(server, "Pod")
        # And what is told of it may find no room either.
        full += [Troubled, Recovered]
        server.fail(503, times=4)
        server.cut()
        server.put(pod("newer"))
        raising.until(lambda: len(raising.state) == 5 and not full and not raising.troubled)
    assert "cannot be used: RuntimeError: full" in raising.of(Troubled)[0].words


@pytest.mark.parametrize("body", ["{}", "[]", "x", json.dumps({"metadata": {}, "items": []})])
def test_something_else_at_the_address(body: str, follower: Follower) -> None:
    """A page of a proxy that says 200 to everything."""
    from tests.cluster.apiserver import ApiServer, Reply, access_to

    with (
        ApiServer(lambda _: Reply(body=body)) as proxy,
        follow(WatchServer.__new__(WatchServer), follower, access=access_to(proxy)),
    ):
        follower.until(lambda: bool(follower.troubled))
    assert follower.of(Replaced) == []


def test_pauses_begin_anew_after_health(server: WatchServer, follower: Follower) -> None:
    """A server that was ill last week is not given half a minute today."""
    waits = Waits()
    server.fail(503, times=8)
    with follow(server, follower, wait=waits, pace=QUICK):
        assert server.until(lambda: server.watching() == 1)
        before = len(waits.seconds)
        server.cut()
        assert server.until(lambda: server.watching() == 1 and len(waits.seconds) > before)
    assert waits.seconds[before] <= QUICK.first
    assert max(waits.seconds[:before]) > QUICK.first


_NO_LEADER = b'{"type":"ERROR","object":{"code":500,"message":"etcd has no leader"}}\n'


def counted(server: WatchServer, follower: Follower) -> tuple[Watches, list[tuple[str, str]]]:
    """A watch, and the failures that it counts."""
    found: list[tuple[str, str]] = []
    return follow(server, follower, failed=lambda kind, code: found.append((kind, code))), found


@pytest.mark.parametrize("code", [401, 403, 404, 410, 429, 500, 504])
def test_each_failure_is_counted_by_its_status(server: WatchServer, follower: Follower, code: int) -> None:
    """Each request, not each trouble: one that goes well at the third time has failed twice."""
    server.fail(code, times=2)
    watches, found = counted(server, follower)
    with watches:
        follower.until(lambda: len(follower.state) == 3 and not follower.troubled)
    assert found == [("Pod", str(code))] * 2


def test_failures_without_a_status_are_counted_by_a_word(server: WatchServer, follower: Follower) -> None:
    """What is cut, what makes no sense, what the server says in the stream, and what nobody answers."""
    watches, found = counted(server, follower)
    with watches:
        assert server.until(lambda: server.watching() == 1)
        for number, line in enumerate((b"nonsense\n", _NO_LEADER, b"", b"")):
            # Only the watch that is open now tells of it, so what is said next is said to that one.
            server.put(pod(f"a-{number}"))
            follower.until(lambda: len(follower.state) == 4 + number and not follower.troubled)  # noqa: B023 - called at once
            if number < 3:
                server.say(line) if line else server.cut()
        assert found == [("Pod", "unreadable"), ("Pod", "500"), ("Pod", "cut")]
        server.down()
        follower.until(lambda: "refused" in follower.troubled.get("Pod", ""))
        server.up()
        follower.until(lambda: not follower.troubled)
    # A connection may be cut once more before nobody listens.
    assert found[-1] == ("Pod", "unreachable")


def test_what_is_no_failure_is_not_counted(server: WatchServer, follower: Follower) -> None:
    """A watch that ends in peace, a server without streaming lists, and an end of our own."""
    watches, found = counted(server, follower)
    with watches:
        for number in range(3):
            assert server.until(lambda: server.watching() == 1)
            server.put(pod(f"a-{number}"))
            follower.until(lambda: len(follower.state) == 4 + number)  # noqa: B023 - called at once
            server.end()
    assert found == []
