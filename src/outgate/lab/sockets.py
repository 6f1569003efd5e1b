"""Sockets in the boxes of a lab, held by one process, and the loop that watches them.

setns(2) moves the calling thread into a network namespace; a socket made there belongs to that namespace
for its whole life, wherever the thread goes next. So one process, without a process for each pod, can listen
and send in all of them.

IPv4 and IPv6 share a listening socket (RFC 3493, 5.3); addresses of the former then come mapped. Answers over
UDP and raw sockets must leave from the address that was asked, which on a box with many addresses the
kernel would choose by route: the destination is taken from the packet's control message and given back as source.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import select
import socket
import struct
from collections.abc import Callable
from typing import Protocol as Interface

from outgate.errors import KernelError
from outgate.lab import sctp
from outgate.lab.wire import plain
from outgate.packets import Address, Protocol

__all__ = [
    "Loop",
    "Open",
    "address_of",
    "datagram",
    "echo_socket",
    "listener",
    "receive",
    "reply_from",
    "sctp_socket",
    "send_from",
    "sent_again",
    "stream",
]

BACKLOG = 4096
LARGEST = 65535

_IP_BIND_ADDRESS_NO_PORT = 24
_IP_FREEBIND = 15
_IPV6_FREEBIND = 78
_ICMP_FILTER = 1
_ICMP6_FILTER = 1
_SOL_RAW = 255
_IP_PKTINFO = 8
_PKTINFO4 = struct.Struct("=I4s4s")
_PKTINFO6 = struct.Struct("=16sI")
_BUFFER = 4 * 1024 * 1024
_TOTAL_RETRANS = struct.Struct("=100xI")
"""tcpi_total_retrans of `struct tcp_info` (linux/tcp.h)."""

Callback = Callable[[int], None]
"""Called with the events of epoll(7)."""


class Open(Interface):
    """Anything with a file descriptor: a socket, a pipe."""

    def fileno(self) -> int:
        """The descriptor."""

    def close(self) -> None:
        """Gives it back."""


class Loop:
    """epoll(7) with a callback for each socket, or whatever else is open."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._callbacks: dict[int, Callback] = {}

    def watch(self, one: Open, callback: Callback, events: int = select.EPOLLIN) -> None:
        """Call back when one of the events happens, until `forget`."""
        self._callbacks[one.fileno()] = callback
        self._poll.register(one.fileno(), events)

    def change(self, one: Open, callback: Callback, events: int) -> None:
        """Watch for other events, with another callback."""
        self._callbacks[one.fileno()] = callback
        self._poll.modify(one.fileno(), events)

    def forget(self, one: Open) -> None:
        """Stop watching, and close the socket."""
        if self._callbacks.pop(one.fileno(), None) is not None:
            self._poll.unregister(one.fileno())
        one.close()

    def turn(self, seconds: float) -> int:
        """Wait at most so long for events, call back for all that have come, and say how many there were."""
        happened = self._poll.poll(max(seconds, 0.0), 1024)
        for fd, events in happened:
            callback = self._callbacks.get(fd)
            # An earlier callback of this turn may have closed the socket.
            if callback is not None:
                callback(events)
        return len(happened)

    def close(self) -> None:
        """Let go of the epoll descriptor; sockets stay as they are."""
        self._poll.close()


def listener(protocol: Protocol, port: int) -> socket.socket:
    """A socket that answers on every address of the namespace the thread is in, TCP or UDP.

    Raises:
        KernelError: the port cannot be bound.
    """
    kind = socket.SOCK_STREAM if protocol is Protocol.TCP else socket.SOCK_DGRAM
    one = socket.socket(socket.AF_INET6, kind | socket.SOCK_NONBLOCK)
    try:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if protocol is Protocol.UDP:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        one.bind(("::", port))
        if protocol is Protocol.TCP:
            one.listen(BACKLOG)
    except OSError as error:
        one.close()
        raise KernelError(f"{protocol.name} port {port} cannot be listened on: {error.strerror}") from error
    return one


def stream(source: Address) -> socket.socket:
    """A TCP socket that will connect from an address, not connected yet."""
    return _client(source, socket.SOCK_STREAM)


def datagram(source: Address) -> socket.socket:
    """A UDP socket that will send from an address, not connected yet."""
    return _client(source, socket.SOCK_DGRAM)


def _client(source: Address, kind: int) -> socket.socket:
    family = socket.AF_INET if source.version == 4 else socket.AF_INET6
    one = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    # The port is chosen when the socket connects, so that many sockets to different ends may share it.
    one.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    _allow_any_source(one, source.version)
    try:
        one.bind((str(source), 0))
    except OSError as error:
        one.close()
        raise KernelError(f"nothing can be sent from {source}: {error.strerror}") from error
    return one


def sent_again(one: socket.socket) -> bool:
    """Whether the kernel had to send something of a TCP connection more than once, its first packet included."""
    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TOTAL_RETRANS.size)
    return bool(_TOTAL_RETRANS.unpack(info)[0])


def echo_socket(version: int) -> socket.socket:
    """A raw socket that sees the echo requests and replies of a namespace, and sends requests."""
    if version == 4:
        one = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP)
        # linux/icmp.h, struct icmp_filter: a set bit keeps the type away.
        one.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", 0xFFFFFFFF & ~(1 << 0 | 1 << 8)))
    else:
        one = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMPV6)
        # RFC 3542, 3.2 as Linux has it: 256 bits, a set bit keeps the type away.
        words = [0xFFFFFFFF] * 8
        words[128 // 32] = 0xFFFFFFFF & ~(1 << 128 % 32 | 1 << 129 % 32)
        one.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *words))
    return _raw(one, version)


def sctp_socket(version: int) -> socket.socket:
    """A raw socket that sees and sends the SCTP packets of a namespace."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    return _raw(socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, sctp.NUMBER), version)


def _raw(one: socket.socket, version: int) -> socket.socket:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    _allow_any_source(one, version)
    if version == 4:
        one.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    else:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    return one


def _allow_any_source(one: socket.socket, version: int) -> None:
    """The world sends from addresses that no interface of its has."""
    if version == 4:
        one.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    else:
        one.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)


def receive(one: socket.socket) -> tuple[bytes, Address, int, Address | None] | None:
    """The next datagram: its bytes, who sent it from which port, and to which address. None where there is none.

    The IPv4 header that a raw socket gives is taken off.
    """
    try:
        data, control, _, sender = one.recvmsg(LARGEST, 128)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        # An ICMP error about an earlier datagram: it says nothing about the next one.
        return b"", ipaddress.IPv4Address(0), 0, None
    if one.type == socket.SOCK_RAW and one.family == socket.AF_INET:
        data = data[4 * (data[0] & 15) :]
    return data, address_of(sender[0]), sender[1], _destination(control)


def address_of(text: str) -> Address:
    """The address of a peer as a socket gives it: without its zone, and IPv4 where it is mapped."""
    found = ipaddress.ip_address(text.partition("%")[0])
    return plain(found) if isinstance(found, ipaddress.IPv6Address) else found


def _destination(control: list[tuple[int, int, bytes]]) -> Address | None:
    for level, kind, value in control:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            return plain(ipaddress.IPv6Address(_PKTINFO6.unpack(value)[0]))
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            return ipaddress.IPv4Address(_PKTINFO4.unpack(value)[2])
    return None


def reply_from(one: socket.socket, data: bytes, source: Address | None, to: Address, port: int) -> None:
    """Sends a datagram from the address that was asked. A full buffer or a missing route loses it."""
    with contextlib.suppress(OSError):
        send_from(one, data, source, to, port)


def send_from(one: socket.socket, data: bytes, source: Address | None, to: Address, port: int) -> None:
    """Sends a datagram from an address. Raises OSError as sendmsg(2) does."""
    six = one.family == socket.AF_INET6
    target = f"::ffff:{_text(to)}" if six and to.version == 4 else _text(to)
    control: list[tuple[int, int, bytes]] = []
    if source is not None and six:
        whole = source.packed if source.version == 6 else b"\0" * 10 + b"\xff\xff" + source.packed
        control = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _PKTINFO6.pack(whole, 0))]
    elif source is not None:
        control = [(socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO4.pack(0, source.packed, b"\0" * 4))]
    one.sendmsg([data], control, 0, (target, port))


# A run spells a few hundred addresses some ten thousand times.
_text = functools.lru_cache(maxsize=4096)(str)
