"""Connection marks as they are: who else writes into the bits that our policy epoch lives in.

The mark of a connection is one word of 32 bits that everybody on the machine shares. An agent that puts a number into
bits that somebody else writes would pass connections that nobody judged, or cut those that it passed. So before it
begins it asks the connections that there are: a number in our bits that is no epoch of ours was written by another.

And to an agent that begins they say which epochs have been given out (`carried`): with one of these it would pass
unasked what its predecessor let pass.

Nothing is deleted or changed here. The absence of such connections proves nothing (the other's rules may have met no
packet yet); `mark_rules` looks at the rules themselves.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Container, Mapping

from outgate.host.netlink import NETFILTER, NetlinkSocket
from outgate.host.netlink_format import Message, each_attribute

__all__ = ["carried", "foreign_bits", "marks"]

_GET, _NEW = 1 << 8 | 1, 1 << 8
"""NFNL_SUBSYS_CTNETLINK is 1; IPCTNL_MSG_CT_GET is answered with IPCTNL_MSG_CT_NEW."""
_MARK = 8
_GENMSG = struct.Struct(">BBH")


def marks() -> Mapping[int, int]:
    """How many connections have which mark, in the network namespace of the calling thread; 0 is no mark.

    Connections come and go while they are listed, so the numbers are of no single moment.

    Raises:
        NotPermitted: the caller may not look.
        KernelError: the kernel has no ctnetlink.
    """
    found: Counter[int] = Counter()

    def take(one: Message) -> None:
        if one.kind == _NEW:
            found[_mark(one.body)] += 1

    _each(take)
    return found


def carried(mask: int) -> frozenset[int]:
    """The numbers that live connections have in the bits of `mask`, as `Epoch.value` is one; 0, no number, is left out.

    As many numbers are kept as differ, whatever the connections are: 200 000 of these take 1.5 s. Raises as `marks`,
    and KernelError where they cannot be read within ten seconds.
    """
    found: set[int] = set()
    lowest = mask & -mask

    def take(one: Message) -> None:
        if one.kind == _NEW:
            found.add((_mark(one.body) & mask) // lowest)

    _each(take)
    return frozenset(found - {0})


def _each(take: Callable[[Message], None]) -> None:
    with NetlinkSocket(NETFILTER) as asking:
        asking.tell(_GET, _GENMSG.pack(0, 0, 0), "list the connections", take)


def foreign_bits(mask: int, epochs: Container[int], seen: Mapping[int, int] | None = None) -> Mapping[int, int]:
    """How many connections have which number in the bits of `mask`, though it is none of our `epochs`.

    `epochs` are as they stand in the mark (`Epoch.bits`): all that may have been written since the connections began,
    and none at the first start. `seen` is what `marks` gave; without it, it is asked. Raises as `marks`.
    """
    found: Counter[int] = Counter()
    for mark, count in (marks() if seen is None else seen).items():
        bits = mark & mask
        if bits and bits not in epochs:
            found[bits] += count
    return found


def _mark(body: bytes) -> int:
    return next((int.from_bytes(one, "big") for kind, one in each_attribute(body, _GENMSG.size) if kind == _MARK), 0)
