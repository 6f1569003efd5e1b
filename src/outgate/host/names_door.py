"""A lean door for learned addresses: elements with a lifetime, put in and taken out by one netlink batch.

`nft_elements` carries what the agent decides: static elements, whole transactions, one writer. Here another process
writes, into sets of its own (``f4_...``, ``f6_...``), and only pairs of addresses with a timeout. Each is written as

    NEWSETELEM, DELSETELEM, NEWSETELEM

in one batch, which to packets is one moment. An element that is there already keeps its old timeout when it is added
again (before Linux 6.12), and one that is not there cannot be deleted: of the three, only what the first leaves
behind is deleted, and the last has the new time. What is to go is added and deleted.

Nor can it be deleted twice: of changes of one element that come together, the last is made.

Three messages are three events for everybody who listens, and a deletion keeps a worker of the kernel busy. Most that
is put in was not there before, and who hands it in knows (`Change.sure`): then one message is enough, by which the
kernel refuses what is there (NLM_F_EXCL: "Don't replace the config object if it already exists", netlink(7)). Likewise
what is known to be there is deleted without being added first. If that turns out wrong, all is sent as above.

One set that is missing, because the agent has just taken it away, must not keep the others from changing: a batch that
is refused is sent again without the sets that the kernel named.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from outgate.errors import KernelError
from outgate.host import nft_wire
from outgate.host.closing import Closing
from outgate.host.netlink import NETFILTER, NetlinkSocket, Overrun, Refused, refusal
from outgate.host.netlink_format import (
    ACK,
    ERROR,
    NESTED,
    REQUEST,
    Message,
    attribute,
    attributes,
    each_attribute,
    failure,
    message,
    messages,
)
from outgate.proxy.orders import Element

__all__ = ["Change", "NamesDoor", "set_name"]

_CREATE, _EXCLUSIVE = 0x400, 0x200
_MOST = 256
"""Elements in one batch: more would keep the kernel's lock from others for longer than a millisecond."""
_SILENCE = 10.0


class Change(NamedTuple):
    """Elements to put in for so many seconds; those with 0 are taken out."""

    element: Element
    seconds: float
    sure: bool = False
    """It is not there yet, or is there if it is to go, as far as can be known."""


def set_name(element: Element) -> str:
    """The kernel's set for an element, after the family of its addresses."""
    return f"f{4 if len(element.address) == 4 else 6}_{element.set}"


class NamesDoor(Closing):
    """Our table's sets of learned addresses, in the network namespace of the thread that makes it.

    Raises:
        KernelError: the kernel has no nfnetlink.
    """

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETFILTER)

    def close(self) -> None:
        """Lets go of the socket; what was put in stays, for its time."""
        self._socket.close()

    def put(self, changes: Iterable[Change]) -> Mapping[str, KernelError]:
        """Makes changes, in force when this returns. What could not be done is told by its set; the rest is done.

        Raises:
            NotPermitted: the caller may not change the table.
            KernelError: the kernel refused everything, or its answer was lost.
        """
        failed: dict[str, KernelError] = {}
        batch: dict[str, dict[Element, Change]] = {}
        for count, one in enumerate(changes, 1):
            batch.setdefault(set_name(one.element), {})[one.element] = one
            if count % _MOST == 0:
                self._put(batch, failed)
                batch = {}
        self._put(batch, failed)
        return failed

    def standing(self, names: Iterable[str]) -> Mapping[Element, float]:
        """What stands in the pairs of sets of these names, and for how many seconds more; one that is missing is empty.

        Raises:
            KernelError: the kernel does not tell.
        """
        found: dict[Element, float] = {}
        for name in names:
            for version, half in ((4, 4), (6, 16)):
                request = nft_wire.set_request(f"f{version}_{name}")
                try:
                    said = self._socket.dump(nft_wire.GETSETELEM, request, "list the sets of learned addresses")
                except Refused as error:
                    if error.number != errno.ENOENT:
                        raise
                    continue
                for key, seconds in (one for answer in said for one in _standing(answer)):
                    found[Element(name, key[:half], key[half:])] = seconds
        return found

    def lease(self, name: str, members: Iterable[bytes], seconds: float) -> None:
        """Renews members of one of our sets for so many seconds; with 0 they are taken out. Raises as `put`."""
        if refused := self._send(list(_renewed(name, [(one, seconds) for one in members]))):
            raise refusal(f"change {name}", *next(iter(refused.values())))

    def _put(self, batch: dict[str, dict[Element, Change]], failed: dict[str, KernelError]) -> None:
        sure = True
        while batch := {name: changes for name, changes in batch.items() if name not in failed}:
            owners: list[str] = []
            bodies: list[tuple[int, int, bytes]] = []
            for name, changes in batch.items():
                pieces = list(_pieces(name, changes.values(), sure=sure))
                owners += [name] * len(pieces)
                bodies += pieces
            refused = self._send(bodies)
            if not refused:
                return
            if -1 in refused:
                raise refusal("change the sets of learned addresses", *refused[-1])
            if sure and any(one.sure for changes in batch.values() for one in changes.values()):
                sure = False
                continue
            for index, (number, words) in refused.items():
                failed[owners[index]] = refusal(f"change {owners[index]}", number, words)

    def _send(self, bodies: list[tuple[int, int, bytes]]) -> dict[int, tuple[int, str]]:
        """What was refused, by its index; -1 is the batch itself. With anything refused nothing was done."""
        first = self._socket.numbers(len(bodies) + 2)
        header = nft_wire.batch_header()
        parts = [message(nft_wire.BATCH_BEGIN, REQUEST, first, header)]
        last = first + len(bodies)
        for number, (kind, flags, body) in enumerate(bodies, first + 1):
            parts.append(message(kind, REQUEST | flags | (ACK if number == last else 0), number, body))
        parts.append(message(nft_wire.BATCH_END, REQUEST, last + 1, header))
        data = b"".join(parts)
        self._socket.room_to_send(len(data))
        self._socket.send(data, "change the sets of learned addresses")
        return self._answered(first, last)

    def _answered(self, first: int, last: int) -> dict[int, tuple[int, str]]:
        """As `nft_elements` reads it: the acknowledgement of the last message comes behind all errors."""
        refused: dict[int, tuple[int, str]] = {}
        while True:
            try:
                data = self._socket.receive(_SILENCE)
            except Overrun as error:
                raise KernelError("the kernel's answer to a change was lost") from error
            if not data:
                raise KernelError("the kernel did not answer to a change")
            for one in messages(data):
                if one.kind != ERROR or not first <= one.sequence <= last + 1:
                    continue
                said = failure(one)
                if said.number:
                    refused.setdefault(one.sequence - first - 1, (said.number, said.words))
                if one.sequence == last or (one.sequence == first and said.number):
                    return refused


def _pieces(name: str, changes: Iterable[Change], *, sure: bool) -> Iterator[tuple[int, int, bytes]]:
    """Kind, flags and body of the messages that make changes of a set; `sure`: those that are, by one message each."""
    unsure: list[tuple[bytes, float]] = []
    fresh: list[bytes] = []
    gone: list[bytes] = []
    for one in changes:
        key = _key(one.element)
        if not (sure and one.sure):
            unsure.append((key, one.seconds))
        elif one.seconds > 0:
            fresh.append(_timed(key, one.seconds))
        else:
            gone.append(_bare(key))
    begin = nft_wire.set_request(name)
    if gone:
        yield nft_wire.DELSETELEM, 0, begin + attribute(3 | NESTED, b"".join(gone))
    if fresh:
        yield nft_wire.NEWSETELEM, _CREATE | _EXCLUSIVE, begin + attribute(3 | NESTED, b"".join(fresh))
    if unsure:
        yield from _renewed(name, unsure)


def _renewed(name: str, members: list[tuple[bytes, float]]) -> Iterator[tuple[int, int, bytes]]:
    """Kind, flags and body of the messages that renew members of a set, and take out those with no time."""
    begin = nft_wire.set_request(name)
    every: list[bytes] = []
    bare: list[bytes] = []
    anew: list[bytes] = []
    for key, seconds in members:
        timed = _timed(key, seconds or 1.0)
        every.append(timed)
        bare.append(_bare(key))
        if seconds > 0:
            anew.append(timed)
    yield nft_wire.NEWSETELEM, _CREATE, begin + attribute(3 | NESTED, b"".join(every))
    yield nft_wire.DELSETELEM, 0, begin + attribute(3 | NESTED, b"".join(bare))
    if anew:
        yield nft_wire.NEWSETELEM, _CREATE, begin + attribute(3 | NESTED, b"".join(anew))


def _bare(key: bytes) -> bytes:
    """NFTA_LIST_ELEM is 1, and NFTA_SET_ELEM_KEY is."""
    return attribute(1 | NESTED, attribute(1 | NESTED, attribute(1, key)))


def _timed(key: bytes, seconds: float) -> bytes:
    """NFTA_SET_ELEM_TIMEOUT is 4: milliseconds."""
    time = attribute(4, struct.pack(">Q", max(1, round(seconds * 1000))))
    return attribute(1 | NESTED, attribute(1 | NESTED, attribute(1, key)) + time)


def _standing(answer: Message) -> Iterator[tuple[bytes, float]]:
    """The elements of an answer, with the seconds that they have left: NFTA_SET_ELEM_EXPIRATION is 5."""
    listed = attributes(answer.body, nft_wire.GENMSG_LENGTH).get(3, b"") if answer.kind == nft_wire.NEWSETELEM else b""
    for _, payload in each_attribute(listed):
        parts = attributes(payload)
        yield attributes(parts.get(1, b"")).get(1, b""), int.from_bytes(parts.get(5, b""), "big") / 1000


def _key(element: Element) -> bytes:
    return element.source + element.address
