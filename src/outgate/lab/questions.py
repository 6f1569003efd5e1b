"""Asks what pods may ask of DNS and what they may not, and says what they are answered.

What is looked at is the answer alone: a name that no list has is answered REFUSED, aloud and at once, and any answer of
the server itself is one, also that there is no such name. Over UDP a question is repeated while nothing comes.
"""

from __future__ import annotations

import functools
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from outgate.lab.answers import Answers
from outgate.lab.clients import beside
from outgate.lab.moving import Expected, NameQuestion
from outgate.lab.names import DNS_PORT
from outgate.lab.plan import Lookup
from outgate.packets import Protocol
from outgate.policy import Endpoint
from outgate.proxy import dns
from outgate.proxy.dns import Message, RecordType, ResponseCode
from outgate.report.lab_names import QuestionResult

__all__ = ["ask_names", "looked_up"]

_REPEAT = 0.5
"""Seconds after which a datagram is taken for lost."""
_LARGEST = 65535


@dataclass(frozen=True, slots=True)
class _Heard:
    message: Message | None = None
    why: str = "no answer came"
    """Where there is no message."""
    closed: bool = False
    """The connection was ended without one."""


def ask_names(answers: Answers, questions: Sequence[NameQuestion], *, patience: float) -> tuple[QuestionResult, ...]:
    """What each is answered, in their order. What is not answered within `patience` seconds is silent.

    Raises:
        KernelError: a box cannot be entered.
    """
    heard = beside(answers.loop, [functools.partial(_heard, answers, one, patience) for one in questions])
    return tuple(_result(*pair) for pair in zip(questions, heard, strict=True))


def looked_up(answers: Answers, box: str, lookup: Lookup, *, patience: float) -> str:
    """Asks for a name as a resolver does, from a thread of a client; why the answer is not what it should be, or ""."""
    source = Endpoint(lookup.source)
    question = NameQuestion(box, source, lookup.server, lookup.name, Protocol.UDP, Expected.ANSWERED)
    heard = _heard(answers, question, patience, lookup.kind)
    if heard.message is None:
        return f"{lookup.name} was asked for: {heard.why}"
    if set(heard.message.addresses) != set(lookup.expected):
        return f"{lookup.name} was answered with {_words(heard.message)}"
    return ""


def _heard(answers: Answers, question: NameQuestion, patience: float, kind: RecordType | None = None) -> _Heard:
    number = secrets.randbits(16)
    own = RecordType.A if question.source.address.version == 4 else RecordType.AAAA
    data = dns.query(number, question.name, kind or own)
    try:
        with _socket(answers, question) as client:
            client.connect((str(question.server), DNS_PORT))
            replies = _stream if question.protocol is Protocol.TCP else _datagrams
            for reply in replies(client, data, time.monotonic() + patience):
                message = dns.decode(reply)
                if message.response and message.id == number:
                    return _Heard(message)
    except TimeoutError:
        return _Heard()
    except dns.Malformed as error:
        return _Heard(why=f"the answer cannot be read: {error}")
    except OSError as error:
        reset = isinstance(error, ConnectionResetError)
        return _Heard(why=(error.strerror or str(error)).lower(), closed=reset)
    return _Heard(closed=question.protocol is Protocol.TCP)


def _socket(answers: Answers, question: NameQuestion) -> socket.socket:
    family = socket.AF_INET if question.source.address.version == 4 else socket.AF_INET6
    kind = socket.SOCK_STREAM if question.protocol is Protocol.TCP else socket.SOCK_DGRAM
    with answers.boxes[question.box].space.enter():
        client = socket.socket(family, kind)
    client.settimeout(_REPEAT)
    client.bind((str(question.source.address), 0))
    return client


def _datagrams(client: socket.socket, data: bytes, until: float) -> Iterator[bytes]:
    while time.monotonic() < until:
        client.send(data)
        try:
            yield client.recv(_LARGEST)
        except TimeoutError:
            continue


def _stream(client: socket.socket, data: bytes, until: float) -> Iterator[bytes]:
    client.settimeout(max(0.1, until - time.monotonic()))
    client.sendall(dns.frame(data))
    received = b""
    while more := client.recv(_LARGEST):
        message, received = dns.unframe(received + more)
        if message is not None:
            yield message


def _result(question: NameQuestion, heard: _Heard) -> QuestionResult:
    return QuestionResult(
        source=question.source,
        server=question.server,
        name=question.name,
        protocol=question.protocol,
        expected=question.expected.value,
        observed=_observed(heard),
        evidence=_words(heard.message) if heard.message is not None else heard.why,
    )


def _observed(heard: _Heard) -> str:
    if heard.message is None:
        return "closed" if heard.closed else "silence"
    return "REFUSED" if heard.message.code == ResponseCode.REFUSED else "answered"


def _words(message: Message) -> str:
    if message.addresses:
        return ", ".join(map(str, message.addresses))
    known = {one.value: one.name for one in ResponseCode}
    return f"the response code {known.get(message.code, str(message.code))}"
