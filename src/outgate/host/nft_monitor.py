"""What others do to our table: the kernel tells of every transaction, and who made it.

Members of NFNLGRP_NFTABLES hear, for each transaction in their network namespace, a message for every object that was
changed and at the end NFT_MSG_NEWGEN: the number of the new generation, the thread that asked for it and its name. The
names are for a log; whose change it was is decided by the netlink port in the messages' headers, which the kernel gives
out and nobody chooses for somebody else, or by a generation that was claimed:

    monitor.own(door.port)                      the fast door's changes are ours
    before = door.generation(); <nft -f>        a process of nft has a port that nobody here knows. If exactly one
    monitor.claim(before, door.generation())    generation came between, it is that process's; if more, none is claimed

Elements of the sets that the DNS proxy fills (`is_learned`) are its affair, and no change of ours or of anybody else's
hand: each has a life of its own, and no listing compares them.

A process number is no proof: it is counted in the first process namespace of the machine, where ours may have another.

Other tables change as well, some of them much (kube-proxy writes every service again and again). For that each message
is looked at no further than its first attribute, which names the table in every kind of nf_tables message.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from outgate.host import nft_wire
from outgate.host.closing import Closing
from outgate.host.netlink import NETFILTER, NetlinkSocket, Overrun
from outgate.host.netlink_format import HEADER_LENGTH, messages
from outgate.nft.asking import is_learned
from outgate.nft.objects import Ruleset

__all__ = ["Committed", "NftMonitor"]

_GROUP_NFTABLES = 7
_BUFFER = 8 * 1024 * 1024
"""Bytes wanted for unread messages: 100 000 new elements are about 15 MB of them, and the kernel waits for nobody."""
_HEADER = struct.Struct("=IH")
_NAME = Ruleset().table.encode() + b"\0"
_FAMILIES = frozenset(nft_wire.FAMILIES.values())
_FIRST_ATTRIBUTE = struct.pack("=HH", 4 + len(_NAME), 1) + _NAME
_PADDED = (len(_FIRST_ATTRIBUTE) + 3) & ~3
_OF_ELEMENTS = frozenset({nft_wire.NEWSETELEM, nft_wire.DELSETELEM})
_SET = 2
"""NFTA_SET_ELEM_LIST_SET (nf_tables.h)."""
_MOST = 1000
"""Transactions that one call returns, at about the most: somebody who never stops must not keep it for ever."""
_CLAIMS = 1024
"""Claims are forgotten oldest first: one is fulfilled within a moment, or its event was lost in an overrun."""


@dataclass(frozen=True, slots=True)
class Committed:
    """One transaction of somebody; or, where `lost`, that any number of them may have been."""

    ours: bool
    """Whether this process made it, as far as it was told by `own` and `claim`."""
    touched: bool
    """Whether it changed something of our table. True where messages were lost."""
    generation: int = 0
    process: int = 0
    """The thread that made it, as the first process namespace of the machine counts."""
    name: str = ""
    """What that thread calls itself."""
    lost: bool = False

    @property
    def drifted(self) -> bool:
        """Whether our table may no longer be what we made it: it has to be read again."""
        return self.touched and not self.ours


class NftMonitor(Closing):
    """Hears of transactions in the network namespace of the thread that makes it, from that moment on.

    Raises:
        NotPermitted: only a user with CAP_NET_ADMIN over the namespace may listen.
        KernelError: the kernel has no nf_tables.
    """

    def __init__(self, *, buffer: int = _BUFFER) -> None:
        self._socket = NetlinkSocket(NETFILTER, groups=[_GROUP_NFTABLES], buffer=buffer)
        self._ports: set[int] = set()
        self._claims: dict[int, None] = {}
        self._touched = False

    def close(self) -> None:
        """Hears no more."""
        self._socket.close()

    def fileno(self) -> int:
        """For `select` and its like: readable when there is something to `read`."""
        return self._socket.fileno()

    def own(self, port: int) -> None:
        """Takes the transactions of a netlink port for ours."""
        self._ports.add(port)

    def disown(self, port: int) -> None:
        """Takes them for ours no longer: the kernel may give the port of a socket that was closed to anybody."""
        self._ports.discard(port)

    def claim(self, before: int, after: int) -> bool:
        """Takes the generation `after` for ours if it is the only one since `before`; says whether it is.

        To be called before the event is read. Somebody else's transaction in between leaves it open which of the
        two was whose, and then none is claimed: the table is read again, once too often.
        """
        # net/netfilter/nf_tables_api.c, `nf_tables_commit`: "while (++net->nft.base_seq == 0)".
        alone = after == (1 if before == 0xFFFF_FFFF else before + 1)
        if alone:
            self._claims[after] = None
            while len(self._claims) > _CLAIMS:
                del self._claims[next(iter(self._claims))]
        return alone

    def read(self, timeout: float | None) -> list[Committed]:
        """What was committed since the last call, waiting up to `timeout` seconds (None: for ever) for the first.

        Raises:
            KernelError: the socket is of no use any more.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        found: list[Committed] = []
        while len(found) < _MOST:
            left = 0.0 if found else None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                data = self._socket.receive(left)
            except Overrun:
                # What came before the gap and after it are parts of different transactions.
                self._touched = False
                found.append(Committed(ours=False, touched=True, lost=True))
                continue
            if not data:
                break
            found += self._committed(data)
        return found

    def _committed(self, data: bytes) -> Iterator[Committed]:
        named = _FIRST_ATTRIBUTE in data
        for at, kind in _heads(data):
            if kind != nft_wire.NEWGEN:
                if named and data.startswith(_FIRST_ATTRIBUTE, at + 20) and data[at + 16] in _FAMILIES:
                    self._touched |= not (kind in _OF_ELEMENTS and _is_of_learned(data, at + 20 + _PADDED))
                continue
            one = next(messages(data[at:]))
            state = nft_wire.read_generation(one.body)
            ours = one.port in self._ports or state.number in self._claims
            self._claims.pop(state.number, None)
            touched, self._touched = self._touched, False
            yield Committed(ours, touched, state.number, state.process, state.name)


def _is_of_learned(data: bytes, at: int) -> bool:
    """Whether elements are of such a set, which the second attribute names (`nf_tables_fill_setelem_info`)."""
    length, kind = struct.unpack_from("=HH", data, at) if len(data) >= at + 4 else (0, 0)
    return kind == _SET and is_learned(data[at + 4 : at + length].rstrip(b"\0").decode(errors="replace"))


def _heads(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each message begins, and its kind."""
    at, end = 0, len(data)
    while at + _HEADER.size <= end:
        length, kind = _HEADER.unpack_from(data, at)
        if length < HEADER_LENGTH:
            return
        yield at, kind
        at += (length + 3) & ~3
