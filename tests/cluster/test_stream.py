"""Lines come out whole, in whatever pieces they came in; what ends too soon is told from what ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.cluster import stream as module
from outgate.cluster.client import Client
from outgate.cluster.stream import CutError, seconds_asked
from tests.cluster.apiserver import ApiServer, Reply, access_to, status
from tests.cluster.following import access_of
from tests.cluster.watched import pod
from tests.cluster.watchserver import WatchServer

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """A server that answers as it is told."""
    with ApiServer(lambda _: Reply()) as one:
        yield one


def chunked(parts: list[bytes], end: bytes = b"0\r\n\r\n") -> bytes:
    """An answer in these chunks."""
    return HEAD + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in parts if one) + end


def read(server: ApiServer, raw: bytes) -> tuple[list[bytes], str]:
    """The lines of an answer, and how it was cut if it was."""
    server.answer = lambda _: Reply(raw=raw)
    lines: list[bytes] = []
    with Client(access_to(server)) as client, client.open("/x", seconds=20) as stream:
        try:
            lines.extend(stream.lines())
        except CutError as error:
            return lines, error.words
    return lines, ""


@given(st.lists(st.binary(max_size=6).map(lambda one: one.replace(b"\n", b"")), max_size=6), st.data())
def test_any_chunks_make_the_same_lines(server: ApiServer, lines: list[bytes], data: st.DataObject) -> None:
    """A chunk is an event with this server, and a proxy may cut and join them as it likes."""
    text = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    parts = [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]
    assert read(server, chunked(parts)) == (lines, "")


@given(st.integers(0, 60))
def test_wherever_it_is_cut_no_half_line_comes_out(server: ApiServer, at: int) -> None:
    """What came before is good, and that there may be more is said."""
    whole = chunked([b"first\nsec", b"ond\n", b"third\n"])
    cut = whole[: len(HEAD) + at]
    lines, words = read(server, cut)
    assert lines == [b"first", b"second", b"third"][: len(lines)]
    # What comes after the length of the last chunk, which is 0, is all that may be missing.
    assert bool(words) == (len(cut) < len(whole) - 4)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (chunked([b"a\nb"]), "the last line is not complete"),
        (HEAD + b"-5\r\n", "the answer is"),
        (HEAD + b"zz\r\n", "not complete"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na\n", "not complete"),
    ],
)
def test_what_is_no_end(server: ApiServer, raw: bytes, words: str) -> None:
    """Each with its words."""
    lines, said = read(server, raw)
    assert words in said
    assert lines in ([], [b"a"])


def test_a_line_has_a_largest_size(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is not filled by whoever answers."""
    monkeypatch.setattr(module, "LINE_LIMIT", 1000)
    assert "more than 1000 bytes" in read(server, chunked([b"x" * 300] * 5))[1]
    assert read(server, chunked([b"x" * 300 + b"\n"] * 5)) == ([b"x" * 300] * 5, "")


def test_a_watch_has_an_end_in_time(server: ApiServer) -> None:
    """A server that says no more, for ever."""
    server.answer = lambda _: Reply(body="one\ntwo\n", hold=4)
    with Client(access_to(server)) as client, client.open("/x", seconds=0.2) as stream:
        lines = stream.lines()
        assert next(lines) == b"one"
        with pytest.raises(CutError, match="its time is over"):
            next(lines)
    server.stopping.set()


def test_when_a_line_came(server: ApiServer) -> None:
    """By the clock that the client has, once for all that came together."""
    ticks = itertools.count(100.0)
    server.answer = lambda _: Reply(raw=chunked([b"a\nb\n"]))
    with Client(access_to(server), clock=lambda: next(ticks)) as client, client.open("/x") as stream:
        begun = stream.received
        times = [stream.received for _ in stream.lines()]
    assert begun < times[0] == times[1]


def test_an_answer_that_is_no_stream(server: ApiServer) -> None:
    """A refusal has words, and may say when to come back."""
    server.answer = lambda _: status(429, "TooManyRequests", "later", Retry_After="3")
    with Client(access_to(server)) as client, client.open("/x") as stream:
        answer = stream.answer()
    assert (stream.status, answer.words, seconds_asked(answer.retry_after, 9)) == (429, "later", 3)
    assert [seconds_asked(text, 9) for text in ("", "soon", "-1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "²")] == [
        9
    ] * 6


def test_how_long_the_rest_may_take_can_be_said_meanwhile() -> None:
    """Without an end at first; then, once a line has come, it is not there for long."""
    with WatchServer() as server:
        server.put(pod("a"))
        with Client(access_of(server)) as client, client.open("/api/v1/pods", {"watch": "1"}, seconds=None) as stream:
            lines = stream.lines()
            assert b'"name":"a"' in next(lines)
            stream.within(0.05)
            with pytest.raises(CutError, match="its time is over"):
                next(lines)
