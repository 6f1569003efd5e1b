"""The sockets of the DNS proxy: where questions come in, and from where they are sent on.

Pods' questions are led to an address of the node that is nobody else's, on the loopback interface, by destination NAT
before any other (`REDIRECT`). What was asked whom is in connection tracking (`dns_origin`), and the answer, sent from
that address, leaves the node with the address that the pod had asked.

    redirect ─► 169.254.53.53:10053 ─► the proxy ─► (its own socket) ─► the server that was asked

A question is sent on from a socket that is connected to its server: the kernel then gives it nothing that another has
sent, and tells of a refusal. Each has a port that the kernel drew, and a short life, so that a port that was guessed is
soon worth nothing, and so that a Service's other endpoints have their turn (kube-proxy chooses once for each port).
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from outgate.errors import KernelError
from outgate.host import links
from outgate.host.closing import Closing
from outgate.host.dns_origin import Server
from outgate.nft.asking import PORT, STAND_INS

__all__ = ["Channel", "Channels", "Listeners", "stand_in_lines", "through"]

_IP_FREEBIND = 15
_IPV6_FREEBIND = 78
_BUFFER = 4 * 1024 * 1024
_BACKLOG = 128
_LIFE = 20.0
"""Seconds. Shorter than an entry of connection tracking for answered datagrams (120)."""
_USES = 4096
"""Questions. With numbers of 16 bits, few enough that a free one is found at once."""
_A_SERVER = 8
"""Channels to one server at a time, of which each question takes the next."""
_SERVERS = 64
"""Servers with channels at a time. A pod that asks every address of the internet has the oldest closed."""
_OLD = 2048
"""Channels that are used no more and still hear answers. Each is a descriptor."""


def stand_in_lines() -> list[str]:
    """What iproute2 has to do so that the proxy's addresses are there (`links.batch`). To say it twice is no error."""
    # Of the scope of the host, or the node would use it as the source of what it sends.
    return [
        f"addr replace {STAND_INS[4]}/32 dev lo scope host",
        f"addr replace {STAND_INS[6]}/128 dev lo nodad",
    ]


class Listeners(Closing):
    """Where questions come in: UDP and TCP, on the addresses of both families that there are.

    Raises:
        KernelError: not one of them can be had; another proxy is there, or there are no rights.
    """

    def __init__(self) -> None:
        self.udp: list[socket.socket] = []
        self.tcp: list[socket.socket] = []
        links.batch([stand_in_lines()[0]])
        # Where IPv6 is switched off there is no such address, and no pod has one.
        with contextlib.suppress(KernelError):
            links.batch([stand_in_lines()[1]])
        try:
            for family, version in ((socket.AF_INET, 4), (socket.AF_INET6, 6)):
                try:
                    self.udp.append(_listener(family, socket.SOCK_DGRAM, STAND_INS[version]))
                    self.tcp.append(_listener(family, socket.SOCK_STREAM, STAND_INS[version]))
                except OSError:
                    if version == 4 or _has_ipv6():
                        raise
        except OSError as error:
            self.close()
            said = (error.strerror or str(error)).lower()
            raise KernelError(f"the DNS proxy cannot listen on port {PORT}: {said}") from error

    def close(self) -> None:
        """Hears no more."""
        for one in (*self.udp, *self.tcp):
            one.close()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _listener(family: socket.AddressFamily, kind: socket.SocketKind, address: str) -> socket.socket:
    made = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        else:
            made.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        made.bind((address, PORT))
        if kind == socket.SOCK_STREAM:
            made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def through(made: socket.socket, door: int) -> None:
    """Gives a socket's packets the traffic class of a door, 0 for none. Raises OSError: it may not be had."""
    if door:
        # socket(7), SO_PRIORITY: an int, where the kernel keeps a number of 32 bits without a sign.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, door - (door >> 31 << 32))


class Channel:
    """A socket that speaks with one server from a port of its own."""

    __slots__ = ("born", "door", "number", "server", "socket", "uses")

    def __init__(self, server: Server, now: float, door: int = 0) -> None:
        self.server, self.door = server, door
        family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            through(self.socket, door)
            # The kernel draws the port (net/ipv4/udp.c, `udp_lib_get_port`: a random offset).
            self.socket.connect((server.address, server.port))
        except OSError:
            self.socket.close()
            raise
        self.born = now
        self.uses = 0
        self.number = self.socket.fileno()
        """The descriptor, by which it is known as long as it is open."""

    def fileno(self) -> int:
        """For `select` and its like."""
        return self.number


class _Rota:
    """The channels to one server under one door, and whose turn it was."""

    __slots__ = ("channels", "turn")

    def __init__(self, first: Channel) -> None:
        self.channels = [first]
        self.turn = 0


class Channels(Closing):
    """A few channels to each server that is being asked; old ones are replaced, and closed when nobody waits any more.

    `patience` is how many seconds a question waits: so long a channel that is used no more still hears answers.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._servers: dict[tuple[Server, int], _Rota] = {}
        self._old: dict[Channel, float] = {}

    def close(self) -> None:
        """Closes all."""
        for channel in (*self._old, *(one for rota in self._servers.values() for one in rota.channels)):
            channel.socket.close()

    def next(self, server: Server, now: float, door: int = 0) -> tuple[Channel, bool]:
        """The channel for one more question to a server, and whether it is new. Raises OSError: none can be had.

        `door` is the traffic class of its packets (`outgate.nft.asking`).
        """
        place = server, door
        rota = self._servers.get(place)
        if rota is None:
            # Before there is a place for it: of servers to which there is no way nothing is kept.
            first = Channel(server, now, door)
            if len(self._servers) >= _SERVERS:
                oldest = next(iter(self._servers))
                for channel in tuple(self._servers[oldest].channels):
                    self.retire(channel, now)
            self._servers[place] = _Rota(first)
            first.uses = 1
            return first, True
        channels = rota.channels
        rota.turn = turn = (rota.turn + 1) % _A_SERVER
        new = False
        if turn >= len(channels):
            channels.append(Channel(server, now, door))
            turn, new = len(channels) - 1, True
        channel = channels[turn]
        if channel.uses >= _USES or now - channel.born > _LIFE:
            fresh = Channel(server, now, door)
            self._old[channel] = now + self._patience
            channels[turn] = channel = fresh
            new = True
        channel.uses += 1
        return channel, new

    def retire(self, channel: Channel, now: float) -> None:
        """Asks nobody over a channel any more."""
        place = channel.server, channel.door
        rota = self._servers.get(place)
        if rota is None or channel not in rota.channels:
            return
        rota.channels.remove(channel)
        self._old[channel] = now + self._patience
        if not rota.channels:
            del self._servers[place]

    def drop(self, channel: Channel, now: float) -> None:
        """Asks nobody over a channel any more, and hears nothing; it is to be closed."""
        self.retire(channel, now)
        self._old.pop(channel, None)

    def surplus(self) -> Iterator[Channel]:
        """The oldest of those that are too many; they are to be closed."""
        while len(self._old) > _OLD:
            channel = next(iter(self._old))
            del self._old[channel]
            yield channel

    def over(self, now: float) -> Iterator[Channel]:
        """Channels on which nobody waits any more; they are to be closed."""
        idle = [one for rota in self._servers.values() for one in rota.channels if now - one.born > _LIFE]
        for channel in idle:
            self.retire(channel, now)
        for channel in [one for one, until in self._old.items() if until <= now]:
            del self._old[channel]
            yield channel
