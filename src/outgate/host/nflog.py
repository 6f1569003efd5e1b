"""Packets that rules of ours have logged: read from an nflog group, with what was lost counted.

A rule ``log prefix "..." group 5 snaplen 96`` copies the beginning of a packet to whoever has bound the group in this
network namespace, one socket at a time. The kernel numbers what it sends to a group (NFULNL_CFG_F_SEQ), also what it
then could not deliver: a gap in the numbers is exactly what was lost. Loss is not an error. It loses lines of a log and
never a packet, and a log that fell over when it is needed most would be worse than one with a counted hole.

Whoever floods can make the log full of himself; rules limit themselves before they log (`nft.objects.Limit`).
"""

from __future__ import annotations

import contextlib
import struct
import time
from pathlib import Path
from typing import NamedTuple

from outgate.errors import KernelError, NotPermitted
from outgate.host.closing import Closing
from outgate.host.netlink import NETFILTER, NetlinkSocket, Overrun
from outgate.host.netlink_format import Message, attribute, attributes, messages, text

__all__ = ["LogReader", "Logged"]

_PACKET, _CONFIGURE = 4 << 8, 4 << 8 | 1
"""NFNL_SUBSYS_ULOG is 4."""
_BIND = 1
_COPY_PACKET = 2
_NUMBERED = 1
_BUFFER = 8 * 1024 * 1024
"""Bytes wanted for unread packets: 200 000 packets a second were read without loss with so much."""
_FLUSH = 10
"""Hundredths of a second after which the kernel sends what it has gathered (it waits for 100 packets or one second)."""
_MOST = 10_000
"""Packets that one call returns, at about the most."""

_GENMSG = struct.Struct(">BBH")


class Logged(NamedTuple):
    """One packet that a rule logged."""

    prefix: str
    """What the rule says of it."""
    payload: bytes
    """Its first bytes, from the IP header on (`packets.headers` reads them)."""
    incoming: int
    outgoing: int
    """Indexes of interfaces; 0 where it came from, or goes to, this namespace itself."""
    mark: int
    protocol: int
    """EtherType: 0x0800 or 0x86dd."""
    hook: int
    """NF_INET_*: 1 is input, 2 forward, 3 output."""
    time: float
    """Seconds since 1970, by the kernel where it stamped the packet, else when it was read."""


def _groups_read() -> set[int]:
    """The groups that somebody reads in the network namespace of the calling thread; none where that is secret."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/thread-self/net/netfilter/nfnetlink_log").read_text().splitlines()
        return {int(line.split()[0]) for line in lines}
    return set()


class LogReader(Closing):
    """Reads one group in the network namespace of the thread that makes it; `snaplen` bytes of each packet at most.

    Raises:
        NotPermitted: only a user with CAP_NET_ADMIN over the namespace may read.
        KernelError: somebody else reads this group, or the kernel has no nflog.
    """

    def __init__(self, group: int, *, snaplen: int = 96, buffer: int = _BUFFER) -> None:
        self.lost = 0
        """Packets that were logged and could not be delivered."""
        self.overruns = 0
        """How often the kernel said that it could not deliver something."""
        self._expected: int | None = None
        self._socket = NetlinkSocket(NETFILTER, buffer=buffer)
        try:
            self._bind(group, snaplen)
        except BaseException:
            self._socket.close()
            raise

    def _bind(self, group: int, snaplen: int) -> None:
        header = _GENMSG.pack(0, 0, group)
        try:
            self._socket.ask(_CONFIGURE, header + attribute(1, bytes((_BIND,))), f"bind nflog group {group}")
        except NotPermitted as error:
            # net/netfilter/nfnetlink_log.c, `nfulnl_recv_config`: a group of another socket is EPERM too.
            if group in _groups_read():
                raise KernelError(f"nflog group {group} is read by another process already") from error
            raise
        settings = attribute(2, struct.pack(">IBx", snaplen, _COPY_PACKET))
        settings += attribute(4, struct.pack(">I", _FLUSH)) + attribute(6, struct.pack(">H", _NUMBERED))
        self._socket.ask(_CONFIGURE, header + settings, f"read nflog group {group}")

    def close(self) -> None:
        """Gives the group back."""
        self._socket.close()

    def fileno(self) -> int:
        """For `select` and its like: readable when there is something to `read`."""
        return self._socket.fileno()

    def read(self, timeout: float | None) -> list[Logged]:
        """What was logged since the last call, waiting up to `timeout` seconds (None: for ever) for the first.

        Raises:
            KernelError: the socket is of no use any more. Loss is no error: see `lost`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        found: list[Logged] = []
        while len(found) < _MOST:
            left = 0.0 if found else None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                data = self._socket.receive(left)
            except Overrun:
                self.overruns += 1
                continue
            if not data:
                break
            now = time.time()
            found += [self._logged(one, now) for one in messages(data) if one.kind == _PACKET]
        return found

    def _logged(self, one: Message, now: float) -> Logged:
        parts = attributes(one.body, _GENMSG.size)
        number = parts.get(12)
        if number is not None:
            sequence = int.from_bytes(number, "big")
            if self._expected is not None:
                self.lost += (sequence - self._expected) & 0xFFFF_FFFF
            self._expected = (sequence + 1) & 0xFFFF_FFFF
        head, stamp = parts.get(1, b""), parts.get(3, b"")
        seconds = now
        if len(stamp) == 16:
            whole, millionths = struct.unpack(">QQ", stamp)
            seconds = whole + millionths / 1e6
        return Logged(
            prefix=text(parts.get(10, b"")),
            payload=parts.get(9, b""),
            incoming=int.from_bytes(parts.get(4, b""), "big"),
            outgoing=int.from_bytes(parts.get(5, b""), "big"),
            mark=int.from_bytes(parts.get(2, b""), "big"),
            protocol=int.from_bytes(head[:2], "big"),
            hook=head[2] if len(head) > 2 else 0,
            time=seconds,
        )
