"""What a pod may write on a connection, in all the ways in which somebody else might read it differently."""

from __future__ import annotations

import random

import pytest

from outgate.model.expressions import expression_problem
from outgate.policy.requests import Request, lets_request
from tests.lab.proxied import OUT6, Proxied, needs_envoy, read_reply, redirect, run
from tests.model.test_expressions import PIECES
from tests.policy.asks import asks

pytestmark = [pytest.mark.kernel, needs_envoy]

RULES = (asks("GET|POST", "/v1/.*"), asks("CONNECT", host=r"tunnel:\d+"), asks(r"OPTIONS", r"\*"))


def written(method: str, target: str, *headers: str, host: str = "a", body: str = "") -> str:
    """A request of HTTP/1.1."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    return "\r\n".join(lines) + "\r\n\r\n" + body


SECRET = "DELETE /secret HTTP/1.1\r\nHost: a\r\n\r\n"

# What is asked, and the status of the answer.
ASKED = {
    "plain": (written("GET", "/v1/x"), 200),
    "method": (written("DELETE", "/v1/x"), 403),
    "a method that Envoy does not know": (written("get", "/v1/x"), 400),
    "path": (written("GET", "/v2"), 403),
    "a query is of the path": (written("GET", "/v1/x?y=/../z"), 200),
    "dots": (written("GET", "/v1/../secret"), 403),
    "dots that stay inside": (written("GET", "/v2/../v1/x"), 200),
    "escaped dots": (written("GET", "/v1/%2e%2E/secret"), 403),
    "slashes that follow each other": (written("GET", "//v1///x"), 200),
    "slashes before dots": (written("GET", "/v1//../../secret"), 403),
    "an escaped slash": (written("GET", "/v1/..%2fsecret"), 307),
    "an escaped backslash": (written("GET", "/v1/..%5Csecret"), 307),
    "a dot and an escaped one": (written("GET", "/v1/.%2e/secret"), 403),
    "dots at the end": (written("GET", "/v1/.."), 403),
    "dots with a parameter, which some servers pass over": (written("GET", "/v1/..;/secret"), 403),
    "the same, escaped": (written("GET", "/v1/%2e%2e;/secret"), 400),
    "the same, with a value": (written("GET", "/v1/%2e%2E;a=b/secret"), 400),
    "with an escaped semicolon": (written("GET", "/v1/..%3B/secret"), 400),
    "one dot with a parameter": (written("GET", "/v1/%2e;/secret"), 400),
    "such dots in the query": (written("GET", "/v1/x?/..;/"), 200),
    "another parameter": (written("GET", "/v1/x;a=..;b"), 200),
    "an escaped zero byte": (written("GET", "/v1/%00"), 400),
    "octets beyond ASCII": (written("GET", "/v1/\xff\xfe"), 400),
    "a tab in the path": (written("GET", "/v1/\tx"), 400),
    "no slash at the beginning": (written("GET", "v1/x"), 400),
    "dots in an absolute target": (written("GET", "http://evil/v1/../secret"), 403),
    "an absolute target without a path": (written("GET", "http://evil"), 403),
    "a backslash": (written("GET", "/v1/..\\secret"), 403),
    "a fragment": (written("GET", "/v1/x#/../secret"), 400),
    "a blank in the path": (written("GET", "/v1/x y"), 400),
    "two lengths": (written("POST", "/v1/x", "Content-Length: 0", "Content-Length: 5", body="abcde"), 400),
    "length and chunks": (
        written("POST", "/v1/x", "Content-Length: 4", "Transfer-Encoding: chunked", body="0\r\n\r\n" + SECRET),
        400,
    ),
    "chunks of a kind": (written("POST", "/v1/x", "Transfer-Encoding: xchunked", body="0\r\n\r\n" + SECRET), 501),
    "chunks twice": (written("POST", "/v1/x", "Transfer-Encoding: chunked, chunked", body="0\r\n\r\n" + SECRET), 501),
    "chunks behind another coding": (
        written("POST", "/v1/x", "Transfer-Encoding: identity, chunked", body="0\r\n\r\n" + SECRET),
        501,
    ),
    "chunks and none": (
        written(
            "POST", "/v1/x", "Transfer-Encoding: chunked", "Transfer-Encoding: identity", body="0\r\n\r\n" + SECRET
        ),
        501,
    ),
    "chunks behind a vertical tab": (
        written("POST", "/v1/x", "Transfer-Encoding: \x0bchunked", body="0\r\n\r\n" + SECRET),
        400,
    ),
    "chunks, a blank before the colon": (
        written("POST", "/v1/x", "Transfer-Encoding : chunked", body="0\r\n\r\n" + SECRET),
        400,
    ),
    "the same length twice": (written("POST", "/v1/x", "Content-Length: 5", "Content-Length: 5", body="abcde"), 400),
    "a list of lengths": (written("POST", "/v1/x", "Content-Length: 5, 5", body="abcde"), 400),
    "a length in hexadecimal": (written("POST", "/v1/x", "Content-Length: 0x5", body="abcde"), 400),
    "a negative length": (written("POST", "/v1/x", "Content-Length: -1", body="abcde"), 400),
    "a length beyond 64 bits": (written("POST", "/v1/x", "Content-Length: 99999999999999999999", body="abcde"), 400),
    "a host that goes only as far": (written("GET", "/v1/x", "Connection: host"), 400),
    "no name of a header": (written("GET", "/v1/x", ": b"), 400),
    "a line that is no header": (written("GET", "/v1/x", "abc"), 400),
    "a field of HTTP/2": (written("GET", "/v1/x", ":path: /secret"), 400),
    "a blank before the method": (" " + written("GET", "/v1/x"), 400),
    "no protocol": ("GET /v1/x\r\n\r\n", 426),
    "a protocol to come": ("GET /v1/x HTTP/1.2\r\nHost: a\r\n\r\n", 426),
    "a host with a slash": (written("GET", "/v1/x", host="a/../b"), 400),
    "an upgrade to something else": (written("GET", "/v1/x", "Connection: Upgrade", "Upgrade: foo"), 403),
    "several upgrades": (written("GET", "/v1/x", "Connection: Upgrade", "Upgrade: websocket, h2c"), 403),
    "a tunnel by its path": (written("CONNECT", "/v1/x"), 400),
    "a tunnel by an absolute target": (written("CONNECT", "http://tunnel:80/", host="tunnel:80"), 400),
    "blank before the colon": (written("POST", "/v1/x", "Content-Length : 5", body="abcde"), 400),
    "a length with a sign": (written("POST", "/v1/x", "Content-Length: +5", body="abcde"), 400),
    "a zero byte": (written("GET", "/v1/x", "X: a\0b"), 400),
    "two hosts": (written("GET", "/v1/x", "Host: b"), 400),
    "no host": ("GET /v1/x HTTP/1.1\r\n\r\n", 400),
    "an older protocol": ("GET /v1/x HTTP/1.0\r\nHost: a\r\n\r\n", 426),
    "none at all": ("SSH-2.0-client\r\n", 400),
    "the asterisk, which Envoy has no route for": (written("OPTIONS", "*"), 404),
    "a header that is too large": (written("GET", "/v1/x", f"X: {'y' * 70_000}"), 431),
    "too many headers": (written("GET", "/v1/x", *(f"X{number}: y" for number in range(300))), 431),
    "a tunnel": (written("CONNECT", "tunnel:80", host="tunnel:80"), 200),
    "a tunnel to elsewhere": (written("CONNECT", "203.0.113.11:8080", host="203.0.113.11:8080"), 403),
    "a tunnel that says another host": (written("CONNECT", "evil:80", host="tunnel:80"), 403),
}


def test_asked() -> None:
    """Each on a connection of its own."""

    def check(world: Proxied) -> None:
        answers = {name: world.ask(request).status for name, (request, _) in ASKED.items()}
        assert answers == {name: status for name, (_, status) in ASKED.items()}

    run(check, redirect(*RULES))


def test_what_goes_on() -> None:
    """To the byte: what was judged is what is sent, and no more than one request of it."""

    def check(world: Proxied) -> None:
        def seen(request: str) -> str:
            reply = world.ask(request, port=82)
            assert reply.status == 200, (request, reply)
            return reply.body

        assert seen(written("GET", "//v1/./x/../y?z=//")).startswith("GET /v1/y?z=// HTTP/1.1\r\nhost: a\r\n")
        assert "GET /v1/x" in seen(written("GET", "http://evil:99/v1/x")).splitlines()[0]
        assert "host: evil:99\r\n" in seen(written("GET", "http://evil:99/v1/x"))
        # RFC 9112, 2.2 and 5.2: a bare line feed may be taken for a line's end, and folds are joined; then both are
        # written as one line each, so nobody behind can read them otherwise.
        assert "\r\nx-a: b c\r\n" in seen(written("GET", "/v1/x", "X-A: b\r\n c"))
        assert seen("GET /v1/x HTTP/1.1\nHost: a\nX-A: b\n\n").count("\n") == seen(
            written("GET", "/v1/x", "X-A: b")
        ).count("\n")
        assert "\r" not in seen(written("GET", "/v1/x", "X-A: b\rDELETE")).replace("\r\n", "")
        # What would be obeyed by an Envoy that trusts the client is neither obeyed nor handed on.
        told = seen(written("GET", "/v1/x", "x-envoy-retry-on: 5xx", "x-envoy-upstream-rq-timeout-ms: 1"))
        assert "x-envoy" not in told
        # A request in the body of another stays there, whatever is said of its length.
        for line in ("Connection: content-length", "X: y"):
            body = seen(written("POST", "/v1/x", line, f"Content-Length: {len(SECRET)}", body=SECRET)).partition(
                "\r\n\r\n"
            )
            assert ("content-length: 36" in body[0]) is ("transfer-encoding" not in body[0])
        assert "content-length" not in seen(
            written("POST", "/v1/x", "Transfer-Encoding: Chunked", body="0\r\nContent-Length: 50\r\n\r\n" + SECRET)
        )
        assert "upgrade" not in seen(written("GET", "/v1/x", "Connection: Upgrade", "Upgrade: h2c"))

    run(check, redirect(*RULES))


def test_several_on_one_connection() -> None:
    """Kept alive, one behind the other, and a refused one between: it ends no connection, and hides none behind it."""

    def check(world: Proxied) -> None:
        with world.connection() as one:
            one.sendall((written("GET", "/v1/1") + written("GET", "/v1/2") + written("GET", "/v1/3")).encode())
            assert [read_reply(one).body.splitlines()[1][:10] for _ in range(3)] == [
                "GET /v1/1 ",
                "GET /v1/2 ",
                "GET /v1/3 ",
            ]
            for method, status in (("GET", 200), ("DELETE", 403), ("GET", 200)):
                one.sendall(written(method, "/v1/x").encode())
                assert read_reply(one).status == status
        with world.connection() as one:
            one.sendall((written("GET", "/v1/1") + SECRET).encode())
            assert [read_reply(one).status for _ in range(2)] == [200, 403]

    run(check, redirect(*RULES))


CHUNKS = {
    "3;x=y\r\nabc\r\n0\r\n\r\n": 200,
    "3;x\nabc\r\n0\r\n\r\n": 400,
    "3\nabc\n0\n\n": 400,
    "0x3\r\nabc\r\n0\r\n\r\n": 400,
    "-3\r\nabc\r\n0\r\n\r\n": 400,
    "fffffffffffffffff\r\nabc\r\n0\r\n\r\n": 400,
    "2\r\nabc\r\n0\r\n\r\n": 400,
}
"""Bodies in chunks, and whether they are said as RFC 9112, 7.1, has it."""


def test_chunks_are_said_in_one_way() -> None:
    """Port 82 answers as soon as it has a header: what is wrong behind it has to be told by Envoy, or never arrives."""

    def check(world: Proxied) -> None:
        for body, status in CHUNKS.items():
            reply = world.ask(written("POST", "/v1/x", "Transfer-Encoding: chunked", body=body))
            assert reply.status == status, body

    run(check, redirect(*RULES))


def test_headers_that_go_no_further_count_for_nothing() -> None:
    """RFC 9110, 7.6.1: what Connection names is taken away; so it is judged without. Two lines are one value."""

    def check(world: Proxied) -> None:
        for lines, status in (
            (("X-A: 1",), 200),
            (("Connection: x-a", "X-A: 1"), 403),
            (("Connection: close, X-A", "X-A: 1"), 403),
            (("X-A: 1", "x-a: 1"), 403),
        ):
            assert world.ask(written("GET", "/v1/x", *lines)).status == status, lines

    run(check, redirect(asks("GET", "/v1/.*", "", ["X-A 1"])))


def test_an_upgrade_to_http2_is_none() -> None:
    """What follows it is taken for a request of HTTP/1.1, and is none."""

    def check(world: Proxied) -> None:
        upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
        with world.connection() as one:
            one.sendall(written("GET", "/v1/x", *upgrade).encode())
            assert read_reply(one).status == 200
            one.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert read_reply(one).status == 400

    run(check, redirect(*RULES))


def test_bodies() -> None:
    """Larger than a packet, larger than every buffer, chunked, and asked for before it is sent."""

    def check(world: Proxied) -> None:
        for size in (0, 1, 1400, 1500, 9000, 3_000_000):
            reply = world.ask(written("POST", "/v1/x", f"Content-Length: {size}", body="y" * size), OUT6)
            assert reply.body.split()[2] == str(size)
        chunks = "".join(f"{size:x}\r\n{'y' * size}\r\n" for size in (1, 5000, 100_000)) + "0\r\n\r\n"
        reply = world.ask(written("POST", "/v1/x", "Transfer-Encoding: chunked", body=chunks))
        assert (reply.status, reply.body.split()[2]) == (200, "105001")
        with world.connection() as one:
            one.sendall(written("POST", "/v1/x", "Content-Length: 4", "Expect: 100-continue").encode())
            assert read_reply(one).status == 100
            one.sendall(b"body")
            assert read_reply(one).body.split()[2] == "4"
        # A refused one is answered before its body has been read.
        assert world.ask(written("PUT", "/v1/x", "Content-Length: 3000000")).status == 403

    run(check, redirect(*RULES))


def test_upgrades_and_tunnels() -> None:
    """A websocket and a tunnel pass where their request does, and carry bytes both ways."""

    def check(world: Proxied) -> None:
        for request, status in (
            (written("GET", "/v1/x", "Connection: Upgrade", "Upgrade: websocket"), 101),
            (written("CONNECT", "tunnel:80", host="tunnel:80"), 200),
        ):
            with world.connection() as one:
                one.sendall(request.encode())
                assert read_reply(one).status == status
                one.sendall(b"\0bytes" * 1000)
                got = b""
                while len(got) < 6000:
                    got += one.recv(65536)
                assert got == b"\0bytes" * 1000
        assert world.ask(written("GET", "/v2", "Connection: Upgrade", "Upgrade: websocket")).status == 403

    run(check, redirect(*RULES))


_METHODS = ("GET", "POST", "DELETE", "OPTIONS")
_PATHS = ("/", "/a", "/a?b=c", "/a/b", "/ab", "/a.b", "/A")
_HOSTS = ("a.example", "a.example:80", "aXexample", "b")
_HEADERS = ((), ("X-A: 1",), ("X-A: 2",), ("X-A: 1", "X-A: 2"), ("x-a: 1", "X-B: "), ("X-B: 1",))


def test_envoy_agrees_with_the_model() -> None:
    """Random rules, all of the requests above: what Envoy answers is what `allows` says."""
    dice = random.Random(5)
    rules = [
        [
            asks(
                dice.choice(["", "GET", "GET|POST", "P.*", "G.T"]),
                dice.choice(["", "/a", "/a.*", r"/a(\?b=c|/b)", "/[a-z]+", "/a.b"]),
                dice.choice(["", r"a\.example", "a.example", r"a\.example(:\d+)?"]),
                dice.choice([[], ["X-A"], ["X-A 1"], ["X-B: 1"], ["X-A 1,2", "X-A"]]),
            )
            for _ in range(dice.randrange(1, 3))
        ]
        for _ in range(12)
    ]

    def check(world: Proxied) -> None:
        met = set()
        for one in rules:
            world.tell(redirect(*one))
            with world.connection() as kept:
                for _ in range(40):
                    method, path, host = dice.choice(_METHODS), dice.choice(_PATHS), dice.choice(_HOSTS)
                    lines = dice.choice(_HEADERS)
                    pairs = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
                    kept.sendall(written(method, path, *lines, host=host).encode())
                    status = read_reply(kept).status
                    expected = lets_request(one, Request(method, path, host, pairs))
                    assert status == (200 if expected else 403), (one, method, path, host, lines)
                    met.add(expected)
        assert met == {True, False}

    run(check)


def test_envoy_takes_every_expression_that_is_taken_for_one() -> None:
    """One that it refuses would cost all rules of the node; so all of them at once, and the largest among them.

    What is none is refused where it is written (tests/model/test_expressions.py), and lets nothing through here.
    """
    dice = random.Random(7)
    texts = ["".join(dice.choices(PIECES, k=dice.randrange(1, 6))) for _ in range(600)]
    taken = [one for one in texts if not expression_problem(one)]
    refused = [one for one in texts if expression_problem(one)]
    large = next(
        f"/v1/(abc|d){{0,{size}}}" for size in range(1000, 0, -1) if not expression_problem(f"/v1/(abc|d){{0,{size}}}")
    )
    assert min(len(taken), len(refused)) > 100

    def check(world: Proxied) -> None:
        world.tell(redirect(*(asks("GET", one) for one in (*taken, large))))
        assert world.ask(written("GET", "/v1/abcd")).status == 200
        world.tell(redirect(asks("GET", "/v1/x"), *(asks("GET", one) for one in refused)))
        assert [world.ask(written("GET", one)).status for one in ("/v1/x", "/v1/y")] == [200, 403]

    run(check)
