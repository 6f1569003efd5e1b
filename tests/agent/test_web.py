"""The web server answers three questions to anybody who can ask, and nobody can keep the others from asking."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from outgate.agent.web import Page, WebServer, listening_address, pages_of
from outgate.errors import KernelError, UsageError


class Agent:
    """What pages are made of."""

    def __init__(self) -> None:
        self.live = self.ready = (True, "ok")
        self.asked = threading.Event()
        self.pages = pages_of(lambda: self.live, lambda: self.ready, lambda accept: ("text/x", f"m {accept}".encode()))


@contextmanager
def serving(agent: Agent, listen: str = "127.0.0.1:0", **more: float) -> Iterator[WebServer]:
    """A server for a while."""
    with WebServer(listen, agent.pages, **more) as server:  # type: ignore[arg-type]  # a table of keywords
        yield server


def get(server: WebServer, path: str, method: str = "GET", host: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
    """One request."""
    client = http.client.HTTPConnection(host, server.port, timeout=30)
    try:
        client.request(method, path, headers=headers)
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()


def raw(server: WebServer, data: bytes) -> bytes:
    """What comes back for some bytes, after which no more are sent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(4096), b""))


def test_three_pages() -> None:
    """And the codes that the kubelet goes by."""
    agent = Agent()
    with serving(agent) as server:
        assert get(server, "/livez") == get(server, "/readyz?verbose") == (200, "ok\n")
        assert get(server, "/metrics", Accept="x") == (200, "m x")
        agent.live, agent.ready = (False, "it hangs"), (False, "not yet")
        assert get(server, "/livez") == (503, "it hangs\n")
        assert get(server, "/readyz") == (503, "not yet\n")


def test_nothing_else() -> None:
    """No other path, no other method, nothing that is no HTTP."""
    with serving(Agent()) as server:
        assert get(server, "/")[0] == get(server, "/metrics/../etc/passwd")[0] == 404
        assert get(server, "/metrics", "POST")[0] == get(server, "/livez", "DELETE")[0] == 405
        assert raw(server, b"hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert raw(server, b"GET /livez HTTP/2.0\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert raw(server, b"GET \xff\x00 HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 ")
        assert raw(server, b"GET /livez HTTP/1.1\r\n") == b""
        assert raw(server, b"") == b""


def test_a_head_has_its_limit() -> None:
    """Memory is not for whoever sends the most."""
    with serving(Agent()) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            try:
                for _ in range(1000):
                    client.sendall(b"x" * 4096)
                assert client.recv(1) == b""
            except (ConnectionResetError, BrokenPipeError):
                pass
            else:
                pytest.fail("4 MB of a head were taken")
        assert get(server, "/livez")[0] == 200


def test_a_request_that_trickles_in_is_left() -> None:
    """However regularly a byte comes, the time for all of them is bounded."""
    with (
        serving(Agent(), patience=0.2) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=30) as client,
    ):
        client.sendall(b"GET /livez HTTP/1.1\r\nX: ")
        assert client.recv(1) == b""


def test_those_who_hold_the_door_open_do_not_keep_others_out() -> None:
    """More silent connections than there is room for: the oldest goes, and the kubelet is answered."""
    with serving(Agent(), at_once=4, patience=600) as server, ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30)) for _ in range(12)
        ]
        assert get(server, "/livez") == (200, "ok\n")
        assert silent[0].recv(1) == b""


def test_those_who_do_not_take_their_answer_do_not_either() -> None:
    """An answer that nobody reads fills the buffers, and then the thread that writes it waits."""
    pages = {**Agent().pages, "/metrics": lambda _: Page(200, bytes(50_000_000))}
    with WebServer("127.0.0.1:0", pages, at_once=2, patience=600) as server, ExitStack() as stack:
        for _ in range(6):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert get(server, "/livez") == (200, "ok\n")


def test_a_page_that_fails_is_an_answer() -> None:
    """Metrics that cannot be made must not look like a network that is down."""

    def fail(_: object) -> Page:
        raise ZeroDivisionError

    with WebServer("127.0.0.1:0", {"/metrics": fail}) as server:
        for _ in range(40):
            assert get(server, "/metrics")[0] == 503


def test_a_slow_page_holds_up_no_other() -> None:
    """Reading the kernel for metrics may take longer than the kubelet waits."""
    entered, leave = threading.Event(), threading.Event()

    def slow(_: object) -> Page:
        entered.set()
        leave.wait(30)
        return Page(200, b"slow")

    agent = Agent()
    with WebServer("127.0.0.1:0", {**agent.pages, "/metrics": slow}) as server:
        found: list[tuple[int, str]] = []
        asking = threading.Thread(target=lambda: found.append(get(server, "/metrics")))
        asking.start()
        assert entered.wait(30)
        assert get(server, "/livez")[0] == 200
        leave.set()
        asking.join()
        assert found == [(200, "slow")]


@pytest.mark.parametrize(
    ("listen", "host"), [("[::1]:0", "::1"), (":0", "127.0.0.1"), (":0", "::1"), ("0.0.0.0:0", "127.0.0.1")]
)
def test_both_families(listen: str, host: str) -> None:
    """An address in brackets, or none for all of them."""
    with serving(Agent(), listen) as server:
        assert get(server, "/livez", host=host)[0] == 200


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:9765", ("127.0.0.1", 9765)),
        ("[::1]:1", ("::1", 1)),
        (":80", ("::", 80)),
        ("[fd00::2]:0", ("fd00::2", 0)),
    ],
)
def test_addresses(text: str, found: tuple[str, int]) -> None:
    """As one writes them everywhere."""
    assert listening_address(text) == found


@pytest.mark.parametrize(
    "text",
    ["", "9765", "localhost:1", "::1:80", "[127.0.0.1]:1", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:٣"],
)
def test_no_addresses(text: str) -> None:
    """Said before anything is listened on."""
    with pytest.raises(UsageError, match="is no address to listen on"):
        listening_address(text)


def test_a_port_that_is_taken() -> None:
    """Is the kernel's refusal, in a sentence."""
    with serving(Agent()) as server, pytest.raises(KernelError, match="cannot be listened on: address already in use"):
        WebServer(f"127.0.0.1:{server.port}", {})
