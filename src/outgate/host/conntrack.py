"""Connection marks as they are: who else writes into the bits that our policy epoch lives in.

The mark of a connection is one word of 32 bits that everybody on the machine shares. An agent that puts a number into
bits that somebody else writes would pass connections that nobody judged, or cut those that it passed. So before it
begins it asks the connections that there are: a number in our bits that is no epoch of ours was written by another.

And to an agent that begins they say which epochs have been given out (`carried`): with one of these it would pass
unasked what its predecessor let pass.

What they say of themselves can be taken back (`forget`): our bits of the mark become 0, as if nobody had judged them.
Nothing is deleted: a connection would come back from its far end, in the other direction.

The absence of such connections proves nothing (the other's rules may have met no
packet yet); `mark_rules` looks at the rules themselves.
"""

from __future__ import annotations

import errno
import struct
from collections import Counter
from collections.abc import Callable, Collection, Container, Mapping

from outgate.errors import KernelError
from outgate.host.netlink import NETFILTER, NetlinkSocket, Refused
from outgate.host.netlink_format import NESTED, Message, attribute, attributes, each_attribute
from outgate.packets import Address

__all__ = ["carried", "foreign_bits", "forget", "marks"]

_GET, _NEW = 1 << 8 | 1, 1 << 8
"""NFNL_SUBSYS_CTNETLINK is 1; IPCTNL_MSG_CT_GET is answered with IPCTNL_MSG_CT_NEW."""
_ORIGINAL, _REPLY, _MARK, _ZONE, _MARK_MASK = 1, 2, 8, 18, 21
"""CTA_TUPLE_ORIG and so on. In a tuple CTA_TUPLE_IP is 1, and holds the two addresses."""
_ADDRESSES = 1
_TURNS = 10
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


def forget(mask: int, bits: int, addresses: Collection[Address] | None = None) -> int:
    """Set the bits of `mask` to 0 in all connections that have another number there than `bits`, and say how many.

    With `addresses`, only where one of these stands in a connection, in either direction and before or after any
    translation. Done again until there is none left: a table that grows while it is told may leave some out, and a
    packet that was on its way may have written an older number. The two looks that it takes at least are 2.7 times the
    work of `carried`, measured with 60 000 connections. Raises as that.
    """
    packed = None if addresses is None else {one.packed for one in addresses}
    count = 0
    for turn in range(_TURNS):
        found: list[bytes] = []

        def take(one: Message, found: list[bytes] = found) -> None:
            if one.kind == _NEW and _mark(one.body) & mask not in (0, bits) and _is_of(one.body, packed):
                found.append(one.body)

        _each(take)
        if not found and turn:
            return count
        count += len(found)
        with NetlinkSocket(NETFILTER) as asking:
            for body in found:
                _unmark(asking, body, mask)
    raise KernelError(f"connections got older numbers each of {_TURNS} times that they were taken from them")


def _is_of(body: bytes, packed: Collection[bytes] | None) -> bool:
    if packed is None:
        return True
    tuples = (one for kind, one in each_attribute(body, _GENMSG.size) if kind in (_ORIGINAL, _REPLY))
    places = (part for one in tuples for kind, part in each_attribute(one) if kind == _ADDRESSES)
    return any(address in packed for place in places for _, address in each_attribute(place))


def _unmark(asking: NetlinkSocket, body: bytes, mask: int) -> None:
    """One connection, by its own words. Without NLM_F_CREATE none is made where it is gone."""
    said = attributes(body, _GENMSG.size)
    words = attribute(_ORIGINAL | NESTED, said[_ORIGINAL])
    if _ZONE in said:
        words += attribute(_ZONE, said[_ZONE])
    words += attribute(_MARK, bytes(4)) + attribute(_MARK_MASK, mask.to_bytes(4, "big"))
    try:
        asking.ask(_NEW, body[: _GENMSG.size] + words, "take the number from a connection")
    except Refused as error:
        if error.number != errno.ENOENT:
            raise


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
