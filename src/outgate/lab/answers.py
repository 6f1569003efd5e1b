"""Everybody who is asked: the servers in all boxes, on every port that is probed.

A request of the lab gets an answer that names the box. On a DNS server's port, DNS is spoken. Whoever says
anything else (a person with curl or nc in a kept lab) gets a line of text, as HTTP where HTTP was spoken. Who begins
with TLS gets it, on every port, and is asked inside of it what is wanted.
Who received which token is noted, so that a lost answer can be told from a lost request.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from outgate.errors import KernelError
from outgate.host.namespaces import NetworkNamespace
from outgate.lab import sctp, sockets
from outgate.lab.greeting import greeting, half_said, speaks_http
from outgate.lab.names import Zone
from outgate.lab.sockets import Loop
from outgate.lab.tls import HANDSHAKE, Authority, Ending
from outgate.lab.wire import Answer, as_address, name_token, token_of, unfinished
from outgate.packets import Address, Protocol
from outgate.proxy import dns
from outgate.proxy.dns import Record, RecordType

__all__ = ["Answers", "Box"]

_PATIENCE = 1.0
"""Seconds that a served lab waits for events before it looks whether it is to end."""

_MOST_NOTES = 100_000
"""Tokens that are remembered in a lab that is served on and on."""


@dataclass(frozen=True, slots=True)
class Box:
    """Where sockets live: a network namespace, with its number in answers and the words for people."""

    number: int
    space: NetworkNamespace
    title: str


@dataclass(slots=True)
class Answers:
    """The servers of a lab. Make it, `listen`, then let the loop turn."""

    loop: Loop
    boxes: Mapping[str, Box]
    """By the name of the network namespace."""
    zone: Zone
    dns_at: frozenset[tuple[str, Protocol, int]]
    """The boxes and ports where DNS is spoken."""
    tls: Authority = field(default_factory=lambda: Authority(Path("/run/outgate-tls")))
    """Who has the certificates. In a lab, `/run` is its own."""
    arrived: dict[bytes, str] = field(default_factory=dict)
    """The box that received each token."""
    on_sctp: Callable[[sctp.InitAck, Address], None] | None = None
    on_echo: Callable[[bytes, Address], None] | None = None
    """Told of answers that come in on sockets that serve both sides."""
    raw: dict[tuple[str, Protocol, int], socket.socket] = field(default_factory=dict)
    """By box, protocol and family."""
    count: int = 0
    """Sockets that listen."""

    def listen(self, wanted: Mapping[str, frozenset[tuple[Protocol, int]]]) -> None:
        """Opens a socket for each box and port; TCP and UDP, and raw ones where SCTP or ICMP is wanted.

        Raises:
            KernelError: a port cannot be bound, or there are too few file descriptors.
        """
        for name, transports in wanted.items():
            box = self.boxes[name]
            with box.space.enter():
                for protocol, port in sorted(transports):
                    if protocol in (Protocol.TCP, Protocol.UDP):
                        self._listen(box, protocol, port)

    def open_raw(self, name: str, protocol: Protocol, version: int) -> socket.socket:
        """The raw socket of a box for SCTP or ICMP: it sends requests, sees answers, and answers itself (SCTP)."""
        key = (name, protocol, version)
        if key not in self.raw:
            box = self.boxes[name]
            with box.space.enter():
                one = sockets.sctp_socket(version) if protocol is Protocol.SCTP else sockets.echo_socket(version)
            work = self._sctp if protocol is Protocol.SCTP else self._echo
            self.raw[key] = one
            self.loop.watch(one, lambda _: work(box, one))
            self.count += 1
        return self.raw[key]

    def serve(self, ended: threading.Event) -> None:
        """Answers until the event is set: what a kept lab does."""
        while not ended.is_set():
            self.loop.turn(_PATIENCE)
            if len(self.arrived) > _MOST_NOTES:
                self.arrived.clear()

    def _listen(self, box: Box, protocol: Protocol, port: int) -> None:
        try:
            one = sockets.listener(protocol, port)
        except KernelError as error:
            raise KernelError(f"{box.title}: {error.message}", hint=error.hint) from error
        speaks_dns = (box.space.name, protocol, port) in self.dns_at
        self.count += 1
        if protocol is Protocol.TCP:
            self.loop.watch(one, lambda _: self._accept(box, one, port, speaks_dns))
        else:
            self.loop.watch(one, lambda _: self._datagrams(box, one, port, speaks_dns))

    def _datagrams(self, box: Box, one: socket.socket, port: int, speaks_dns: bool) -> None:
        while (got := sockets.receive(one)) is not None:
            data, sender, sender_port, asked = got
            token = token_of(data)
            if token is not None:
                self.arrived[token] = box.space.name
                reply = Answer(token, box.number, port, sender, sender_port).packed()
            elif speaks_dns:
                reply = self._dns(box, port, data, limit=dns.LARGEST_UDP)
            else:
                reply = greeting(box.title, "UDP", port, sender) if data else b""
            if reply:
                sockets.reply_from(one, reply, asked, sender, sender_port)

    def _accept(self, box: Box, one: socket.socket, port: int, speaks_dns: bool) -> None:
        while True:
            try:
                peer, address = one.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # The client is gone again, or descriptors have run out: it is the client that sees no answer.
                return
            peer.setblocking(False)
            _Conversation(self, box, peer, sockets.address_of(address[0]), address[1], port, speaks_dns).begin()

    def answer_stream(
        self, box: Box, port: int, data: bytes, peer: tuple[Address, int], speaks_dns: bool
    ) -> bytes | None:
        """What to say to the bytes of a connection so far; None while they are not enough."""
        token = token_of(data)
        if token is not None:
            self.arrived[token] = box.space.name
            return Answer(token, box.number, port, *peer).packed()
        if speaks_dns:
            message, _ = dns.unframe(data)
            reply = b"" if message is None else self._dns(box, port, message)
            return None if message is None else dns.frame(reply) if reply else b""
        if unfinished(data) or half_said(data):
            return None
        return greeting(box.title, "TCP", port, peer[0], http=speaks_http(data))

    def _dns(self, box: Box, port: int, data: bytes, *, limit: int = 65535) -> bytes:
        """The response to a query; nothing to what is no query (RFC 1035 has no answer to a response)."""
        try:
            asked = dns.decode(data)
        except dns.Malformed:
            return b""
        if asked.response:
            return b""
        token = name_token(asked.questions[0].name) if len(asked.questions) == 1 else None
        if token is None:
            return self.zone.answer(asked, limit=limit)
        self.arrived[token] = box.space.name
        record = Record(asked.questions[0].name, RecordType.AAAA, as_address(box.number, port), ttl=0)
        return dns.answer(asked, [record])

    def _sctp(self, box: Box, one: socket.socket) -> None:
        while (got := sockets.receive(one)) is not None:
            data, sender, _, asked = got
            packet = sctp.parse(data)
            if isinstance(packet, sctp.Init):
                self.arrived[packet.token] = box.space.name
                cookie = Answer(packet.token, box.number, packet.port, sender, packet.source_port).packed()
                sockets.reply_from(one, packet.answered(cookie).packet(), asked, sender, 0)
            elif packet is not None and self.on_sctp is not None:
                self.on_sctp(packet, sender)

    def _echo(self, box: Box, one: socket.socket) -> None:
        """Echo requests are answered by the kernel; here is noted where they came, and who hears the reply."""
        while (got := sockets.receive(one)) is not None:
            data, sender, _, _ = got
            token = token_of(data[8:])
            if token is None:
                continue
            if data[0] in (8, 128):
                self.arrived[token] = box.space.name
            elif self.on_echo is not None:
                self.on_echo(token, sender)


_LONGEST_REQUEST = 65535


class _Conversation:
    """One accepted connection: read until there is something to say, say it, close."""

    __slots__ = ("_answers", "_box", "_data", "_peer", "_port", "_socket", "_speaks_dns", "_tls")

    def __init__(
        self, answers: Answers, box: Box, one: socket.socket, peer: Address, peer_port: int, port: int, speaks_dns: bool
    ) -> None:
        self._answers, self._box, self._socket = answers, box, one
        self._peer, self._port, self._speaks_dns = (peer, peer_port), port, speaks_dns
        self._data = b""
        self._tls: Ending | None = None

    def begin(self) -> None:
        """Often the request has come with the connection; else wait for it."""
        if not self._proceed():
            self._answers.loop.watch(self._socket, self._readable)

    def _readable(self, _: int) -> None:
        self._proceed()

    def _proceed(self) -> bool:
        """Reads what is there; whether the conversation is over."""
        try:
            more = self._socket.recv(_LONGEST_REQUEST)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            self._answers.loop.forget(self._socket)
            return True
        self._data += more
        said = self._data if self._speaks_dns else self._in_plain(more)
        reply = self._answers.answer_stream(self._box, self._port, said, self._peer, self._speaks_dns)
        failed = self._tls is not None and self._tls.failed
        if reply is None and more and not failed and len(self._data) < _LONGEST_REQUEST:
            return False
        if reply and said:
            self._say(reply if self._tls is None else self._tls.reply(reply))
        self._answers.loop.forget(self._socket)
        return True

    def _in_plain(self, more: bytes) -> bytes:
        """What the client has said so far. A client of TLS has said nothing before it has shaken hands."""
        if self._tls is None:
            if more and self._data == HANDSHAKE[:1]:
                return b""
            if not self._data.startswith(HANDSHAKE):
                return self._data
            self._tls, more = self._answers.tls.accept(), self._data
        self._say(self._tls.feed(more))
        return self._tls.said

    def _say(self, reply: bytes) -> None:
        try:
            self._socket.send(reply)
        except OSError:
            return
