"""A netlink socket: what is asked is answered, what happens is told, and what was lost is admitted.

    with NetlinkSocket(ROUTE) as asking: asking.dump(RTM_GETLINK, header)        a question and its answers
    with NetlinkSocket(ROUTE, groups=[LINKS]) as hearing: hearing.receive(5)     events, in their order

The socket belongs to the network namespace in which it was made, whatever thread uses it later. Questions and events
want a socket each: here an answer to a question is told by its sequence number, and everything else that comes
meanwhile is dropped.

netlink(7): "Netlink is not a reliable protocol. ... reliable transmissions from kernel to user are impossible in any
case. The kernel can't send a netlink message if the socket buffer is full: the message will be dropped and the kernel
and the user-space process will no longer have the same view of kernel state. It is up to the application to detect when
this happens (via the ENOBUFS error returned by recvmsg(2)) and resynchronize." That is `Overrun`.

Nothing rests on a buffer that is forced (``SO_SNDBUFFORCE``, ``SO_RCVBUFFORCE``): that needs CAP_NET_ADMIN over the
whole machine, and a user namespace has it over itself alone. To send, it is not even tried.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import time
from collections.abc import Callable, Iterable

from outgate.errors import KernelError, NotPermitted
from outgate.host.closing import Closing
from outgate.host.netlink_format import (
    ACK,
    DONE,
    DUMP,
    DUMP_INTERRUPTED,
    ERROR,
    OVERRUN,
    REQUEST,
    Failure,
    Message,
    failure,
    message,
    messages,
)

__all__ = ["NETFILTER", "ROUTE", "NetlinkSocket", "Overrun", "Refused", "refusal"]

ROUTE = 0
NETFILTER = 12

_SOL_NETLINK = 270
_ADD_MEMBERSHIP = 1
_CAP_ACK = 10
_EXT_ACK = 11
_GET_STRICT_CHK = 12
_RCVBUFFORCE = 33

_LONGEST = 256 * 1024
"""Bytes. The kernel makes a datagram of a dump 32 KiB long at most (``max_recvmsg_len``), of nflog 128 KiB."""
_TIMEOUT = 10.0
"""Seconds. The kernel answers while it is being asked; a longer silence means that it will not."""
_DUMPS = 10
"""How often a dump that was interrupted is begun again."""


class Refused(KernelError):
    """The kernel's refusal, with its number (errno)."""

    def __init__(self, message: str, number: int, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.number = number


class Overrun(KernelError):
    """Messages were lost: what was known of the kernel's state has to be read anew."""


def refusal(doing: str, number: int, words: str = "") -> KernelError:
    """The error for an errno, with the kernel's words where it gave some."""
    said = os.strerror(number) + (f" ({words})" if words else "")
    if number in (errno.EPERM, errno.EACCES):
        hint = "run as root, or inside a user namespace; in a container it takes CAP_NET_ADMIN"
        return NotPermitted(f"the kernel refused to {doing}: {said}", hint=hint)
    return Refused(f"the kernel refused to {doing}: {said}", number)


class NetlinkSocket(Closing):
    """A socket of one netlink protocol in the network namespace of the thread that makes it.

    `groups` are multicast groups by number. `buffer` is how many bytes of unread messages are wanted; an ordinary user
    gets as many as net.core.rmem_max lets him. With `strict`, the kernel filters dumps by their headers (since 4.20).

    Raises:
        NotPermitted: a group is not for this user.
        KernelError: the kernel has no such protocol or group.
    """

    def __init__(self, protocol: int, *, groups: Iterable[int] = (), buffer: int = 0, strict: bool = False) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        except OSError as error:
            raise refusal(f"open netlink protocol {protocol}", error.errno or 0) from error
        try:
            self._prepare(groups, buffer, strict=strict)
        except OSError as error:
            self._socket.close()
            raise refusal(f"listen to netlink protocol {protocol}", error.errno or 0) from error
        self._sequence = int(time.time()) & 0x3FFF_FFFF
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._buffer = bytearray(_LONGEST)
        self._view = memoryview(self._buffer)

    def _prepare(self, groups: Iterable[int], buffer: int, *, strict: bool) -> None:
        # Old kernels lack some of these; the words of errors and the filters are then missing, nothing else.
        for option in (_CAP_ACK, _EXT_ACK, *((_GET_STRICT_CHK,) if strict else ())):
            with contextlib.suppress(OSError):
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
        if buffer:
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, buffer)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.bind((0, 0))
        self._socket.setblocking(False)
        self._room = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - 32
        for group in groups:
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        self.port: int = self._socket.getsockname()[0]
        """The port that the kernel gave this socket: events of what it did carry it."""

    def close(self) -> None:
        """Lets go of the socket. Closing twice is no error."""
        self._socket.close()

    def fileno(self) -> int:
        """For `select` and its like: readable when there is something to `receive`."""
        return self._socket.fileno()

    def room_to_send(self, size: int) -> None:
        """Asks for room for a datagram of `size` bytes; the kernel gives as much as net.core.wmem_max lets it."""
        # net/netlink/af_netlink.c, `netlink_sendmsg`: "if (len > sk->sk_sndbuf - 32)". What is set is doubled.
        if size > self._room:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            self._room = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - 32

    def numbers(self, count: int) -> int:
        """Reserves sequence numbers and returns the first of them."""
        first = self._sequence + 1
        self._sequence = first + count - 1
        if self._sequence > 0x7FFF_FFFF:
            first, self._sequence = 1, count
        return first

    def send(self, data: bytes, doing: str) -> None:
        """Sends a datagram to the kernel. Raises KernelError; `number` is EMSGSIZE where it is too long."""
        try:
            self._socket.sendto(data, (0, 0))
        except OSError as error:
            raise refusal(doing, error.errno or 0) from error

    def receive(self, timeout: float | None) -> bytes:
        """The next datagram; empty when none came within `timeout` seconds (None: without limit).

        Raises:
            Overrun: messages were lost before what comes next.
            KernelError: the socket is of no use any more.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                size, _, flags, sender = self._socket.recvmsg_into([self._buffer], 0, socket.MSG_TRUNC)
            except BlockingIOError:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if not self._poll.poll(None if left is None else left * 1000):
                    return b""
                continue
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise Overrun("the kernel had more to tell than the socket could hold") from error
                raise refusal("let a netlink socket be read", error.errno or 0) from error
            # Only port 0 is the kernel; a process with rights over this namespace could write here too.
            if sender[0] != 0:
                continue
            if flags & socket.MSG_TRUNC:
                raise Overrun(f"a netlink datagram was longer than {_LONGEST} bytes")
            return bytes(self._view[:size])

    def dump(self, kind: int, body: bytes, doing: str) -> list[Message]:
        """Everything of a kind, as it was at one moment; asked again where it changed meanwhile.

        Raises:
            NotPermitted: this is not for this user.
            KernelError: the kernel refused, or it changed whenever it was read.
        """
        for _ in range(_DUMPS):
            found: list[Message] = []
            with contextlib.suppress(Overrun):
                if self._ask(kind, REQUEST | DUMP, body, doing, found.append):
                    return found
        raise KernelError(f"the kernel could not {doing}: it changed each of {_DUMPS} times that it was read")

    def tell(self, kind: int, body: bytes, doing: str, take: Callable[[Message], object]) -> None:
        """Everything of a kind, given to `take` as it comes: for what is too much to keep, and of no one moment anyway.

        It takes ten seconds at most. Raises as `dump`, and Overrun; what was given before that was told all the same.
        """
        self._ask(kind, REQUEST | DUMP, body, doing, take)

    def ask(self, kind: int, body: bytes, doing: str, *, flags: int = 0) -> list[Message]:
        """Sends one request and returns what is answered before its acknowledgement. Raises as `dump`."""
        found: list[Message] = []
        self._ask(kind, REQUEST | ACK | flags, body, doing, found.append)
        return found

    def _ask(self, kind: int, flags: int, body: bytes, doing: str, take: Callable[[Message], object]) -> bool:
        """Give the answers to `take`, and say whether they are of one moment."""
        sequence = self.numbers(1)
        self.send(message(kind, flags, sequence, body), doing)
        whole = True
        deadline = time.monotonic() + _TIMEOUT
        while data := self.receive(max(0.0, deadline - time.monotonic())):
            for one in messages(data):
                if one.sequence != sequence:
                    continue
                whole &= not one.flags & DUMP_INTERRUPTED
                if one.kind in (ERROR, DONE):
                    _raise(failure(one), doing)
                    return whole
                if one.kind != OVERRUN:
                    take(one)
        raise KernelError(f"the kernel did not {doing} within {_TIMEOUT:g} s")


def _raise(said: Failure, doing: str) -> None:
    if said.number:
        raise refusal(doing, said.number, said.words)
