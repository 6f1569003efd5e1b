"""Questions of pods, to a server that answers as it likes, without a lab around it."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from outgate.lab import questions
from outgate.lab.answers import Answers
from outgate.lab.moving import Expected, NameQuestion
from outgate.lab.sockets import Loop
from outgate.packets import Protocol
from outgate.policy import Endpoint
from outgate.proxy import dns
from outgate.proxy.dns import Message, Record, ResponseCode

HERE = ipaddress.ip_address("127.0.0.1")
Reply = Callable[[Message], bytes]


@contextlib.contextmanager
def served(reply: Reply, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Protocol, Expected], tuple[str, str]]]:
    """A server on loopback, and how to ask it. An empty reply is silence; over TCP the connection ends then."""
    udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
    udp.bind((str(HERE), 0))
    port = udp.getsockname()[1]
    tcp.bind((str(HERE), port))
    tcp.listen()
    monkeypatch.setattr(questions, "DNS_PORT", port)
    monkeypatch.setattr(questions, "_REPEAT", 0.05)

    def serve_udp() -> None:
        with contextlib.suppress(OSError):
            while True:
                data, sender = udp.recvfrom(1000)
                if not data:
                    return
                if said := reply(dns.decode(data)):
                    udp.sendto(said, sender)

    def serve_tcp() -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = tcp.accept()
                with one:
                    message, _ = dns.unframe(one.recv(1000))
                    assert message is not None
                    said = reply(dns.decode(message))
                    one.sendall(dns.frame(said) if said else b"")

    for serve in (serve_udp, serve_tcp):
        threading.Thread(target=serve, daemon=True).start()
    box = SimpleNamespace(space=SimpleNamespace(enter=contextlib.nullcontext))
    answers = cast("Answers", SimpleNamespace(loop=Loop(), boxes={"pod": box}))

    def asked(protocol: Protocol, expected: Expected) -> tuple[str, str]:
        one = NameQuestion("pod", Endpoint(HERE), HERE, "a.example.com", protocol, expected)
        (result,) = questions.ask_names(answers, (one,), patience=0.3)
        assert result.disagrees is (result.observed != expected.value)
        return result.observed, result.evidence

    try:
        yield asked
    finally:
        for listening in (udp, tcp):
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()


ADDRESS = ipaddress.ip_address("203.0.113.10")


@pytest.mark.parametrize(
    ("reply", "udp", "tcp"),
    [
        (lambda it: dns.answer(it, [Record("a.example.com", 1, ADDRESS)]), "answered", "answered"),
        (lambda it: dns.answer(it, (), ResponseCode.NAME_ERROR), "answered", "answered"),
        (lambda it: dns.answer(it, (), ResponseCode.REFUSED), "REFUSED", "REFUSED"),
        (lambda _: b"", "silence", "closed"),
        (lambda it: dns.query(it.id, "a.example.com", dns.RecordType.A), "silence", "closed"),
        (lambda _: b"what", "silence", "silence"),
    ],
)
def test_what_a_pod_is_answered(reply: Any, udp: str, tcp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of the server is one whatever it says; a question that comes back is none."""
    with served(reply, monkeypatch) as asked:
        for protocol, observed in ((Protocol.UDP, udp), (Protocol.TCP, tcp)):
            assert asked(protocol, Expected.REFUSED)[0] == observed


def test_a_lost_question_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a resolver does it."""
    numbers: list[int] = []

    def reply(asked: Message) -> bytes:
        numbers.append(asked.id)
        return dns.answer(asked, [Record("a.example.com", 1, ADDRESS)]) if len(numbers) > 2 else b""

    with served(reply, monkeypatch) as asked:
        assert asked(Protocol.UDP, Expected.ANSWERED) == ("answered", "203.0.113.10")
    assert len(set(numbers)) == 1
