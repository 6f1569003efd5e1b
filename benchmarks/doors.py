"""Two doors to one table: elements changed by `nft -f`, a process each time, and by one netlink batch.

The table has what makes the slow door slow: an interval set of 10 000 elements, all of which nft reads before it does
anything, and the hash sets that change. What is timed is the whole call, from the transaction as a value to its being
in force; both doors are given the same transactions.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import replace

from benchmarks.tables import Row
from outgate.host.nft import Nftables
from outgate.host.nft_elements import ElementDoor
from outgate.nft.delta import delta
from outgate.nft.epoch import EST, STAMP, Epoch
from outgate.nft.objects import (
    ACCEPT,
    DROP,
    Chain,
    ChainRule,
    Compare,
    Field,
    Judgement,
    KeyType,
    NftSet,
    Ruleset,
    SetKey,
    StampMark,
    goto,
)
from outgate.nft.text import transaction_text
from outgate.nft.transaction import AddElements, AddRules, Command, DeleteElements, FlushChain, Transaction

__all__ = ["measure"]

_FAST, _SLOW = 1000, 15
_BLOCKS = 10_000
_PEERS = NftSet("p4", (KeyType.IPV4_ADDR,))
_PODS = NftSet("e4", (KeyType.IFNAME, KeyType.IPV4_ADDR), is_map=True)
_EPOCH = Epoch(0xFFFF_0000)


def measure(rounds: int) -> list[Row]:
    """In a network namespace of one's own: each change through either door, in `rounds` rounds put together."""
    Nftables().apply(delta(_ruleset(), None))
    rows: list[Row] = []
    with ElementDoor() as door:
        slow = lambda transaction: Nftables().load(transaction_text(transaction))  # noqa: E731 -- beside its brother
        for name, change, undo in _changes():
            for way, apply, count in (("netlink", door.apply, _FAST), ("nft -f", slow, _SLOW)):
                rows.append({"change": name, "door": way, **_timed(apply, change, undo, count * rounds // 5)})
        door.apply(Transaction((AddElements(_peers(0, _BLOCKS)),)))
        rows.append({"change": "read 10 000 elements", "door": "netlink", **_read(lambda: door.elements(_PEERS), 20)})
        rows.append({"change": "read the whole table", "door": "nft -j", **_read(Nftables().list, 2)})
    Nftables().remove()
    return rows


def _ruleset() -> Ruleset:
    blocks: dict[SetKey, Judgement | None] = {
        ((base, base + 63), (6, 6), (1, 1000)): None for base in range(0x0B00_0000, 0x0B00_0000 + 128 * _BLOCKS, 128)
    }
    kinds = (KeyType.IPV4_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE)
    chains = {name: Chain(name, _rules(name, _EPOCH)) for name in (EST, STAMP)}
    return Ruleset(
        {**chains, "c_1": Chain("c_1", (ChainRule((DROP,)),))},
        {"b4": NftSet("b4", kinds, blocks, interval=True), "p4": _PEERS, "e4": _PODS},
    )


def _rules(chain: str, epoch: Epoch) -> tuple[ChainRule, ...]:
    mark = Compare(Field.CT_MARK, epoch.bits, epoch.bits, mask=epoch.mask)
    return (ChainRule((mark if chain == EST else StampMark(epoch.mask, epoch.bits), ACCEPT)),)


def _peers(first: int, count: int) -> NftSet:
    return replace(_PEERS, elements={((one, one),): None for one in range(first, first + count)})


_Change = tuple[str, Transaction, Transaction]
"""Name, change, and what undoes it."""


def _changes() -> list[_Change]:
    pod = replace(_PODS, elements={("ogp1234567890", (0x0A00_0001, 0x0A00_0001)): goto("c_1")})
    bump: list[Command] = []
    for name in (EST, STAMP):
        bump += [FlushChain(name), AddRules(name, _rules(name, _EPOCH.following()))]
    return [
        _pair("one peer", AddElements(_peers(1, 1)), DeleteElements(_peers(1, 1))),
        _pair("one pod", AddElements(pod), DeleteElements(pod)),
        _pair("one peer, next epoch", AddElements(_peers(1, 1)), DeleteElements(_peers(1, 1)), bump),
        _pair("500 peers", AddElements(_peers(1, 500)), DeleteElements(_peers(1, 500))),
    ]


def _pair(name: str, do: Command, undo: Command, both: list[Command] | None = None) -> _Change:
    return name, Transaction((do, *(both or ()))), Transaction((undo, *(both or ())))


def _timed(apply: Callable[[Transaction], None], change: Transaction, undo: Transaction, count: int) -> Row:
    """Milliseconds, of the change and of what undoes it alike."""
    seconds: list[float] = []
    before = _worked()
    for _ in range(max(5, count)):
        for one in (change, undo):
            begin = time.perf_counter()
            apply(one)
            seconds.append(time.perf_counter() - begin)
    return _figures(seconds, _worked() - before)


def _read(read: Callable[[], object], count: int) -> Row:
    seconds: list[float] = []
    before = _worked()
    for _ in range(count):
        begin = time.perf_counter()
        read()
        seconds.append(time.perf_counter() - begin)
    return _figures(seconds, _worked() - before)


def _worked() -> float:
    """Processor seconds of this process and of those that it has started and seen end; other work does not count."""
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def _figures(seconds: list[float], worked: float) -> Row:
    seconds.sort()
    return {
        "p50, ms": round(seconds[len(seconds) // 2] * 1000, 3),
        "p99, ms": round(seconds[len(seconds) * 99 // 100] * 1000, 3),
        "processor, ms": round(worked / len(seconds) * 1000, 3),
        "times": len(seconds),
    }
