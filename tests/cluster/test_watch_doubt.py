"""A server that may have gone back behind what we know: when it is asked, and what is done where it has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from outgate.cluster.events import Replaced, Troubled
from outgate.cluster.watch import Pace
from tests.cluster.following import Follower, follow, state_of
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


def questions(server: WatchServer) -> list[str]:
    """The versions that the server was asked to confirm."""
    return [one.query["resourceVersion"] for one in list(server.asked) if one.query.get("limit") == "1"]


def test_a_server_that_a_backup_was_restored_to(server: WatchServer, follower: Follower) -> None:
    """What came after the backup is gone, what went is back, and what comes now has versions that we have passed."""
    with follow(server, follower):
        assert server.until(lambda: server.watching() == 1)
        backup = server.backup()
        server.put_all(pod(f"later-{number}") for number in range(100))
        server.delete("Pod", "shop", "web-0")
        follower.until(lambda: len(follower.state) == 102)
        server.restore(backup)
        follower.until(lambda: follower.state == state_of(server, "Pod") and not follower.troubled)
        assert len(follower.state) == 3
        server.put(pod("new"))
        follower.until(lambda: len(follower.state) == 4)
    assert len(follower.of(Replaced)) == 2


def test_a_watch_that_says_nothing_is_doubted(server: WatchServer, follower: Follower) -> None:
    """Somebody in between may hold the connection while the server is restored behind it."""
    pace = Pace(start=0, relist=0, watch=(0.2, 0.4), healthy=0, first=0.01)
    with follow(server, follower, pace=pace):
        assert server.until(lambda: server.watching() == 1)
        backup = server.backup()
        server.put_all(pod(f"later-{number}") for number in range(100))
        follower.until(lambda: len(follower.state) == 103)
        server.store.restore(backup)
        follower.until(lambda: follower.state == state_of(server, "Pod"))
    assert follower.of(Troubled) == []


def test_a_server_that_is_heard_is_not_doubted(server: WatchServer, follower: Follower) -> None:
    """Thousands of agents would ask for nothing; a failure is another matter, and asked about once."""
    with follow(server, follower, pace=Pace(start=0, relist=0, watch=(0.1, 0.2), healthy=0, first=0.01)):
        assert server.until(lambda: server.total().watches >= 3)
        # What follows a streaming list is ended by the client, here before the first bookmark: that is silence.
        before = len(questions(server))
        assert before <= 1
        server.put(pod("a"))
        follower.until(lambda: len(follower.state) == 4)
        server.cut()
        server.put(pod("b"))
        follower.until(lambda: len(follower.state) == 5)
        watches = server.total().watches
        assert server.until(lambda: server.total().watches > watches)
    assert len(questions(server)) == before + 1
    assert len(follower.of(Replaced)) == 1


@pytest.mark.parametrize("code", [400, 422, 503])
def test_a_question_that_is_not_answered_loses_nothing(server: WatchServer, follower: Follower, code: int) -> None:
    """Who does not know it is not asked again; who is busy is."""
    with follow(server, follower):
        assert server.until(lambda: server.watching() == 1)
        server.fail(code)
        server.cut()
        server.put(pod("a"))
        follower.until(lambda: len(follower.state) == 4 and not follower.troubled)
    assert len(questions(server)) == (2 if code == 503 else 1)
    assert len(follower.of(Replaced)) == 1
