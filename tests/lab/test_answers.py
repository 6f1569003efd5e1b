"""The servers of a lab: what they say to probes, to DNS clients, and to people."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from outgate.host.namespaces import NetworkNamespace
from outgate.lab import wire
from outgate.lab.answers import Answers, Box
from outgate.lab.names import Zone
from outgate.lab.sockets import Loop
from outgate.lab.tls import Authority
from outgate.lab.wire import Answer
from outgate.packets import Protocol
from outgate.proxy import dns
from outgate.proxy.dns import RecordType
from tests.lab.alone import alone
from tests.lab.test_sockets import prepare

pytestmark = pytest.mark.kernel

TOKEN = b"\x01\x02345678"
ZONE = Zone({"db.shop.svc.cluster.local": (ipaddress.ip_address("10.96.0.7"),)})
Result = TypeVar("Result")


def served(question: Callable[[Answers], Result]) -> Result:
    """What a client sees of a box that listens on TCP and UDP 4000, and speaks DNS on 53."""

    def inside() -> Result:
        prepare()
        here = NetworkNamespace("here", os.open("/proc/self/ns/net", os.O_RDONLY))
        dns_at = frozenset({("here", Protocol.UDP, 53), ("here", Protocol.TCP, 53)})
        answers = Answers(Loop(), {"here": Box(7, here, "shop/web")}, ZONE, dns_at)
        both = (Protocol.TCP, Protocol.UDP)
        answers.listen({"here": frozenset((protocol, port) for protocol in both for port in (53, 4000))})
        ended = threading.Event()
        thread = threading.Thread(target=answers.serve, args=(ended,))
        thread.start()
        try:
            return question(answers)
        finally:
            ended.set()
            # Whatever comes in wakes it up; whether it is still answered does not matter.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.sendto(b"bye", ("127.0.0.1", 4000))
            thread.join()

    return alone(inside)


def tcp(*parts: bytes, port: int = 4000, host: str = "127.0.0.1") -> bytes:
    """Everything that a connection says to some bytes, sent in parts."""
    with socket.create_connection((host, port), timeout=5) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            one.sendall(part)
        said = b""
        while more := one.recv(4096):
            said += more
    return said


def udp(data: bytes, port: int = 4000, host: str = "127.0.0.1") -> bytes:
    """What a datagram is answered."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(5)
        one.connect((host, port))
        one.send(data)
        return one.recv(4096)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("ask", [tcp, udp])
def test_a_probe_is_told_who_answers(ask: Callable[..., bytes], host: str) -> None:
    """The box, the port and the client as it was seen: without them a connect proves nothing."""
    answer = Answer.unpacked(served(lambda _: ask(wire.request(TOKEN), host=host)))
    assert answer is not None
    assert (answer.token, answer.box, answer.port, str(answer.seen)) == (TOKEN, 7, 4000, host)


def test_a_request_may_come_in_pieces() -> None:
    """TCP has no messages: the first byte alone must not be answered as if a person had typed it."""
    request = wire.request(TOKEN)
    answer = Answer.unpacked(served(lambda _: tcp(request[:2], request[2:5], request[5:])))
    assert answer is not None
    assert answer.token == TOKEN


def test_who_received_a_token_is_known() -> None:
    """A lost answer is told from a lost request by this."""

    def question(answers: Answers) -> str:
        udp(wire.request(TOKEN))
        return answers.arrived.get(TOKEN, "nobody")

    assert served(question) == "here"


@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_dns_is_answered(over: str) -> None:
    """A name, and the question who answers, over both transports."""

    def ask(message: bytes) -> dns.Message:
        if over == "udp":
            return dns.decode(udp(message, port=53))
        whole, rest = dns.unframe(tcp(dns.frame(message), port=53))
        assert whole is not None
        assert rest == b""
        return dns.decode(whole)

    def question(_: Answers) -> tuple[object, ...]:
        name = ask(dns.query(9, "DB.shop.svc.cluster.local", RecordType.A))
        who = ask(dns.query(9, wire.as_name(TOKEN), RecordType.AAAA))
        return name.addresses, wire.from_address(who.addresses[0]), ask(dns.query(9, "x.y", RecordType.A)).code

    assert served(question) == ((ipaddress.ip_address("10.96.0.7"),), (7, 53), 3)


def test_dns_noise_is_not_answered_and_does_not_stop_the_server() -> None:
    """A server that answers responses can be made to talk to itself for ever (RFC 1035 knows no such answer)."""

    def question(_: Answers) -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.connect(("127.0.0.1", 53))
            one.settimeout(5)
            one.send(b"\xff" * 40)
            one.send(dns.encode(dns.Message(1, response=True)))
            one.send(dns.query(2, "x.y", RecordType.A))
            return dns.decode(one.recv(4096)).id

    assert served(question) == 2


def test_people_get_a_line_of_text() -> None:
    """In a kept lab, with nc and curl: who is there, and as whom am I seen?"""
    line = b"shop/web answers on TCP port 4000; you come from 127.0.0.1\n"

    def question(_: Answers) -> tuple[bytes, bytes, bytes]:
        return tcp(b"hello\n"), tcp(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), udp(b"hello")

    typed, http, datagram = served(question)
    assert typed == line
    assert http.startswith(b"HTTP/1.1 200 OK\r\n")
    assert http.endswith(b"\r\n\r\n" + line)
    assert f"Content-Length: {len(line)}\r\n".encode() in http
    assert datagram == line.replace(b"TCP", b"UDP")


def test_a_client_that_says_nothing_gets_nothing() -> None:
    """`nc -z` and port scanners connect and go; the server must not mind."""

    def question(_: Answers) -> tuple[bytes, bytes]:
        with socket.create_connection(("127.0.0.1", 4000), timeout=5) as one:
            one.shutdown(socket.SHUT_WR)
            silent = one.recv(99)
        return silent, tcp(b"hello\n")[:8]

    assert served(question) == (b"", b"shop/web")


def test_tls_is_ended_here_whatever_the_port() -> None:
    """With a certificate for the name that is asked for; then as without it, for a probe and for a person."""

    def question(answers: Answers) -> tuple[bytes, bytes]:
        answers.tls = Authority(Path(tempfile.mkdtemp()))

        def secured(data: bytes, piece: int) -> bytes:
            with socket.create_connection(("127.0.0.1", 4000), timeout=5) as one:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                client = answers.tls.client().wrap_bio(incoming, outgoing, server_hostname="api.example.com")
                said, asked = b"", False
                while True:
                    try:
                        if not asked:
                            client.do_handshake()
                            client.write(data)
                            asked = True
                        while more := client.read(4096):
                            said += more
                        return said
                    except ssl.SSLWantReadError:
                        while sent := outgoing.read(piece):
                            one.sendall(sent)
                        incoming.write(one.recv(4096))

        return secured(wire.request(TOKEN), 1), secured(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 65536)

    token, page = served(question)
    answer = Answer.unpacked(token)
    assert answer is not None
    assert (answer.token, answer.box, answer.port) == (TOKEN, 7, 4000)
    assert page.startswith(b"HTTP/1.1 200 OK\r\n")
    assert page.endswith(b"shop/web answers on TCP port 4000; you come from 127.0.0.1\n")


def test_what_begins_like_tls_and_is_none() -> None:
    """It gets an alert, or the words where it is broken off, and the next is served."""

    def question(_: Answers) -> tuple[bytes, bytes]:
        return tcp(b"\x16\x03\x01\x00\x05nonsense"), tcp(b"hello")

    alert, words = served(question)
    assert alert[:1] == b"\x15"
    assert words.startswith(b"shop/web answers on TCP port 4000")
