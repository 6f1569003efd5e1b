"""The server on paper answers as the one of the tests does, and its limits are where they are said to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.fleet_server import BUFFERED, FleetServer, Terms
from benchmarks.virtual import Timeline
from outgate.cluster.stream import CutError
from outgate.cluster.watch_decode import read_line, read_page
from outgate.errors import ClusterError

PODS = "/api/v1/pods"
SMALL = Terms(pods=1000, pod_bytes=1000, bandwidth=1e5, reader=1e6)
"""A list takes ten seconds."""
WHOLE = {"sendInitialEvents": "true", "timeoutSeconds": "400"}


def played(
    body: Callable[[FleetServer], object], server: FleetServer, *others: Callable[[FleetServer], object]
) -> None:
    """Let some clients do something at one server."""
    for one in (body, *others):
        server.timeline.spawn(lambda one=one: one(server))  # type: ignore[misc]  # the usual way to bind it
    server.timeline.run()


def told(server: FleetServer, query: dict[str, str]) -> tuple[list[str], str]:
    """The types of the events that come, and how it ended."""
    found: list[str] = []
    try:
        with server.door(0).open(PODS, query, seconds=1000.0, head=60.0) as stream:
            for text in stream.lines():
                line = read_line(text)
                assert line is not None
                found.append(line.type)
    except CutError as cut:
        return found, cut.words
    return found, ""


def test_a_streaming_list_costs_its_bytes_and_then_goes_on() -> None:
    """Ten seconds for the list, and the watch to the end of its time."""

    def body(server: FleetServer) -> None:
        assert told(server, WHOLE) == (["ADDED", "BOOKMARK", "BOOKMARK"], "")
        assert server.timeline.now == 400.0

    server = FleetServer(Timeline(), SMALL)
    played(body, server)
    assert server.pipe.read == pytest.approx(SMALL.list_bytes)
    assert (server.lists, server.forgotten) == ({0: 1}, 0)


def test_a_list_that_takes_longer_than_its_time_is_ended() -> None:
    """By the server, and not told to be whole."""

    def body(server: FleetServer) -> None:
        assert told(server, {**WHOLE, "timeoutSeconds": "5"}) == ([], "")
        assert server.timeline.now == 5.0

    played(body, FleetServer(Timeline(), SMALL))


def test_a_watch_that_was_slow_is_closed() -> None:
    """As soon as its state is complete, if more came meanwhile than is kept; and its version is then too old."""
    busy = replace(SMALL, closing=True, history=9.0, days=SMALL.pods * 8 / 86_400 / (BUFFERED / 9.9))

    def body(server: FleetServer) -> None:
        assert told(server, WHOLE) == (["ADDED", "BOOKMARK"], "")
        assert told(server, {"resourceVersion": "0", "timeoutSeconds": "400"}) == (["ERROR"], "")
        assert server.timeline.now == pytest.approx(10.0)

    server = FleetServer(Timeline(), busy)
    played(body, server)
    assert server.forgotten == 1


@pytest.mark.parametrize("remembers", [True, False])
def test_nobody_answers_while_it_is_away(remembers: bool) -> None:
    """Who watched is cut; and whoever comes back is known only if it remembers."""

    def body(server: FleetServer) -> None:
        assert told(server, WHOLE) == (["ADDED", "BOOKMARK", "BOOKMARK"], "the connection is gone")
        assert server.timeline.now == 100.0
        with pytest.raises(ClusterError):
            server.door(0).open(PODS, WHOLE, seconds=1.0, head=60.0)
        server.timeline.sleep(601.0)
        expected = ["BOOKMARK"] if remembers else ["ERROR"]
        assert told(server, {"resourceVersion": "100000", "timeoutSeconds": "10"}) == (expected, "")

    played(body, FleetServer(Timeline(), SMALL, ((100.0, 700.0),), remembers=remembers))


def test_who_finds_no_seat_waits_and_is_refused() -> None:
    """One is served, one waits for him, and the third has waited too long."""
    ends: list[tuple[float, int]] = []

    def body(server: FleetServer) -> None:
        with server.door(0).open(PODS, WHOLE, seconds=1000.0, head=60.0) as stream:
            if stream.status == 200:
                assert read_line(next(stream.lines())) is not None
            ends.append((round(server.timeline.now), stream.status))

    server = FleetServer(Timeline(), replace(SMALL, seats=1))
    played(body, server, body, body)
    assert ends == [(10, 200), (15, 429), (20, 200)]
    assert server.refused == 1


def test_pages_go_on_where_they_ended_until_the_token_is_old() -> None:
    """All pods in pages of 400, and a token of before is forgotten."""

    def body(server: FleetServer) -> None:
        door = server.door(0)
        token, pages = "", 0
        while pages == 0 or token:
            answer = door.once(PODS, {"limit": "400", **({"continue": token} if token else {})})
            page = read_page(answer.body)
            assert page is not None
            last, token = token, page.following
            pages += 1
        assert pages == 3
        assert server.timeline.now == pytest.approx(10.0)
        server.timeline.sleep(SMALL.token)
        assert door.once(PODS, {"limit": "400", "continue": last}).status == 410

    server = FleetServer(Timeline(), SMALL)
    played(body, server)
    assert server.pipe.read == pytest.approx(SMALL.list_bytes)


def test_an_answer_in_one_piece_has_a_minute() -> None:
    """As the client has it."""

    def body(server: FleetServer) -> None:
        with pytest.raises(ClusterError):
            server.door(0).once(PODS, {})
        assert server.timeline.now == 60.0

    played(body, FleetServer(Timeline(), replace(SMALL, bandwidth=1e4)))
