"""Requests: patient with a server that is busy, plain about one that refuses, and never for ever."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from outgate.cluster import client as module
from outgate.cluster.access import Access, Credentials
from outgate.cluster.client import Client
from outgate.errors import ClusterError
from tests.cluster.apiserver import ApiServer, Asked, Reply, access_to, status

GOOD = Reply(body={"items": []})


@pytest.fixture
def server() -> Iterator[ApiServer]:
    """A server that answers everything with an empty list, until told otherwise."""
    with ApiServer(lambda _: GOOD) as one:
        yield one


class Patience:
    """Waits without waiting, and remembers how long it would have been."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def __call__(self, seconds: float) -> None:
        """Wait, in name only."""
        self.waited.append(seconds)


def answers(server: ApiServer, *replies: Reply) -> None:
    """Give these, one after the other, the last for ever."""
    rest = itertools.chain(replies, itertools.repeat(replies[-1]))
    server.answer = lambda _: next(rest)


def failure(server: ApiServer, timeout: float = 60) -> ClusterError:
    """The error that a request ends in."""
    with Client(access_to(server), wait=Patience(), timeout=timeout) as client, pytest.raises(ClusterError) as caught:
        client.get("/x")
    assert caught.value.exit_code == 3
    return caught.value


def test_one_connection_serves_many_requests(server: ApiServer) -> None:
    """A handshake for every page would make a large cluster slow; queries are escaped on the way."""
    with Client(access_to(server)) as client:
        for token in ("a b", "a&b=c", "é"):
            assert client.get("/api/v1/pods", {"continue": token}).status == 200
    assert server.connections == 1
    assert [one.query["continue"] for one in server.asked] == ["a b", "a&b=c", "é"]


def test_a_server_below_a_path(server: ApiServer) -> None:
    """Some products put many API servers behind one address: https://rancher/k8s/clusters/c-1."""
    access = Access("cluster:x", urlsplit(f"{server.url}/k8s/clusters/c-1/"), Credentials)
    with Client(access) as client:
        client.get("/api/v1/pods")
    assert server.asked[0].path == "/k8s/clusters/c-1/api/v1/pods"


def test_credentials_go_into_the_headers(server: ApiServer) -> None:
    """And the program says who it is, for the audit log."""
    access = Access("cluster:x", urlsplit(server.url), lambda: Credentials({"Authorization": "Bearer t"}))
    with Client(access) as client:
        client.get("/x")
    assert server.asked[0].headers["Authorization"] == "Bearer t"
    assert server.asked[0].headers["User-Agent"].startswith("outgate/")


def test_a_busy_server_is_asked_again_when_it_says(server: ApiServer) -> None:
    """Priority and fairness answers 429 with the seconds after which it is worth another try."""
    answers(server, status(429, "TooManyRequests", "later", Retry_After="7"), status(503, "x", "ill"), GOOD)
    patience = Patience()
    with Client(access_to(server), wait=patience) as client:
        assert client.get("/x").status == 200
    assert patience.waited[0] == 7
    assert 0 < patience.waited[1] < 7
    assert len(server.asked) == 3


@pytest.mark.parametrize("header", ["86400", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "soon", "9" * 400])
def test_no_server_makes_us_wait_for_long(server: ApiServer, header: str) -> None:
    """Whatever it asks for: a person sits in front of this."""
    answers(server, status(429, "TooManyRequests", "later", Retry_After=header))
    patience = Patience()
    with Client(access_to(server), wait=patience) as client:
        assert client.get("/x").status == 429
    assert len(server.asked) == module.ATTEMPTS
    assert len(patience.waited) == module.ATTEMPTS - 1
    assert all(0 < seconds <= module.LONGEST_WAIT for seconds in patience.waited)


@pytest.mark.parametrize("code", [400, 403, 404, 405, 410, 501])
def test_what_another_try_cannot_mend_is_not_tried_again(server: ApiServer, code: int) -> None:
    """It only makes the answer late."""
    answers(server, status(code, "x", "no"))
    with Client(access_to(server), wait=Patience()) as client:
        answer = client.get("/x")
    assert (answer.status, answer.words, len(server.asked)) == (code, "no", 1)


@pytest.mark.parametrize("reply", [Reply(body={"items": [1, 2, 3]}, cut=5), Reply(raw=b"")])
def test_a_connection_that_is_cut_is_tried_again(server: ApiServer, reply: Reply) -> None:
    """A load balancer that restarts is no reason to fail; half an answer is never taken for a whole one."""
    answers(server, reply, GOOD)
    with Client(access_to(server), wait=Patience()) as client:
        assert json.loads(client.get("/x").body) == {"items": []}
    answers(server, reply)
    assert f"cut the connection {module.ATTEMPTS} times" in failure(server).message


def test_chunks_that_end_too_soon_are_no_answer(server: ApiServer) -> None:
    """Answers of an API server come in chunks; the last one is empty, or the rest is missing."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    answers(server, Reply(raw=head + b'5\r\n{"ite\r\n'), Reply(raw=head + b"2\r\n{}\r\n0\r\n\r\n"))
    with Client(access_to(server), wait=Patience()) as client:
        assert client.get("/x").body == b"{}"
    assert len(server.asked) == 2


def test_what_is_no_http(server: ApiServer) -> None:
    """The port of something else."""
    answers(server, Reply(raw=b"SSH-2.0-OpenSSH_9.2\r\n"))
    assert "the answer is no HTTP" in failure(server).message


def test_silence_has_an_end(server: ApiServer) -> None:
    """A server that takes the request and says no more."""
    answers(server, Reply(body="x" * 100, hold=10))
    error = failure(server, timeout=0.3)
    assert "did not answer within 0.3 s" in error.message
    assert error.hint
    assert len(server.asked) == 1


def test_one_byte_now_and_then_is_silence_too(server: ApiServer) -> None:
    """The limit is for the whole answer: here every look at the clock takes a second, and the bytes never stop."""
    answers(server, Reply(body="x" * 50_000_000))
    seconds = itertools.count()
    client = Client(access_to(server), clock=lambda: next(seconds), timeout=20)
    with client, pytest.raises(ClusterError, match="did not answer within 20 s"):
        client.get("/x")


def test_an_answer_has_a_largest_size(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is not filled by whoever answers."""
    monkeypatch.setattr(module, "BODY_LIMIT", 1000)
    answers(server, Reply(body="x" * 2000))
    assert "more than 1000 bytes" in failure(server).message


def test_redirects_are_not_followed(server: ApiServer) -> None:
    """They would carry the token to somebody else."""
    answers(server, Reply(302, "", {"Location": f"{server.url}/login"}))
    with Client(access_to(server)) as client:
        assert client.get("/x").status == 302
    assert len(server.asked) == 1


def test_credentials_that_are_not_accepted(server: ApiServer) -> None:
    """401 is about who we are: it names kubectl's own way to find out, and asks once only."""
    answers(server, status(401, "Unauthorized", "Unauthorized"))
    error = failure(server)
    assert "does not accept these credentials (401): Unauthorized" in error.message
    assert "kubectl auth whoami" in error.hint
    assert len(server.asked) == 1


def test_credentials_that_ran_out_are_renewed_once(server: ApiServer) -> None:
    """A token of a plugin lasts minutes, and a list may take longer."""
    tokens = iter(["old", "new", "newer"])
    access = Access(
        "cluster:x",
        urlsplit(server.url),
        lambda: Credentials({"Authorization": f"Bearer {next(tokens)}"}),
        lasting=False,
    )

    def answer(asked: Asked) -> Reply:
        return GOOD if asked.headers["Authorization"] == "Bearer new" else status(401, "Unauthorized", "no")

    server.answer = answer
    with Client(access) as client:
        assert client.get("/x").status == 200
        assert client.get("/x").status == 200
    assert [one.headers["Authorization"] for one in server.asked] == ["Bearer old", "Bearer new", "Bearer new"]
    server.answer = lambda _: status(401, "Unauthorized", "no")
    with Client(access_to(server, lasting=False)) as client, pytest.raises(ClusterError, match="401"):
        client.get("/x")
    assert len(server.asked) == 5


def test_trouble_and_then_a_refusal_on_the_last_attempt(server: ApiServer) -> None:
    """Attempts that are used up must still end in an answer."""
    answers(server, *[status(500, "x", "ill")] * (module.ATTEMPTS - 1), status(401, "Unauthorized", "no"))
    with Client(access_to(server, lasting=False), wait=Patience()) as client, pytest.raises(ClusterError, match="401"):
        client.get("/x")


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answered at once, with the address that was tried."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    access = Access("cluster:prod", urlsplit(f"https://127.0.0.1:{port}"), Credentials)
    patience = Patience()
    with Client(access, wait=patience) as client, pytest.raises(ClusterError) as caught:
        client.get("/x")
    assert caught.value.message == f"cluster:prod: https://127.0.0.1:{port} cannot be reached: connection refused"
    assert "context" in caught.value.hint
    assert patience.waited == []
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com")
    with Client(access) as client, pytest.raises(ClusterError) as caught:
        client.get("/x")
    assert "HTTPS_PROXY is set, and Outgate does not use it" in caught.value.hint


@pytest.mark.parametrize("host", ["a..b", f"{'x' * 64}.example.com", ".x"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_cannot_be(host: str, scheme: str) -> None:
    """A name that no resolver takes is no bug of ours."""
    access = Access("cluster:x", urlsplit(f"{scheme}://{host}:1"), Credentials)
    with Client(access, timeout=5) as client, pytest.raises(ClusterError, match="cannot be reached"):
        client.get("/x")


def test_credentials_outlive_a_connection(server: ApiServer) -> None:
    """A plugin takes seconds, and a load balancer may cut every connection after one answer."""
    asked = []

    def identify() -> Credentials:
        asked.append(1)
        return Credentials({"Authorization": "Bearer t"})

    server.answer = lambda _: Reply(body="{}", headers={"Connection": "close"})
    with Client(Access("cluster:x", urlsplit(server.url), identify), wait=Patience()) as client:
        for _ in range(3):
            client.get("/x")
    assert (server.connections, len(asked)) == (3, 1)
    assert {one.headers["Authorization"] for one in server.asked} == {"Bearer t"}


def test_words_of_a_failure_are_one_printable_line(server: ApiServer) -> None:
    """They come from somebody else and go to a terminal."""
    with Client(access_to(server), wait=Patience()) as client:
        for body, words in (("a\n b\x1b[31m", "a b�[31m"), (b"\xff", "�"), ("", "no words of its own"), ("[]", "[]")):
            answers(server, Reply(400, body))
            assert client.get("/x").words == words
        answers(server, status(400, "x", "first\r\nsecond"))
        assert client.get("/x").words == "first second"


def test_a_response_can_be_read_as_it_comes(server: ApiServer) -> None:
    """For a watch: the first line is there before the last one is sent."""
    answers(server, Reply(body="one\ntwo\n", hold=4))
    with Client(access_to(server)) as client, client.open("/x", {"watch": "1"}) as stream:
        lines = stream.lines()
        assert next(lines) == b"one"
        server.stopping.set()
        assert list(lines) == [b"two"]
    assert server.asked[0].query == {"watch": "1"}


def test_once_is_once(server: ApiServer) -> None:
    """For callers with a patience of their own: a busy server, a refusal and a cut are theirs to answer."""
    with Client(access_to(server), wait=Patience()) as client:
        for code in (429, 503, 401, 410, 200):
            answers(server, status(code, "x", "words", Retry_After="3"))
            assert (client.once("/x").status, client.once("/x").retry_after) == (code, "3")
        answers(server, Reply(raw=b""))
        with pytest.raises(ClusterError, match="cut the connection: ") as caught:
            client.once("/x")
    assert "times" not in caught.value.message
    assert len(server.asked) == 11


def test_who_waits_for_an_answer_can_be_called_off(server: ApiServer) -> None:
    """By another thread, at once, and for ever."""
    answers(server, Reply(body="x" * 100, hold=10))
    client = Client(access_to(server), wait=Patience())
    said: list[str] = []

    def ask() -> None:
        try:
            client.get("/x")
        except ClusterError as error:
            said.append(error.message)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(server.asked) < 3:
        threads[0].join(0.001)
    client.end()
    for thread in threads:
        thread.join(20)
    assert len(said) == 3
    with pytest.raises(ClusterError, match="nothing more is asked"):
        client.get("/x")
    with pytest.raises(ClusterError, match="nothing more is asked"):
        client.open("/x")


def test_a_connection_stands_for_who_opened_it(server: ApiServer) -> None:
    """One that was opened with an old certificate is not used under a new one."""
    stamps = itertools.cycle([1, 1, 2])
    access = Access("cluster:x", urlsplit(server.url), lambda: Credentials({"Authorization": "Bearer t"}),
                    lasting=False, stamp=lambda: next(stamps))  # fmt: skip
    with Client(access) as client:
        for _ in range(3):
            assert client.get("/x").status == 200
        assert server.connections == 2
        assert client.renew()
        client.get("/x")
        assert server.connections == 3
    assert not Client(access_to(server)).renew()
