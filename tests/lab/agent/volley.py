"""Many packets at once from anywhere in a farm, and every place where one of them comes out.

    with Ears(farm) as ears:
        ears.verdicts([Shot("a/one", "b/three", packet, token), ...])      each arrives, or is counted as dropped
        ears.shoot("a/one", packet); ears.flush("a/two", "world")          for what is dropped without being counted
        ears.heard(token)                                                  who got it

Pods and the world listen on their links, so they hear whatever a node lets through, of any protocol. A node's link is
before its rules: what it lets in is heard by its sockets.

**Order.** All is sent from one processor. A veth hands a packet to the backlog of the processor that sends it
(net/core/dev.c, `netif_rx`), at every hop, so packets stay in order: what was sent before a marker that has come has
come too, or never will. A second marker covers what had one hop more to go.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from outgate.lab.topology import POD_INTERFACE
from tests.lab.agent.farm import PATIENCE, Farm
from tests.lab.agent.frames import ICMP, ICMPV6, SCTP, TCP, UDP, frame, token, tokens_in, transport

__all__ = ["Ears", "Shot", "aimed"]

_ALL = 0x0003
"""ETH_P_ALL, in network order where it is used."""
_OUTGOING = 4
"""PACKET_OUTGOING: what this box itself sends."""
_PORTS = itertools.cycle(range(20_000, 60_000))


@dataclass(frozen=True, slots=True)
class Shot:
    """A packet, from whom, and where it should come out."""

    source: str
    target: str
    packet: bytes
    token: bytes


def aimed(
    farm: Farm, source: str, target: str, protocol: int, port: int, family: int = 4, *, source_address: str = ""
) -> Shot:
    """The first packet of a connection from one place to another; `target` may be an address of the world."""
    load = token()
    sender, receiver = source_address or farm.address(source, family), farm.address(target, family)
    packet = transport(protocol, sender, receiver, (next(_PORTS), port), load)
    inside = "/" in target or target in farm.stage.nodes
    return Shot(source, target if inside else "world", packet, load)


class Ears:
    """Listens everywhere for as long as its block lasts. `protocols`: those that nodes hear beside the usual ones."""

    def __init__(self, farm: Farm, *protocols: int) -> None:
        self.farm = farm
        self._heard: dict[bytes, set[str]] = {}
        self._open = contextlib.ExitStack()
        self._links: dict[socket.socket, str] = {}
        self._guns: dict[str, socket.socket] = {}
        self._poll = select.epoll()
        self._by_number: dict[int, socket.socket] = {}
        self._protocols = protocols

    def __enter__(self) -> Self:
        stage = self.farm.stage
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(before)})
        self._open.callback(os.sched_setaffinity, 0, before)
        self._open.callback(self._poll.close)
        for key, box in stage.pods.items():
            if box.interface:
                self._listen("/".join(key), socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
        self._listen("world", socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
        for name in stage.nodes:
            for protocol in {ICMP, TCP, UDP, SCTP, *self._protocols}:
                self._listen(name, socket.AF_INET, socket.SOCK_RAW, protocol)
            for protocol in {ICMPV6, TCP, UDP, SCTP, *self._protocols}:
                self._listen(name, socket.AF_INET6, socket.SOCK_RAW, protocol)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _listen(self, place: str, family: int, kind: int, protocol: int) -> None:
        with self.farm.stage.enter(self.farm.box(place)):
            one = self._open.enter_context(socket.socket(family, kind, protocol))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        one.setblocking(False)
        self._links[one] = place
        self._by_number[one.fileno()] = one
        self._poll.register(one.fileno(), select.EPOLLIN)

    # ---- sending -----------------------------------------------------------------------------------------------------

    def shoot(self, source: str, packet: bytes) -> None:
        """Send a whole packet: of a pod just as it is, of a node or the world by the kernel's routes."""
        if "/" in source:
            self._gun(source, socket.AF_PACKET, 0).send(frame(packet))
            return
        six = packet[0] >> 4 == 6
        gun = self._gun(source, socket.AF_INET6 if six else socket.AF_INET, socket.IPPROTO_RAW)
        target = socket.inet_ntop(gun.family, packet[24:40] if six else packet[16:20])
        gun.sendto(packet, (target, 0))

    def _gun(self, source: str, family: int, protocol: int) -> socket.socket:
        name = f"{source} {family}"
        if name not in self._guns:
            with self.farm.stage.enter(self.farm.box(source)):
                gun = self._open.enter_context(socket.socket(family, socket.SOCK_RAW, protocol))
                if family == socket.AF_PACKET:
                    gun.bind((POD_INTERFACE, 0))
            self._guns[name] = gun
        return self._guns[name]

    def verdicts(self, shots: Sequence[Shot]) -> list[bool]:
        """Whether each came out where it should; the nodes must have counted every other one."""
        before = self.farm.dropped()
        for one in shots:
            self.shoot(one.source, one.packet)
        arrived: list[bool] = []

        def accounted() -> bool:
            nonlocal arrived
            # The counters first: what is dropped is counted before what is sent after it arrives.
            dropped = self.farm.dropped() - before
            self._drain()
            arrived = [one.target in self._heard.get(one.token, ()) for one in shots]
            assert sum(arrived) + dropped <= len(shots), f"{sum(arrived)} of {len(shots)} came, {dropped} dropped"
            return sum(arrived) + dropped == len(shots)

        self.until(accounted, lambda: f"of {len(shots)} {sum(arrived)} came; {self.farm.dropped() - before} dropped")
        return arrived

    def verdict(self, source: str, target: str, protocol: int, port: int, family: int = 4) -> bool:
        """Whether one connection could begin."""
        return self.verdicts([aimed(self.farm, source, target, protocol, port, family)])[0]

    # ---- hearing -----------------------------------------------------------------------------------------------------

    def heard(self, one: bytes, *, but: str = "") -> set[str]:
        """Everybody that heard a token so far; but the one who sent it, whom errors about it come back to."""
        self._drain()
        return self._heard.get(one, set()) - {but}

    def flush(self, marker: str, *targets: str, family: int = 4) -> None:
        """Wait until whatever was sent has come, or never will: by markers from a pod that may send them."""
        for target in targets * 2:
            self._mark(aimed(self.farm, marker, target, UDP, 9, family))

    def _mark(self, shot: Shot) -> None:
        self.shoot(shot.source, shot.packet)
        self.until(lambda: shot.target in self.heard(shot.token), lambda: f"{shot.source} to {shot.target}")

    def until(self, true: Callable[[], bool], words: Callable[[], str]) -> None:
        """Ask again whenever something has been heard, or a little later."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, words()
            self._poll.poll(0.005)

    def _drain(self) -> None:
        for number, _ in self._poll.poll(0):
            self._read(self._by_number[number])

    def _read(self, one: socket.socket) -> None:
        place = self._links[one]
        while True:
            try:
                data, sender = one.recvfrom(1 << 16)
            except BlockingIOError:
                return
            if one.family == socket.AF_PACKET and (sender[2] == _OUTGOING or sender[0] == "lo"):
                continue
            self._note(place, tokens_in(data))

    def _note(self, place: str, tokens: Iterable[bytes]) -> None:
        for found in tokens:
            self._heard.setdefault(found, set()).add(place)
