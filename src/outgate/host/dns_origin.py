"""Whom a pod really asked: the destination of a question before it was led to the proxy.

A TCP connection tells it by itself (SO_ORIGINAL_DST). A UDP datagram does not: that option answers ENOPROTOOPT, and
IP_RECVORIGDSTADDR tells the proxy's own address. Connection tracking knows, and is asked by the *reply* tuple, which is
what the proxy can see: from its own address and port to those that the datagram came from. Where two resolvers were
asked from one port, the kernel has made the second reply tuple another one (nf_nat_core.c, `get_unique_tuple`: the
port in which the proxy sees the pod is then not the pod's own), so each has one answer.

What was found is kept for a few seconds: a resolver asks for A and AAAA from one port. It stays true that long, because
the entry that was asked lives on for nf_conntrack_udp_timeout after each packet, and while it lives nobody else has its
reply tuple.

An entry may be deleted while its question is under way: kube-proxy takes away the UDP entries of a Service's address
that lead to none of its endpoints (pkg/proxy/conntrack, `CleanStaleEntries`), and the proxy is none. The answer would
go out from the proxy's own address, and the pod would not know it. The kernel refuses to send it with EPERM
(`outgate.nft.asking`); then the entry is put back (`UdpOrigins.restore`), and the answer goes out once more.

It also tells what a connection of our own does not: whether its first packet has left the node (`departed`).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Container
from pathlib import Path
from typing import NamedTuple

from outgate.errors import KernelError
from outgate.host.closing import Closing
from outgate.host.netlink import NETFILTER, NetlinkSocket, Overrun, Refused
from outgate.host.netlink_format import ERROR, NESTED, REQUEST, attribute, attributes, message, messages
from outgate.nft.asking import ZONE

__all__ = ["Server", "UdpOrigins", "departed", "tcp_origin"]

_GET, _NEW = 1 << 8 | 1, 1 << 8
"""NFNL_SUBSYS_CTNETLINK is 1; IPCTNL_MSG_CT_GET is answered with IPCTNL_MSG_CT_NEW."""
_CREATE_ONCE = 0x200 | 0x400
"""NLM_F_EXCL and NLM_F_CREATE: what is there already stays as it is."""
_TIMEOUT_ATTRIBUTE, _NAT_DST = 7, 13
_ZONED = attribute(3, struct.pack(">H", ZONE))
"""CTA_TUPLE_ZONE: the zone of all that is led to the proxy."""
_SECONDS = 30
"""Of an entry that is put back: nf_conntrack_udp_timeout, as long as the kernel would have given it."""
_GENMSG = struct.Struct(">BBH")
_ORIGINAL, _REPLY = 1, 2
"""CTA_TUPLE_ORIG and CTA_TUPLE_REPLY; in each CTA_TUPLE_IP is 1, CTA_TUPLE_PROTO 2 and CTA_TUPLE_ZONE 3."""
_ADDRESSES = {4: (1, 2), 16: (3, 4)}
"""CTA_IP_V4_SRC and _DST, CTA_IP_V6_SRC and _DST, by the length of an address."""
_FAMILIES = {4: socket.AF_INET, 16: socket.AF_INET6}
_UDP = 17
_SO_ORIGINAL_DST = 80
"""Also IP6T_SO_ORIGINAL_DST."""
_SOL_IPV6 = 41
_IN4, _IN6 = struct.Struct("!2xH4s8x"), struct.Struct("!2xH4x16s4x")
"""sockaddr_in and sockaddr_in6."""
_TIMEOUT = Path("/proc/sys/net/netfilter/nf_conntrack_udp_timeout")
_LONGEST_KEPT = 5.0
_MOST_KEPT = 16384
_PATIENCE = 1.0


class Server(NamedTuple):
    """Who was asked: an address as text, and a port."""

    address: str
    port: int


class _Kept(NamedTuple):
    server: Server
    port: int
    """From which the pod sends."""
    until: float


def tcp_origin(connection: socket.socket) -> Server | None:
    """Where a connection that was led here was going; None where it came of itself."""
    try:
        port, packed = _original(connection)
        found = Server(socket.inet_ntop(connection.family, packed), port)
        return found if found != Server(*connection.getsockname()[:2]) else None
    except OSError:
        return None


def departed(connection: socket.socket) -> bool:
    """Whether the first packet of a TCP connection that is being made has left the node, as far as can be told.

    connect(2) does not say: of what becomes of a SYN, `tcp_connect` (net/ipv4/tcp_output.c) hands on ECONNREFUSED
    alone, and what a rule drops is sent again later. But connection tracking has a connection in its table as soon as
    its first packet has passed the last hook (`nf_conntrack_confirm`), which is before connect(2) returns. What a rule
    has dropped is not in there; nor is what a reset came back for at once, which takes the entry away.
    """
    try:
        _original(connection)
    except OSError as error:
        return error.errno != errno.ENOENT
    return True


def _original(connection: socket.socket) -> tuple[int, bytes]:
    """The port and the address that the first packet of a connection was sent to. Raises OSError: it is not tracked."""
    if connection.family == socket.AF_INET:
        port, packed = _IN4.unpack(connection.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, _IN4.size))
    else:
        port, packed = _IN6.unpack(connection.getsockopt(_SOL_IPV6, _SO_ORIGINAL_DST, _IN6.size))
    return port, packed


class UdpOrigins(Closing):
    """Asks connection tracking of this thread's network namespace. `clock` gives seconds.

    Raises:
        KernelError: the kernel has no ctnetlink.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._socket = NetlinkSocket(NETFILTER)
        self._clock = clock
        self._kept: dict[tuple[str, str, int], _Kept] = {}
        self._lifetime = _kept_for()

    def close(self) -> None:
        """Lets go of the socket."""
        self._socket.close()

    def forget(self, addresses: Container[str]) -> None:
        """Asks anew about what comes from these addresses."""
        for key in [key for key in self._kept if key[1] in addresses]:
            del self._kept[key]

    def find(self, here: Server, address: str, port: int) -> Server | None:
        """Whom a datagram was for that came to `here` from an address and port; None where nobody knows.

        Raises:
            KernelError: the kernel does not answer.
        """
        key = (here.address, address, port)
        now = self._clock()
        kept = self._kept.get(key)
        if kept is not None and now < kept.until:
            return kept.server
        asked = self._ask(here, address, port)
        self._kept.pop(key, None)
        if asked is None:
            return None
        if len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        server, own = asked
        self._kept[key] = _Kept(server, own, now + self._lifetime)
        return server

    def restore(self, here: Server, address: str, port: int, server: Server) -> bool:
        """Puts back the entry of a datagram that came to `here` for a server, if it is no more. True where it was not.

        Raises:
            KernelError: the kernel refuses, or does not answer.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        ours, its, asked = (socket.inet_pton(family, one) for one in (here.address, address, server.address))
        kept = self._kept.get((here.address, address, port))
        if kept is not None and kept.port != port:
            # Two servers were asked from one port, so that the proxy sees another; that is not made again.
            return False
        body = _GENMSG.pack(family, 0, 0) + b"".join(
            (
                attribute(_ORIGINAL | NESTED, _tuple(its, port, asked, server.port) + _ZONED),
                # As without translation: the kernel makes the real one of it, with what NAT is to do.
                attribute(_REPLY | NESTED, _tuple(asked, server.port, its, port)),
                attribute(_NAT_DST | NESTED, _translated(ours, here.port)),
                attribute(_TIMEOUT_ATTRIBUTE, struct.pack(">I", _SECONDS)),
            )
        )
        try:
            self._socket.ask(_NEW, body, "put an entry of connection tracking back", flags=_CREATE_ONCE)
        except Refused as error:
            if error.number == errno.EEXIST:
                return False
            raise
        return True

    def _ask(self, here: Server, address: str, port: int) -> tuple[Server, int] | None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        ours, its = socket.inet_pton(family, here.address), socket.inet_pton(family, address)
        sequence = self._socket.numbers(1)
        tuple_ = attribute(_REPLY | NESTED, _tuple(ours, here.port, its, port))
        body = _GENMSG.pack(family, 0, 0) + tuple_
        # Without an acknowledgement: there is one answer, or an error.
        self._socket.send(message(_GET, REQUEST, sequence, body), "tell where a datagram was going")
        while data := self._received():
            for one in messages(data):
                if one.sequence != sequence:
                    continue
                if one.kind == _NEW:
                    found = _asked(one.body)
                    return found if found is not None and found[0] != here else None
                if one.kind == ERROR:
                    return None
        raise KernelError("the kernel did not tell where a datagram was going")

    def _received(self) -> bytes:
        try:
            return self._socket.receive(_PATIENCE)
        except Overrun as error:
            raise KernelError("the kernel's answer about a datagram was lost") from error


def _kept_for() -> float:
    """Seconds: far less than an entry of connection tracking lives without a packet."""
    try:
        return min(_LONGEST_KEPT, int(_TIMEOUT.read_text()) / 3)
    except (OSError, ValueError):
        return 0.0


def _tuple(source: bytes, source_port: int, destination: bytes, destination_port: int) -> bytes:
    kinds = _ADDRESSES[len(source)]
    addresses = attribute(kinds[0], source) + attribute(kinds[1], destination)
    ports = attribute(2, source_port.to_bytes(2, "big")) + attribute(3, destination_port.to_bytes(2, "big"))
    return attribute(1 | NESTED, addresses) + attribute(2 | NESTED, attribute(1, bytes((_UDP,))) + ports)


def _translated(address: bytes, port: int) -> bytes:
    """CTA_NAT_DST, to one address and port. CTA_NAT_V4_MINIP is 1, _V4_MAXIP 2, _PROTO 3, _V6_MINIP 4, _V6_MAXIP 5."""
    lowest, highest = (1, 2) if len(address) == 4 else (4, 5)
    number = port.to_bytes(2, "big")
    ports = attribute(1, number) + attribute(2, number)
    return attribute(lowest, address) + attribute(highest, address) + attribute(3 | NESTED, ports)


def _asked(body: bytes) -> tuple[Server, int] | None:
    """Where the first datagram of an entry went, and from which port."""
    original = attributes(attributes(body, _GENMSG.size).get(_ORIGINAL, b""))
    addresses, ports = attributes(original.get(1, b"")), attributes(original.get(2, b""))
    for length, (_, kind) in _ADDRESSES.items():
        packed = addresses.get(kind, b"")
        if len(packed) == length:
            source, destination = (int.from_bytes(ports.get(one, b""), "big") for one in (2, 3))
            return Server(socket.inet_ntop(_FAMILIES[length], packed), destination), source
    return None
