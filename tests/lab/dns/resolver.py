"""A resolver that says what the test tells it to, over UDP and TCP, in the namespace in which its sockets are made."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable

from outgate.proxy import dns
from outgate.proxy.dns import Malformed, Message, Record
from tests.lab.dns.town import Town

__all__ = ["Resolver", "addresses", "ask", "ask_tcp", "question"]

Reply = Callable[[Message, bytes], Iterable[bytes]]
"""From a query and its bytes, the datagrams or messages to send; nothing is silence."""


def addresses(*texts: str, name: str = "", ttl: int = 60) -> Reply:
    """Answers with the addresses of the family that was asked for."""

    def reply(asked: Message, _: bytes) -> Iterable[bytes]:
        (question,) = asked.questions
        kind = {1: 4, 28: 6}.get(question.type)
        found = [ipaddress.ip_address(one) for one in texts]
        records = [Record(name or question.name, question.type, one, ttl) for one in found if one.version == kind]
        yield dns.answer(asked, records)

    return reply


class Resolver:
    """Serves until it is closed. What it was asked is kept, with the sender of each."""

    def __init__(self, town: Town, address: str, reply: Reply) -> None:
        family = 6 if ":" in address else 4
        self.reply = reply
        self.asked: list[tuple[Message, bytes, tuple[str, int]]] = []
        self._udp = town.socket(town.outside, family)
        self._udp.settimeout(None)
        self._udp.bind((address, 53))
        self._tcp = town.socket(town.outside, family, socket.SOCK_STREAM)
        self._tcp.settimeout(None)
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._tcp.bind((address, 53))
        self._tcp.listen(16)
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """Sends a datagram of its own accord."""
        self._udp.sendto(data, to)

    def _serve_udp(self) -> None:
        while True:
            data, sender = self._udp.recvfrom(65535)
            for one in self._replies(data, sender):
                self._udp.sendto(one, sender)

    def _serve_tcp(self) -> None:
        while True:
            connection, sender = self._tcp.accept()
            threading.Thread(target=self._talk, args=(connection, sender), daemon=True).start()

    def _talk(self, connection: socket.socket, sender: tuple[str, int]) -> None:
        rest = b""
        with contextlib.suppress(OSError), connection:
            while data := connection.recv(65535):
                rest += data
                while True:
                    message, rest = dns.unframe(rest)
                    if message is None:
                        break
                    for one in self._replies(message, sender):
                        connection.sendall(dns.frame(one))

    def _replies(self, data: bytes, sender: tuple[str, int]) -> Iterable[bytes]:
        try:
            asked = dns.decode(data)
        except Malformed:
            return []
        self.asked.append((asked, data, sender))
        return self.reply(asked, data)


def question(name: str, kind: int = 1, number: int = 4711) -> bytes:
    """A query as a stub resolver writes it."""
    return dns.encode(Message(number, questions=(dns.Question(name, kind),)))


def ask(sock: socket.socket, server: str, query: bytes) -> Message:
    """The answer over UDP, which has to come from the address that was asked. Raises TimeoutError."""
    sock.sendto(query, (server, 53))
    while True:
        data, sender = sock.recvfrom(65535)
        assert sender[:2] == (server, 53), sender
        return dns.decode(data)


def ask_tcp(sock: socket.socket, *queries: bytes) -> list[Message]:
    """The answers over a connection that stands, in the order in which they come."""
    sock.sendall(b"".join(map(dns.frame, queries)))
    rest = b""
    found: list[Message] = []
    while len(found) < len(queries):
        data = sock.recv(65535)
        assert data, "the connection ended"
        rest += data
        while True:
            message, rest = dns.unframe(rest)
            if message is None:
                break
            found.append(dns.decode(message))
    return found
