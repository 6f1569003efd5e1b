"""HTTP/2 with prior knowledge, in all the ways in which somebody else might read it differently."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest

from tests.lab.proxied import Proxied, needs_envoy, redirect, run
from tests.lab.test_proxied import frames, literal
from tests.policy.asks import asks

pytestmark = [pytest.mark.kernel, needs_envoy]

RULES = (asks("GET", "/v1/.*", "good"), asks("CONNECT", host="tunnel"))
GET, HTTP, PATH, GOOD = (":method", "GET"), (":scheme", "http"), (":path", "/v1/x"), (":authority", "good")
OK, REFUSED, BAD, RESET = 0x88, 0x08, 0x8C, 0
"""The first octet of an answer: status 200 and 400 by their index (RFC 7541, A), 403 as a literal; none."""

ASKED = {
    "plain": ([GET, HTTP, PATH, GOOD], OK),
    "a method": ([(":method", "DELETE"), HTTP, PATH, GOOD], REFUSED),
    "a path": ([GET, HTTP, (":path", "/v2"), GOOD], REFUSED),
    "dots": ([GET, HTTP, (":path", "/v1/../v2"), GOOD], REFUSED),
    "escaped dots": ([GET, HTTP, (":path", "/v1/%2e%2e/v2"), GOOD], REFUSED),
    "dots with a parameter": ([GET, HTTP, (":path", "/v1/%2e%2e;/v2"), GOOD], BAD),
    "an absolute path": ([GET, HTTP, (":path", "http://good/v1/x"), GOOD], RESET),
    "no path": ([GET, HTTP, (":path", ""), GOOD], RESET),
    "two paths": ([GET, HTTP, PATH, (":path", "/v2"), GOOD], RESET),
    "a path that ends its line": ([GET, HTTP, (":path", "/v1/x HTTP/1.1\r\nx: y"), GOOD], RESET),
    "an authority": ([GET, HTTP, PATH, (":authority", "evil")], REFUSED),
    "two authorities": ([GET, HTTP, PATH, GOOD, (":authority", "evil")], RESET),
    # RFC 9113, 8.3.1: the authority counts, and a host beside it is not to say something else.
    "a host beside the authority": ([GET, HTTP, PATH, (":authority", "evil"), ("host", "good")], REFUSED),
    "a host in its place": ([GET, HTTP, PATH, ("host", "good")], OK),
    "a host in its place that is another": ([GET, HTTP, PATH, ("host", "evil")], REFUSED),
    "a late pseudo header": ([GET, HTTP, GOOD, ("x", "y"), PATH], RESET),
    "a scheme": ([GET, (":scheme", "https"), PATH, GOOD], OK),
    "CONNECT": ([(":method", "CONNECT"), (":authority", "evil")], REFUSED),
    "CONNECT with a protocol": (
        [(":method", "CONNECT"), (":protocol", "websocket"), HTTP, (":path", "/v2"), (":authority", "tunnel")],
        RESET,
    ),
    "a length that lies": ([GET, HTTP, PATH, GOOD, ("content-length", "5")], RESET),
    "chunks": ([GET, HTTP, PATH, GOOD, ("transfer-encoding", "chunked")], RESET),
    "a value that ends its line": ([GET, HTTP, PATH, GOOD, ("x", "a\r\nb: c")], RESET),
    "a large name": ([GET, HTTP, PATH, GOOD, ("X-A", "b")], RESET),
}


def ask(one: socket.socket, pairs: list[tuple[str, str]], stream: int = 1) -> None:
    """A request without a body."""
    one.sendall(frames(1, 5, stream, b"".join(literal(*pair) for pair in pairs)))


def first_octet(one: socket.socket) -> int:
    """Of the next answer's header block; 0 where the stream, or the connection, is reset."""
    with one.makefile("rb") as reading:
        while head := reading.read(9):
            payload = reading.read(int.from_bytes(head[:3], "big"))
            if head[3] == 1:
                # The size of the table is said first (RFC 7541, 4.2).
                return payload.removeprefix(b"\x20")[0]
            if head[3] in (3, 7):
                break
    return RESET


def begin(one: socket.socket) -> None:
    """The preface and settings (RFC 9113, 3.4): answers are not to speak of headers of answers before."""
    one.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames(4, 0, 0, struct.pack("!HI", 1, 0)))


def test_asked() -> None:
    """Each on a connection of its own; all at once, since Envoy takes a second to close one that it refuses."""

    def check(world: Proxied) -> None:
        with contextlib.ExitStack() as stack:
            connections = {name: stack.enter_context(world.connection(port=83)) for name in ASKED}
            for name, one in connections.items():
                begin(one)
                ask(one, ASKED[name][0])
            answers = {name: first_octet(one) for name, one in connections.items()}
        assert answers == {name: octet for name, (_, octet) in ASKED.items()}

    run(check, redirect(*RULES))


def test_each_stream_of_a_connection_is_judged() -> None:
    """And by the rules of its time."""

    def check(world: Proxied) -> None:
        good, bad = ASKED["plain"][0], ASKED["a path"][0]
        with world.connection(port=83) as one:
            begin(one)
            for stream, pairs, octet in ((1, good, OK), (3, bad, REFUSED), (5, good, OK)):
                ask(one, pairs, stream)
                assert first_octet(one) == octet
            world.tell(redirect(asks("GET", "/v2", "good")))
            for stream, pairs, octet in ((7, good, REFUSED), (9, bad, OK)):
                ask(one, pairs, stream)
                assert first_octet(one) == octet

    run(check, redirect(*RULES))
