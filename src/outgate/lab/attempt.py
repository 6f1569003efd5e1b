"""One probe, tried once: from the socket to what is to be said of it.

    TCP     connect, send the token, read the answer
    UDP     send the token, read the answer; again while nothing comes
    ICMP    an echo request; the kernel of the other side replies
    SCTP    an INIT; the INIT ACK carries the answer

Where a name is to be asked for first, the query is sent as a client would send it, and only an answer
with exactly the addresses of that name leads on to the second part.
"""

from __future__ import annotations

import dataclasses
import enum
import errno
import os
import select
import socket
import time
from dataclasses import dataclass
from typing import Protocol as Structural

from outgate.lab import sctp, sockets, wire
from outgate.lab.answers import Answers
from outgate.lab.plan import Party, Probe
from outgate.packets import Address, Protocol
from outgate.proxy import dns
from outgate.proxy.dns import RecordType

__all__ = ["Attempt", "Observation", "Outcome"]

_DNS_PORT = 53
_RAW = (Protocol.SCTP, Protocol.ICMP, Protocol.ICMPV6)

REPEAT = 0.2
"""Seconds between two sendings of a packet that may be lost."""

_LEAST = 2
"""Sendings of a packet that must not come through: one could be lost by itself, and look denied."""


class Outcome(enum.Enum):
    """How a probe ended."""

    ANSWERED = "answered"
    """The token came back from the party that was meant."""
    WRONG_PARTY = "answered by somebody else"
    WRONG_NAME = "the name was answered wrongly"
    REFUSED = "refused"
    """The kernel at the other end, or on the way, said no at once."""
    LATE = "only a later packet passed"
    SILENT = "no answer"


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of one probe."""

    outcome: Outcome
    party: Party | None = None
    """Who answered, where that was somebody who may."""
    answered_by: str = ""
    """The box that answered."""
    seen: Address | None = None
    """The client's address as the server saw it."""
    seconds: float = 0.0
    """From the first packet to the answer."""
    rounds: int = 1
    arrived: str = ""
    """The box that a request reached of which no answer came back."""
    detail: str = ""


class _Watcher(Structural):
    """What an attempt needs of the engine."""

    answers: Answers

    def news(self, attempt: Attempt) -> None:
        """Something was heard."""

    def expect(self, more: int) -> None:
        """So many answers more, or less, are expected than before."""

    def finish(self, attempt: Attempt, observation: Observation) -> None:
        """It is over."""


class Attempt:
    """The state of one probe under way."""

    __slots__ = (
        "_count",
        "_data",
        "_engine",
        "_naming",
        "_next",
        "_round",
        "_socket",
        "awaited",
        "echoed",
        "next_send",
        "over",
        "probe",
        "sent",
        "started",
        "token",
    )

    def __init__(self, engine: _Watcher, probe: Probe, token: bytes, count: int, number: int) -> None:
        self._engine, self.probe, self.token, self._count, self._round = engine, probe, token, count, number
        self._naming = probe.lookup is not None
        # Whether an answer to what is sent first is expected.
        self.awaited = probe.lookup.verdict.allows if probe.lookup is not None else probe.verdict.allows
        self._socket: socket.socket | None = None
        self._next: socket.socket | None = None
        self._data = b""
        self.over = self.echoed = False
        self.started = self.next_send = 0.0
        self.sent = 0

    @property
    def repeats(self) -> bool:
        """Whether it is to be sent again: what TCP does not repeat by itself, and twice where no answer is expected."""
        if self.probe.protocol is Protocol.TCP and not self._naming:
            return False
        return self.awaited or self.sent < _LEAST

    def make_sockets(self) -> None:
        """Makes all sockets that it will need; the thread is in the probe's box."""
        source = self.probe.source.address
        if self.probe.protocol not in _RAW:
            make = sockets.stream if self.probe.protocol is Protocol.TCP else sockets.datagram
            self._socket = make(source)
        if self.probe.lookup is not None:
            self._next, self._socket = self._socket, sockets.datagram(self.probe.lookup.source)

    def send(self) -> None:
        """Sends the first packet, or once more one that may have been lost."""
        now = time.monotonic()
        first = self.sent == 0
        self.sent += 1
        self.started = now if first else self.started
        self.next_send = now + REPEAT
        try:
            if self._naming:
                self._send_datagram(first, self._query_name())
            elif self.probe.protocol is Protocol.TCP:
                self._connect()
            elif self.probe.protocol is Protocol.UDP:
                self._send_datagram(first, self._request())
            else:
                self._send_raw()
        except OSError as error:
            # No route, or a firewall on the sender's own side that says so.
            self._failed(error)

    def _send_datagram(self, first: bool, data: bytes) -> None:
        one = self._socket
        assert one is not None
        if first:
            lookup = self.probe.lookup if self._naming else None
            target = (lookup.server, _DNS_PORT) if lookup is not None else (self.probe.address, self.probe.port)
            one.connect((str(target[0]), target[1]))
            self._engine.answers.loop.watch(one, self._readable)
        one.send(data)

    def _connect(self) -> None:
        one = self._socket
        assert one is not None
        failed = one.connect_ex((str(self.probe.address), self.probe.port))
        if failed not in (0, errno.EINPROGRESS):
            raise OSError(failed, os.strerror(failed))
        self._engine.answers.loop.watch(one, self._connected, select.EPOLLOUT)

    def _send_raw(self) -> None:
        probe, version = self.probe, self.probe.source.address.version
        raw = self._engine.answers.raw[probe.box, probe.protocol, version]
        if probe.protocol is Protocol.SCTP:
            packet = sctp.Init(10_000 + self._count % 50_000, probe.port, self.token).packet()
        else:
            packet = wire.echo_request(version, self._count & 0xFFFF, self.token)
        sockets.send_from(raw, packet, probe.source.address, probe.address, 0)

    def _request(self) -> bytes:
        if self.probe.asks_dns:
            return dns.query(self._count & 0xFFFF, wire.as_name(self.token), RecordType.AAAA)
        return wire.request(self.token)

    def _query_name(self) -> bytes:
        lookup = self.probe.lookup
        assert lookup is not None
        return dns.query(self._count & 0xFFFF, lookup.name, lookup.kind)

    def _connected(self, _: int) -> None:
        one = self._socket
        if self.over or one is None:
            return
        failed = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            self._failed(OSError(failed, os.strerror(failed)))
            return
        if self.probe.prompt and self.probe.verdict.allows and sockets.sent_again(one):
            self._conclude(Observation(Outcome.LATE, detail="the first packet of the connection was lost"))
            return
        request = self._request()
        try:
            one.send(dns.frame(request) if self.probe.asks_dns else request)
        except OSError as error:
            self._failed(error)
            return
        self._engine.answers.loop.change(one, self._readable, select.EPOLLIN)

    def _readable(self, _: int) -> None:
        one = self._socket
        if self.over or one is None:
            return
        try:
            data = one.recv(sockets.LARGEST)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._failed(error)
            return
        if self._naming:
            self._named(data)
        elif self.probe.protocol is Protocol.TCP:
            self._data += data
            self._read(self._data, ended=not data)
        else:
            self._read(data, ended=False)

    def _read(self, data: bytes, *, ended: bool) -> None:
        if self.probe.asks_dns:
            whole = dns.unframe(data)[0] if self.probe.protocol is Protocol.TCP else data
            found = _who(whole, self.token) if whole is not None else None
            if found is not None:
                self.answered(*found, None)
                return
        else:
            answer = wire.Answer.unpacked(data)
            if answer is not None and answer.token == self.token:
                self.answered(answer.box, answer.port, answer.seen)
                return
        if ended:
            self._conclude(Observation(Outcome.REFUSED, detail="the connection was closed without an answer"))

    def _named(self, data: bytes) -> None:
        """The answer to a query for a name: on to the second part, if it is what it must be."""
        lookup = self.probe.lookup
        assert lookup is not None
        try:
            message = dns.decode(data)
        except dns.Malformed as error:
            self._conclude(Observation(Outcome.WRONG_NAME, detail=f"the answer cannot be read: {error}"))
            return
        if not message.response or message.id != self._count & 0xFFFF:
            return
        if set(message.addresses) != set(lookup.expected):
            got = ", ".join(map(str, message.addresses)) or f"nothing (code {message.code})"
            self._conclude(Observation(Outcome.WRONG_NAME, detail=f"{lookup.name} was answered with {got}"))
            return
        self._engine.news(self)
        # What is awaited from here on is the answer of the second part.
        self._engine.expect(self.probe.verdict.allows - self.awaited)
        self.awaited = self.probe.verdict.allows
        self._close()
        self._socket, self._next, self._naming = self._next, None, False
        self.sent = 0
        self.send()

    def answered(self, box: int, port: int, seen: Address | None) -> None:
        """An answer with the right token, from the box of that number."""
        if self.over:
            return
        boxes = self._engine.answers.boxes
        name = next((one.space.name for one in boxes.values() if one.number == box), "")
        party = next((one for one in self.probe.parties if (one.box, one.port) == (name, port)), None)
        outcome = Outcome.ANSWERED if party is not None else Outcome.WRONG_PARTY
        self._conclude(Observation(outcome, party, name, seen))

    def give_up(self) -> None:
        """Nothing came, or nothing that says from whom."""
        if self.echoed and not self.over:
            detail = "an echo reply came, but nobody in the lab was seen to receive the request"
            self._conclude(Observation(Outcome.WRONG_PARTY, detail=detail), heard=False)
        elif not self.over:
            arrived = "" if self._naming else self._engine.answers.arrived.get(self.token, "")
            detail = "the name was asked for, and no answer came" if self._naming else ""
            self._conclude(Observation(Outcome.SILENT, arrived=arrived, detail=detail), heard=False)

    def _failed(self, error: OSError) -> None:
        if not self.over:
            self._conclude(Observation(Outcome.REFUSED, detail=(error.strerror or str(error)).lower()))

    def _conclude(self, observation: Observation, *, heard: bool = True) -> None:
        self.over = True
        seconds = time.monotonic() - self.started
        if heard:
            self._engine.news(self)
        self._engine.expect(-int(self.awaited))
        self._close()
        if self._next is not None:
            self._next.close()
        self._engine.finish(self, dataclasses.replace(observation, seconds=seconds, rounds=self._round))

    def _close(self) -> None:
        if self._socket is not None:
            self._engine.answers.loop.forget(self._socket)
            self._socket = None


def _who(message: bytes, token: bytes) -> tuple[int, int] | None:
    """The box and port in a DNS server's answer to the question who it is; None where it is no such answer."""
    try:
        answer = dns.decode(message)
    except dns.Malformed:
        return None
    if not answer.response or len(answer.questions) != 1 or wire.name_token(answer.questions[0].name) != token:
        return None
    return next((found for one in answer.addresses if (found := wire.from_address(one)) is not None), None)
