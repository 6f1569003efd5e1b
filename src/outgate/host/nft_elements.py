"""The fast door to our table: elements and the epoch changed by one netlink batch, elements read by one dump.

`host.nft` starts a process that reads, parses and asks the kernel about every set first; that is right for a new
ruleset and too slow for an address that has just come up. Here a transaction becomes one datagram, which the kernel
takes whole or not at all (NFNL_MSG_BATCH_BEGIN ... END), and is in force when `apply` returns.

The same must come of a transaction through both doors; a test applies random ones through either and compares.

    door = ElementDoor()                in the network namespace of this thread, for as long as it lives
    if can_carry(transaction): door.apply(transaction)
"""

from __future__ import annotations

import errno
import struct
import time
from collections.abc import Sequence
from dataclasses import replace

from outgate.errors import KernelError
from outgate.host import nft_wire
from outgate.host.closing import Closing
from outgate.host.netlink import NETFILTER, NetlinkSocket, Overrun, Refused, refusal
from outgate.host.netlink_format import ACK, ERROR, REQUEST, Failure, attribute, failure, message, messages
from outgate.host.nft_wire import Piece, can_carry
from outgate.nft.objects import NftSet
from outgate.nft.text import elements_text
from outgate.nft.transaction import AddElements, AddRules, DeleteElements, FlushChain, Transaction

__all__ = ["ElementDoor", "Overtaken", "can_carry"]

_SILENCE = 10.0
"""Seconds. The kernel answers a batch before `send` returns."""
_SHOWN = 3
"""How many refused elements an error names."""


class Overtaken(KernelError):
    """Somebody else has changed nftables since the generation that a change was made for; nothing was done."""


class ElementDoor(Closing):
    """Our table, through a netlink socket in the network namespace of the thread that makes it.

    Raises:
        KernelError: the kernel has no nfnetlink.
    """

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETFILTER)
        self.port: int = self._socket.port
        """What marks this door's changes as its own, in the events that `nft_monitor` reads."""

    def close(self) -> None:
        """Lets go of the socket; what was changed stays."""
        self._socket.close()

    def apply(self, transaction: Transaction, *, generation: int | None = None) -> None:
        """Makes a change, whole or not at all. A transaction without any element or rule does nothing.

        With `generation`, only if that generation still stands.

        Raises:
            ValueError: the transaction is none that can be carried, or has a value that means nothing.
            NotPermitted: the caller may not change the table.
            Overtaken: another generation stands.
            KernelError: the kernel refused, and which elements; or the change does not fit the socket.
        """
        pieces = list(nft_wire.encode(transaction))
        if not pieces:
            return
        first = self._socket.numbers(len(pieces) + 2)
        data = _batch(pieces, first, generation)
        self._socket.room_to_send(len(data))
        try:
            self._socket.send(data, "change elements")
        except Refused as error:
            if error.number == errno.EMSGSIZE:
                raise KernelError(
                    f"a change of {len(data)} bytes is too large for the socket of an ordinary user",
                    hint="raise net.core.wmem_max, or make the change through nft as root",
                ) from error
            raise
        self._answered(pieces, first)

    def generation(self) -> int:
        """The number of the state of this namespace's nftables. Every transaction of anybody counts one on.

        Who made it is told only as it happens (`nft_monitor`): asked, the kernel names the one who asks.
        Raises as `NetlinkSocket.ask`.
        """
        answers = self._socket.ask(nft_wire.GETGEN, nft_wire.generation_header(), "tell the generation of nftables")
        return nft_wire.read_generation(answers[0].body).number

    def elements(self, declaration: NftSet) -> NftSet:
        """A set or map with the elements that the kernel has. `declaration.elements` is ignored.

        The kernel goes on with a dump by *counting* what it has told already (net/netfilter/nf_tables_api.c,
        `nf_tables_dump_set`, ``iter.skip``). While a hash table that has just grown is being rehashed, that tells some
        elements twice and others never, and says nothing of it: right after 100 000 elements were added, a quarter
        has been seen missing (`nft list` misses them as well). Twice is what can be seen, so then it is read again.

        Raises:
            ValueError: it has intervals, or is not as declared.
            Refused: there is no such set (`number` is ENOENT), or it cannot be read.
            KernelError: it was being rehashed for all the time that it was read.
        """
        if declaration.interval:
            raise ValueError(f"{declaration.name} has intervals: nft(8) has to read it")
        request = nft_wire.set_request(declaration.name)
        deadline = time.monotonic() + _SILENCE
        while True:
            answers = self._socket.dump(nft_wire.GETSETELEM, request, f"list the elements of {declaration.name}")
            told = [
                element
                for one in answers
                if one.kind == nft_wire.NEWSETELEM
                for element in nft_wire.read_elements(one.body, declaration)
            ]
            found = dict(told)
            if len(found) == len(told):
                return replace(declaration, elements=found)
            if time.monotonic() > deadline:
                raise KernelError(f"{declaration.name} cannot be read: the kernel rehashes it without end")

    def _answered(self, pieces: Sequence[Piece], first: int) -> None:
        """Returns when the batch has been taken.

        Only the last piece asks for an acknowledgement, which comes behind all errors; with one error of any piece
        nothing was done. A batch that is refused as a whole is answered with the number of its begin.
        """
        refused: dict[int, Failure] = {}
        last, ended, lost = first + len(pieces), False, False
        while not ended:
            try:
                data = self._socket.receive(0.0 if lost else _SILENCE)
            except Overrun:
                lost = True
                continue
            if not data:
                break
            for one in messages(data):
                if one.kind == ERROR and first <= one.sequence <= last + 1:
                    said = failure(one)
                    if said.number:
                        refused.setdefault(one.sequence, said)
                    ended |= one.sequence == last or (one.sequence == first and said.number != 0)
        if refused:
            raise _refused(pieces, first, refused)
        if lost or not ended:
            raise KernelError("the kernel's answer to a change was lost: read the table to know what stands")


def _batch(pieces: Sequence[Piece], first: int, generation: int | None) -> bytes:
    header = nft_wire.batch_header()
    # NFNL_BATCH_GENID, since Linux 4.10.
    wanted = b"" if generation is None else attribute(1, struct.pack(">I", generation))
    parts = [message(nft_wire.BATCH_BEGIN, REQUEST, first, header + wanted)]
    last = first + len(pieces)
    for number, piece in enumerate(pieces, first + 1):
        flags = REQUEST | piece.flags | (ACK if number == last else 0)
        parts.append(message(piece.kind, flags, number, piece.body))
    parts.append(message(nft_wire.BATCH_END, REQUEST, last + 1, header))
    return b"".join(parts)


def _refused(pieces: Sequence[Piece], first: int, refused: dict[int, Failure]) -> KernelError:
    """One error that names what was refused."""
    number, said = next(iter(refused.items()))
    if said.number == errno.ERESTART:
        return Overtaken("nftables was changed by somebody else meanwhile; nothing was done")
    if number == first:
        return refusal("change our table", said.number, said.words)
    words = [_words(pieces[one - first - 1], why) for one, why in list(refused.items())[:_SHOWN]]
    if len(refused) > _SHOWN:
        words.append(f"and {len(refused) - _SHOWN} more")
    return refusal("; ".join(words), said.number, said.words)


def _words(piece: Piece, said: Failure) -> str:
    match piece.command:
        case AddElements(part) | DeleteElements(part):
            verb = "add" if isinstance(piece.command, AddElements) else "delete"
            key = nft_wire.blamed(piece, said.offset)
            which = "elements" if key is None else f"element {next(elements_text(part.only([key])))}"
            return f"{verb} {which} of {part.name}"
        case FlushChain(name):
            return f"flush chain {name}"
        case AddRules(name):
            return f"add a rule to chain {name}"
        case _:
            return "change our table"
